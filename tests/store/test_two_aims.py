"""The promises of a study hold where it has two aims, on SQLite and on a real PostgreSQL."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from optuna.trial import TrialState, create_trial

from benchmarks.faults import (
    CLEAN,
    EPOCHS,
    Pace,
    age_heartbeats,
    audit,
    execute,
    kill,
    made_up_mnist,
    start,
    wait_until,
)
from search.errors import StudyMismatchError
from search.store.state import StudyState
from search.store.storage import open_storage
from search.store.study import StudyStore, TrialLostError, open_study
from search.training.engine import Engine
from studies.aims import AIMS, PARAMETERS, SECONDS
from studies.sampler import FrontSampler
from studies.spec import StudySpec
from studies.sweet_spot import BASELINE, SPACE, sweet_spot


def spec_of(against: str = "parameters") -> StudySpec:
    spec, aim = sweet_spot("study", EPOCHS), AIMS[against]
    sampler = lambda seed: FrontSampler(seed, spec.space, aim)  # noqa: E731
    return replace(spec, against=aim, sampler=sampler, pruner=NopPruner(), rungs=(), rung_size=1)


def store_at(url: str, against: str = "parameters") -> StudyStore:
    return open_study(open_storage(url, create=True), spec_of(against))


def search(store: StudyStore, budget: int, pace: float = 0.0) -> StudyState:
    store.set_budget(budget)
    Engine(store, made_up_mnist(), 64, Pace(pace)).search(lambda: False)
    return store.state()


def work(url: str, budget: int, pace: float) -> None:
    store = store_at(url)
    store.grace_seconds, store.heartbeat_seconds = 2.0, 0.3
    search(store, budget, pace)


@pytest.mark.parametrize("against", AIMS)
def test_every_trial_trains_to_its_end_and_is_told_with_both_values(url: str, against: str) -> None:
    state = search(store_at(url, against), 12)
    assert audit(list(state.trials), 12) == CLEAN
    assert {trial.state for trial in state.trials} == {TrialState.COMPLETE}
    for trial in state.trials:
        attrs = trial.user_attrs
        assert trial.values == [attrs["val_accuracy"], attrs[AIMS[against].figure]]
        assert list(trial.intermediate_values) == list(spec_of().report_epochs)  # so that its curve can be drawn
        assert trial.intermediate_values[EPOCHS] == trial.values[0]
        width = trial.params["hidden_units"]
        assert attrs["parameters"] == 785 * width + (width + 1) * width + (width + 1) * 10
    assert state.trials[0].params == BASELINE
    assert optuna.load_study(study_name="study", storage=open_storage(url, create=False).optuna).metric_names == [
        "validation accuracy",
        AIMS[against].value,
    ]


def test_time_is_stored_only_where_it_is_an_aim(url: str) -> None:
    assert all(SECONDS.figure not in trial.user_attrs for trial in search(store_at(url), 2).trials)


def test_telling_twice_stores_it_once_and_what_was_ended_elsewhere_is_lost(url: str) -> None:
    store = store_at(url)
    store.set_budget(2)
    first, second = store.acquire(), store.acquire()
    assert first
    assert second
    for _ in range(2):
        store.report(first, 0.5, 1)
    assert store.should_prune(first) is False
    for parameters in (1, 2):
        store.complete(first, 0.5, {"parameters": parameters})
    execute(url, "UPDATE trials SET state = 'FAIL' WHERE number = 1")
    for tell in (lambda: store.report(second, 0.5, 1), lambda: store.complete(second, 0.5, {"parameters": 1})):
        with pytest.raises(TrialLostError, match="trial 1 was ended elsewhere"):
            tell()
    assert [trial.values for trial in store.study.trials] == [[0.5, 1.0], None]


def test_a_study_that_is_closed_goes_on_with_what_it_drew(url: str) -> None:
    store = store_at(url)
    before = search(store, 3).trials
    store.set_budget(5)
    given_back = store.acquire()
    assert given_back
    store.report(given_back, 0.5, 1)
    store.give_back([given_back])
    after = search(store_at(url), 5).trials
    assert after[:3] == before
    assert after[3].params == given_back.params
    assert list(after[3].intermediate_values) == list(spec_of().report_epochs)
    assert audit(list(after), 5) == CLEAN


def test_a_worker_that_is_killed_loses_nothing(url: str) -> None:
    store = store_at(url)
    first = start(work, url, 8, 0.05)
    wait_until(lambda: any(trial.intermediate_values for trial in store.study.trials))
    kill(first)
    age_heartbeats(url)
    second, third = (start(work, url, 8, 0.0) for _ in range(2))
    for worker in (second, third):
        worker.join(120)
    assert (second.exitcode, third.exitcode) == (0, 0)
    assert audit(store.study.trials, 8) == CLEAN


@pytest.mark.parametrize(("one", "other"), [(None, "parameters"), ("parameters", None), ("seconds", "parameters")])
def test_a_study_is_not_continued_with_another_aim(url: str, one: str | None, other: str | None) -> None:
    def opened(against: str | None) -> StudyStore:
        spec = spec_of(against) if against else replace(spec_of(), against=None)
        return open_study(open_storage(url, create=True), spec)

    opened(one)
    was, now = ("null" if each is None else f'"{each}"' for each in (one, other))
    with pytest.raises(StudyMismatchError, match=f"has against {was}, you ask for {now}"):
        opened(other)


RIGHT: dict[str, Any] = {"params": BASELINE, "distributions": dict(SPACE)}
STRANGERS = [
    create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.99}, **RIGHT),
    create_trial(state=TrialState.FAIL, intermediate_values={1: 0.99}, **RIGHT),
    create_trial(values=[float("inf"), 1.0], **RIGHT),
    create_trial(values=[1.0, float("-inf")], **RIGHT),
    create_trial(values=[1.0, 1.0], params={"lr": 0.5}, distributions={"lr": FloatDistribution(0.1, 1, log=True)}),
    create_trial(values=[1.0, 1.0], user_attrs={"seconds_per_epoch": "long"}, **RIGHT),
]


def test_the_front_rests_on_what_can_be_compared_and_the_search_goes_on_beside_the_rest(url: str) -> None:
    store = store_at(url)
    before = search(store, 12)
    mine = {trial.number for trial in store.study.best_trials}
    assert {trial.number for trial in before.front} == mine
    store.study.add_trials(STRANGERS)
    assert {trial.number for trial in store.study.best_trials} != mine  # Optuna's own front is spoiled
    assert [trial.number for trial in store.state().front] == [trial.number for trial in before.front]
    after = search(store, store.counts().finished + 3)
    complete = [trial for trial in STRANGERS if trial.state == TrialState.COMPLETE]
    assert after.counts.complete == 12 + len(complete) + 3


def test_an_empty_study_of_one_aim_that_somebody_made_is_refused_in_a_line(url: str) -> None:
    storage = open_storage(url, create=True)
    optuna.create_study(study_name="study", storage=storage.optuna, direction="maximize")
    with pytest.raises(StudyMismatchError, match="was not made by sweetspot"):
        open_study(storage, spec_of())


def test_ranking_goes_by_the_metric_and_on_a_tie_by_the_other_aim(url: str) -> None:
    store = store_at(url)
    store.study.add_trials(
        [create_trial(values=values, **RIGHT) for values in ([0.5, 9.0], [0.7, 9.0], [0.7, 8.0], [0.4, 8.0])]
    )
    state = store.state()
    assert [trial.values for trial in state.ranked] == [[0.7, 8.0], [0.7, 9.0], [0.5, 9.0], [0.4, 8.0]]
    assert [trial.values for trial in state.front] == [[0.7, 8.0]]
    assert state.terms.against == PARAMETERS
