"""The main path on made-up data: what is reported, told, pruned, replaced and given back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from benchmarks.faults import CLEAN, EPOCHS, Pace, audit, made_up_mnist, store_at
from model.data.samples import Parts
from model.fleet.fleet import Fleet
from search.errors import SearchError
from search.store.storage import open_storage
from search.store.study import MAX_FAILED, StudyStore, open_study
from search.training.display import Screen
from search.training.engine import Engine
from search.training.run import Run
from studies.space import Space
from studies.spec import StudySpec
from studies.sweet_spot import sweet_spot

FIGURES = {"parameters", "epochs", "train_accuracy", "train_loss", "val_accuracy", "val_loss", "gap", "seconds"}
REPLAY = {"init_seed", "order_seed", "first_epoch", "batch", "train_on", "score_on", "threads", "device", "torch"}


class PruneAll(optuna.pruners.BasePruner):
    """Would stop every trial at its first report."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002
        return True


def never() -> bool:
    return False


def at(tmp_path: Path, **fields: Any) -> StudyStore:
    spec: StudySpec = replace(sweet_spot("study", EPOCHS), **fields)
    return open_study(open_storage(f"sqlite:///{tmp_path}/study.db", create=True), spec)


def run(
    store: StudyStore, data: Parts, budget: int, stop: Callable[[], bool] = never, capacity: int = 64
) -> list[FrozenTrial]:
    store.set_budget(budget)
    Engine(store, data, capacity, Pace()).search(stop)
    return store.study.trials


def test_trials_report_at_the_rungs_and_are_told_with_all_their_attributes(tmp_path: Path, tiny: Parts) -> None:
    trials = run(at(tmp_path, pruner=NopPruner()), tiny, 4)
    assert [list(trial.intermediate_values) for trial in trials] == [[1, 2, 3, 4]] * 4
    for trial in trials:
        assert trial.user_attrs.keys() >= FIGURES | REPLAY
        assert trial.user_attrs["epochs"] == EPOCHS
        assert trial.value == trial.user_attrs["val_accuracy"] == trial.intermediate_values[EPOCHS]


def test_a_full_trial_reports_at_and_before_each_rung_and_every_tenth_epoch(tmp_path: Path, tiny: Parts) -> None:
    spec = sweet_spot("long", 25)
    store = open_study(open_storage(f"sqlite:///{tmp_path}/study.db", create=True), spec)
    (trial,) = run(store, tiny, 1)
    assert list(trial.intermediate_values) == [1, 2, 3, 7, 8, 9, 10, 20, 25]


def test_pruned_trials_keep_their_attributes_and_the_baseline_is_never_pruned(tmp_path: Path, tiny: Parts) -> None:
    baseline, *others = run(at(tmp_path, pruner=PruneAll(), rungs=()), tiny, 4)
    assert (baseline.state, baseline.params) == (TrialState.COMPLETE, {"hidden_units": 25, "lr": 0.02})
    assert baseline.user_attrs["baseline"] is True
    assert {trial.state for trial in others} == {TrialState.PRUNED}
    for trial in others:
        assert trial.user_attrs.keys() >= FIGURES | REPLAY
        assert (trial.user_attrs["epochs"], list(trial.intermediate_values)) == (1, [1])


def test_where_trials_wait_for_each_other_they_are_judged_there_alone(tmp_path: Path, tiny: Parts) -> None:
    _, *others = run(at(tmp_path, pruner=PruneAll(), rungs=[3]), tiny, 4)
    assert {tuple(trial.intermediate_values) for trial in others} == {(1, 2, 3)}


def test_a_trial_learns_what_there_is_to_learn(tmp_path: Path, tiny: Parts) -> None:
    spec = replace(sweet_spot("study", 60), report_epochs=[60], pruner=NopPruner())
    store = open_study(open_storage(f"sqlite:///{tmp_path}/study.db", create=True), spec)
    (baseline,) = run(store, tiny, 1)
    assert baseline.value == 1.0


