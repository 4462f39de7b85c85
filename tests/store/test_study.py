"""The promises of a study, on SQLite and on a real PostgreSQL: an exact budget, and every trial accounted for."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from benchmarks.faults import CLEAN, EPOCHS, audit, execute, kill, search, start, store_at, wait_until, work
from search.errors import NotFoundError, StudyMismatchError
from search.store.queue import enqueue
from search.store.storage import open_storage
from search.store.study import StudyStore, TrialLostError, load_study, open_study, process_name, stored_epochs
from studies.space import Space
from studies.spec import StudySpec
from studies.sweet_spot import BASELINE, SPACE, sweet_spot


@pytest.fixture
def store(url: str) -> StudyStore:
    return store_at(url)


def trials_at(url: str) -> list[optuna.trial.FrozenTrial]:
    return load_study(open_storage(url, create=False), "study").get_trials()


def test_the_baseline_is_claimed_first_then_sampled_trials_up_to_the_budget(store: StudyStore) -> None:
    store.set_budget(3)
    trials = [store.acquire() for _ in range(4)]
    assert trials.pop() is None
    assert [trial.number for trial in trials if trial] == [0, 1, 2]
    assert trials[0] is not None
    assert trials[0].params == BASELINE
    assert trials[0].user_attrs["baseline"] is True
    assert all(trial.user_attrs["worker"] == store.worker for trial in store.study.trials)


def test_a_trial_that_ends_leaves_room_in_the_budget_only_if_it_failed(store: StudyStore) -> None:
    store.set_budget(2)
    first, second = store.acquire(), store.acquire()
    assert first
    assert second
    store.complete(first, 0.5, {"parameters": 1})
    assert store.acquire() is None
    store.fail(second, "diverged in epoch 1")
    assert store.acquire() is not None
    assert store.acquire() is None
    store.set_budget(3)
    assert store.acquire() is not None


def test_telling_twice_stores_it_once(store: StudyStore) -> None:
    trial = store.acquire()
    assert trial
    store.report(trial, 0.5, 1)
    store.report(trial, 0.5, 1)
    assert store.should_prune(trial) is False
    store.complete(trial, 0.5, {"parameters": 1})
    store.complete(trial, 0.5, {"parameters": 2})
    (stored,) = store.study.trials
    assert (stored.value, stored.user_attrs["parameters"]) == (0.5, 1)
    assert stored.intermediate_values == {1: 0.5}


@pytest.mark.parametrize(
    "tell",
    [
        lambda store, trial: store.report(trial, 0.5, 1),
        lambda store, trial: store.complete(trial, 0.5, {"parameters": 1}),
        lambda store, trial: store.prune(trial, {"parameters": 1}),
    ],
    ids=["report", "complete", "prune"],
)
def test_what_was_ended_elsewhere_is_lost_and_not_told(
    url: str, store: StudyStore, tell: Callable[[StudyStore, Any], None]
) -> None:
    trial = store.acquire()
    assert trial
    execute(url, "UPDATE trials SET state = 'FAIL'")
    with pytest.raises(TrialLostError, match="trial 0 was ended elsewhere"):
        tell(store, trial)
    (stored,) = store.study.trials
    assert (stored.state, stored.value) == (TrialState.FAIL, None)
    assert "parameters" not in stored.user_attrs


def test_the_engine_drops_a_trial_that_was_ended_elsewhere_and_goes_on(
    url: str, store: StudyStore, caplog: pytest.LogCaptureFixture
) -> None:
    def meddle() -> bool:
        execute(url, "UPDATE trials SET state = 'FAIL' WHERE number = 1 AND state = 'RUNNING'")
        return False

    search(store, 4, stop=meddle)
    assert audit(store.study.trials, 4) == CLEAN
    assert store.study.trials[1].state == TrialState.FAIL
    assert "trial 1 was ended elsewhere; its result is dropped" in caplog.text


def test_four_workers_finish_exactly_the_budget(url: str) -> None:
    workers = [start(work, url, 12) for _ in range(4)]
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert audit(trials_at(url), 12) == CLEAN


def test_a_worker_that_is_killed_loses_nothing(url: str) -> None:
    store = store_at(url)
    workers = [start(work, url, 10, pace=0.05, grace=2.0) for _ in range(2)]
    for k in range(2):
        wait_until(lambda: store.counts().running)
        kill(workers[k])
        workers.append(start(work, url, 10, pace=0.01, grace=2.0))
    for worker in workers[2:]:
        worker.join(120)
    assert [worker.exitcode for worker in workers[2:]] == [0, 0]
    trials = trials_at(url)
    assert audit(trials, 10) == CLEAN
    stale = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert stale
    again = {trial.user_attrs.get("retry_of"): trial.params for trial in trials}
    assert all(trial.user_attrs["reason"].startswith("stale") for trial in stale)
    assert all(trial.params == again[trial.number] for trial in stale if trial.params.keys() == SPACE.keys())


def test_a_parent_that_sees_a_worker_die_queues_its_trials_at_once(url: str, store: StudyStore) -> None:
    worker = start(work, url, 5, pace=0.2)
    wait_until(lambda: any(trial.params.keys() == SPACE.keys() for trial in store.study.trials))
    kill(worker)
    assert worker.pid
    store.fail_trials_of(process_name(worker.pid))
    counts = store.counts()
    assert (counts.running, counts.failed) == (0, counts.failed)
    assert counts.waiting >= 1
    search(store, 5)
    assert audit(store.study.trials, 5) == CLEAN


def test_a_worker_that_is_terminated_gives_its_trials_back(url: str, store: StudyStore) -> None:
    worker = start(work, url, 5, pace=0.5, epochs=EPOCHS)
    wait_until(lambda: store.counts().running)
    assert worker.pid
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(120)
    assert worker.exitcode == 0
    before, counts = store.study.trials, store.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting >= 1
    search(store, 5)
    after = store.study.trials
    assert audit(after, 5) == CLEAN
    assert all(new.params == old.params for old, new in zip(before, after, strict=False) if old.params)


def test_a_closed_study_asks_for_nothing_and_a_larger_budget_extends_it(url: str, store: StudyStore) -> None:
    search(store, 3)
    before = store.study.trials
    search(store, 3)
    assert store.study.trials == before
    search(store_at(url), 5)
    assert store.study.trials[:3] == before
    assert audit(store.study.trials, 5) == CLEAN


def test_a_resumed_study_draws_what_an_uninterrupted_one_draws(tmp_path: Any) -> None:
    whole, parts = f"sqlite:///{tmp_path}/whole.db", f"sqlite:///{tmp_path}/parts.db"
    search(store_at(whole), 6, capacity=1)
    search(store_at(parts), 3, capacity=1)
    search(store_at(parts), 6, capacity=1)
    drawn = [trial.params for trial in trials_at(whole)]
    assert drawn == [trial.params for trial in trials_at(parts)]
    assert len({tuple(params.values()) for params in drawn}) == 6


def changed(**fields: Any) -> StudySpec:
    return replace(sweet_spot("study", EPOCHS), **fields)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (changed(question="Is 10?"), r'has question "Is 25 hidden units the sweet spot\?", you ask for "Is 10\?"'),
        (
            changed(space=Space.of({**SPACE, "lr": FloatDistribution(0.001, 0.1)})),
            r'has space .*"low": 0\.0001,.* you ask for .*"low": 0\.001,.*',
        ),
        (changed(direction="minimize"), 'has direction "maximize", you ask for "minimize"'),
        (changed(epochs=7), "has epochs 4, you ask for 7"),
        (changed(split={"seed": 1}), 'has split .* you ask for {"seed": 1}'),
        (changed(batch=7), "has batch 1028, you ask for 7"),
        (changed(train_on="full"), 'has train_on "train", you ask for "full"'),
    ],
)
def test_a_stored_study_is_not_continued_as_another(url: str, store: StudyStore, spec: StudySpec, line: str) -> None:
    with pytest.raises(StudyMismatchError, match=f"study 'study' {line}; choose another --study name"):
        open_study(store.storage, spec)
    assert store.counts().waiting == 1


def test_a_stored_study_is_not_continued_with_another_seed(url: str, store: StudyStore) -> None:
    assert store_at(url).seed == 0
    with pytest.raises(StudyMismatchError, match="has seed 0, you ask for 1"):
        store_at(url, seed=1)


def test_a_study_of_somebody_else_is_left_alone(url: str) -> None:
    storage = open_storage(url, create=True)
    optuna.create_study(study_name="study", storage=storage.optuna).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(StudyMismatchError, match="was not made by sweetspot"):
        store_at(url)
    assert len(trials_at(url)) == 1


def test_an_unknown_study_is_named_with_those_there_are(url: str, store: StudyStore) -> None:
    with pytest.raises(NotFoundError, match=r"no study 'other' in .*; there are: study"):
        load_study(store.storage, "other")
    assert stored_epochs(store.storage, "study") == EPOCHS
    assert stored_epochs(store.storage, "other") is None


@pytest.mark.parametrize(
    ("params", "line"),
    [
        ({"hidden_units": 25, "lr": 0.02, "dropout": 0.5}, "parameter 'dropout' is unknown"),
        ({"hidden_units": 25}, "the trial has no lr"),
        ({"hidden_units": 3, "lr": 0.02}, "hidden_units = 3 is outside"),
        ({"hidden_units": 25.5, "lr": 0.02}, "hidden_units = 25.5 is outside"),
        ({"hidden_units": "25", "lr": 0.02}, "hidden_units = '25' is outside"),
        ({"hidden_units": True, "lr": 0.02}, "hidden_units = True is outside"),
        ({"hidden_units": None, "lr": 0.02}, "hidden_units = None is outside"),
        ({"hidden_units": 25, "lr": float("nan")}, "lr = nan is outside"),
        ({"hidden_units": 25, "lr": float("inf")}, "lr = inf is outside"),
        ({"hidden_units": 25, "lr": [0.02]}, "lr = .* is outside"),
    ],
)
def test_a_trial_with_parameters_that_do_not_fit_is_not_queued(
    store: StudyStore, params: dict[str, Any], line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        enqueue(store.study, SPACE, params)
    assert store.counts().waiting == 1


def test_what_others_queue_is_refused_if_it_does_not_fit_and_run_as_it_is_if_it_does(store: StudyStore) -> None:
    store.study.enqueue_trial({"hidden_units": 1000, "lr": 0.02})
    store.study.enqueue_trial({"hidden_unit": 25})
    store.study.enqueue_trial({"hidden_units": 30})
    store.set_budget(2)
    claimed = [store.acquire() for _ in range(2)]
    assert [trial.number for trial in claimed if trial] == [0, 3]
    assert claimed[1]
    assert claimed[1].params["hidden_units"] == 30
    assert [trial.user_attrs.get("reason") for trial in store.study.trials[1:3]] == [
        f"refused: hidden_units = 1000 is outside {SPACE['hidden_units']}",
        "refused: parameter 'hidden_unit' is unknown; the space has hidden_units, lr",
    ]
