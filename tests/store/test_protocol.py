"""A model of claiming, finishing, giving back and dying: whatever order things happen in, the books balance."""

import tempfile
from pathlib import Path
from typing import Any

import optuna
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from benchmarks.faults import execute, store_at
from search.store.queue import MAX_RETRIES, STALE, fail_stale
from search.store.study import StudyStore, TrialLostError

BUDGET = 5


class Protocol(RuleBasedStateMachine):
    """Three workers on one study; `running` and `told` are what must be stored."""

    claimed = Bundle("claimed")

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{self.directory.name}/study.db"
        self.workers = [store_at(self.url) for _ in range(3)]
        self.workers[0].set_budget(BUDGET)
        self.running: dict[int, str] = {}  # by number: the worker's name
        self.told: dict[int, str] = {}  # by number: the state
        self.stale: set[int] = set()

    @rule(target=claimed, k=st.integers(0, 2))
    def claim(self, k: int) -> Any:
        finished = [number for number, state in self.told.items() if state != "FAIL"]
        trial = self.workers[k].acquire()
        assert (trial is None) == (len(finished) + len(self.running) >= BUDGET)
        if trial is None:
            return multiple()
        assert trial.number not in self.running
        assert trial.number not in self.told
        self.running[trial.number] = self.workers[k].worker
        return self.workers[k], trial

    @rule(job=consumes(claimed), how=st.sampled_from(["COMPLETE", "PRUNED", "FAIL"]), twice=st.booleans())
    def tell(self, job: tuple[StudyStore, optuna.Trial], how: str, twice: bool) -> None:
        store, trial = job
        mine = self.running.get(trial.number) == store.worker
        try:
            for _ in range(1 + twice):
                self._tell(store, trial, how)
        except TrialLostError:
            assert not mine
            return
        if mine:
            del self.running[trial.number]
            self.told[trial.number] = how

    def _tell(self, store: StudyStore, trial: optuna.Trial, how: str) -> None:
        if how == "COMPLETE":
            store.complete(trial, 0.5, {"a": 1})
        elif how == "PRUNED":
            store.prune(trial, {"a": 1})
        else:
            store.fail(trial, "out of luck")

    @rule(job=consumes(claimed))
    def give_back(self, job: tuple[StudyStore, optuna.Trial]) -> None:
        store, trial = job
        if self.running.get(trial.number) == store.worker:
            store.give_back([trial])
            del self.running[trial.number]

    @rule(k=st.integers(0, 2))
    def die(self, k: int) -> None:
        """A worker stops, another notices, a third process takes its place."""
        dead = self.workers[k]
        fail_stale(dead.storage, dead.study, dead=dead.worker)
        for number in [number for number, worker in self.running.items() if worker == dead.worker]:
            del self.running[number]
            self.told[number] = "FAIL"
            self.stale.add(number)
        self.workers[k] = store_at(self.url)

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "workers"):
            return
        trials = self.workers[0].study.get_trials(deepcopy=False)
        by_state = {state: {t.number for t in trials if t.state.name == state} for state in ("RUNNING", "FAIL")}
        assert by_state["RUNNING"] == set(self.running)
        assert {t.number: t.state.name for t in trials if t.state.is_finished()} == self.told
        assert [t.number for t in trials] == list(range(len(trials)))
        assert sum(state != "FAIL" for state in self.told.values()) <= BUDGET
        self._retries(trials)

    def _retries(self, trials: list[optuna.trial.FrozenTrial]) -> None:
        """Every stale trial was queued again exactly once with its parameters, unless it had its tries."""
        again = [trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs]
        exhausted = {t.number for t in trials if t.user_attrs.get("retry") == MAX_RETRIES} & self.stale
        assert sorted(again) == sorted(self.stale - exhausted)
        assert {t.number for t in trials if t.user_attrs.get("reason") == STALE} == self.stale
        for trial in trials:
            if trial.params and "retry_of" in trial.user_attrs:
                assert trial.params == trials[trial.user_attrs["retry_of"]].params

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            for store in self.workers:
                store.storage.engine.dispose()
            assert execute(self.url, "PRAGMA integrity_check") == [("ok",)]
            self.directory.cleanup()
            assert not Path(self.directory.name).exists()


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