def test_diverged_trials_fail_with_the_reason_and_are_replaced(tmp_path: Path, tiny: Parts) -> None:
    space = {"hidden_units": IntDistribution(4, 32), "lr": FloatDistribution(1e-3, 1e37, log=True)}
    trials = run(at(tmp_path, space=Space.of(space)), tiny, 5)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert failed
    assert all(trial.user_attrs["reason"].startswith("diverged in epoch ") for trial in failed)
    assert all(trial.value is None for trial in failed)
    assert audit(trials, 5) == CLEAN


def test_a_study_whose_trials_all_diverge_gives_up(tmp_path: Path, tiny: Parts) -> None:
    space = {"hidden_units": IntDistribution(4, 32), "lr": FloatDistribution(1e30, 1e37, log=True)}
    store = at(tmp_path, space=Space.of(space), baseline={"hidden_units": 25, "lr": 1e35})
    with pytest.raises(SearchError, match=r"\d+ trials of 'study' diverged, the last: diverged in epoch [12]: "):
        run(store, tiny, 5)
    counts = store.counts()
    assert (counts.finished, counts.running) == (0, 0)
    assert counts.failed > MAX_FAILED


def test_stopping_gives_open_trials_back_and_a_second_run_finishes_them(tmp_path: Path, tiny: Parts) -> None:
    store = at(tmp_path)
    looks = iter([False, False, True])
    stopped = run(store, tiny, 5, lambda: next(looks, True))
    assert {trial.state for trial in stopped if not trial.state.is_finished()} == {TrialState.WAITING}
    finished = run(store, tiny, 5)
    assert [trial.params for trial in finished[: len(stopped)]] == [trial.params for trial in stopped]
    assert audit(finished, 5) == CLEAN


class Umpire(optuna.pruners.BasePruner):
    """Notes the value of whom it judges; stops nobody."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:  # noqa: ARG002
        self.values.append(trial.intermediate_values[trial.last_step or 0])
        return False


@pytest.mark.parametrize(
    ("capacity", "many"), [(64, False), (10_000, True)]
)  # trials arrive one by one, or many at once
def test_trials_are_judged_so_many_together(
    tmp_path: Path, tiny: Parts, capacity: int, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    umpire, waiting, gatherings, judge = Umpire(), [], [], Engine._judge_rung

    def noted(engine: Engine, epoch: int) -> None:
        waiting.append(len(engine.at_rung[epoch]))
        assert waiting[-1] >= 3 or not any(run.training and not run.baseline for run in engine.runs)
        umpire.values.clear()
        judge(engine, epoch)
        gatherings.append(umpire.values.copy())

    monkeypatch.setattr(Engine, "_judge_rung", noted)
    store = at(tmp_path, pruner=umpire, rungs=[1], rung_size=3)
    assert audit(run(store, tiny, 12, capacity=capacity), 12) == CLEAN
    assert sum(map(len, gatherings)) == 11  # without the baseline
    assert [len(values) for values in gatherings] == waiting
    assert many or all(n >= 3 for n in waiting[:-1])  # the last ones come when there is nobody left to wait for
    assert (max(waiting) > 4) == many


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5])
def test_nobody_waits_for_trials_that_will_not_come(tmp_path: Path, tiny: Parts, budget: int) -> None:
    trials = run(at(tmp_path, pruner=NopPruner(), rungs=[1, 3], rung_size=100), tiny, budget)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * budget
    assert [sum(epochs for _, _, epochs, _ in trial.user_attrs["stints"]) for trial in trials] == [EPOCHS] * budget


def test_trials_that_wait_are_given_back_too(tmp_path: Path, tiny: Parts) -> None:
    store = at(tmp_path, rungs=[1], rung_size=3)
    store.set_budget(8)
    engine, waiting = Engine(store, tiny, 64, Pace()), list[int]()

    def two_wait() -> bool:
        waiting[:] = [run.trial.number for run in engine.at_rung.get(1, [])]
        return len(waiting) == 2

    engine.search(two_wait)
    stopped = store.study.trials
    assert {stopped[number].state for number in waiting} == {TrialState.WAITING}
    finished = run(store, tiny, 8)
    assert [trial.params for trial in finished[: len(stopped)]] == [trial.params for trial in stopped]
    assert audit(finished, 8) == CLEAN


class Watched(Pace):
    """Notes of each trial that ends how, and whether others train while it is told."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.noted: list[tuple[str, bool, bool]] = []

    def ended(self, run: Run, state: str) -> None:  # noqa: ARG002
        assert self.engine is not None
        others = any(fleet.members for fleet in self.engine.fleets)
        self.noted.append((state, others, any(task.epoch is not None for task in self.engine.fleets._tasks)))


def test_a_stopped_trial_is_told_while_those_in_its_room_train(tmp_path: Path, tiny: Parts) -> None:
    store, watched = at(tmp_path, pruner=PruneAll(), rungs=[1], rung_size=3), Watched()
    store.set_budget(9)
    watched.engine = Engine(store, tiny, 64, watched)
    watched.engine.search(never)
    pruned = [(others, training) for state, others, training in watched.noted if state == "pruned"]
    assert len(pruned) == 8
    assert (True, True) in pruned
    assert (True, False) not in pruned
    assert audit(store.study.trials, 9) == CLEAN


def test_what_the_pruner_stopped_is_told_though_the_search_is_stopped_too(tmp_path: Path, tiny: Parts) -> None:
    store = at(tmp_path, pruner=PruneAll(), rungs=[1], rung_size=3)
    store.set_budget(9)
    engine = Engine(store, tiny, 64, Pace())
    stopped: list[int] = []

    def stop() -> bool:
        stopped.extend(run.trial.number for run in engine.stopped)
        return bool(stopped)

    engine.search(stop)
    assert len(stopped) == 3
    assert {store.study.trials[number].state for number in stopped} == {TrialState.PRUNED}
    assert audit(run(store, tiny, 9), 9) == CLEAN


class SmallFleet(Fleet):
    """A device whose memory holds so many units and no more."""

    def train_epoch(self) -> None:
        if self.units > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        super().train_epoch()


def shrinking(store: StudyStore, data: Parts, fleet: type[Fleet], monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr("model.fleet.fleets.Fleet", fleet)
    return Engine(store, data, 256, Screen(store, 6, Console(quiet=True)))


def test_out_of_memory_halves_the_fleet_and_is_no_trials_fault(
    tmp_path: Path, tiny: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"hidden_units": IntDistribution(4, 30), "lr": FloatDistribution(1e-3, 1e-1, log=True)}
    store = at(tmp_path, space=Space.of(space))
    engine = shrinking(store, tiny, SmallFleet, monkeypatch)
    store.set_budget(6)
    engine.search(never)
    assert engine.capacity <= 64
    assert isinstance(engine.listener, Screen)
    assert engine.listener.runs == []
    assert engine.listener.ended_by["given back"] > 0
    assert audit(store.study.trials, 6) == CLEAN
    assert store.counts().failed == 0


class NoFleet(Fleet):
    """A device without any memory."""

    def attach(self, *arguments: Any) -> Any:  # noqa: ARG002
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_without_memory_for_a_single_trial_the_search_ends_and_gives_back(
    tmp_path: Path, tiny: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = at(tmp_path)
    store.set_budget(3)
    with pytest.raises(SearchError, match="no memory left for a single trial"):
        shrinking(store, tiny, NoFleet, monkeypatch).search(never)
    counts = store.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting == 1


class Eager(Pace):
    """Notes how many trials train side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def trained(self, runs: list[Run]) -> None:
        self.most = max(self.most, len(runs))


def test_trials_train_side_by_side_while_there_is_room(tmp_path: Path) -> None:
    listener, store = Eager(), store_at(f"sqlite:///{tmp_path}/study.db")
    store.set_budget(6)
    Engine(store, made_up_mnist(), 128, listener).search(never)
    assert listener.most > 1
