"""Beside a search its confirmation begins: the same runs, and the same search, as one after the other; none is lost."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from benchmarks.faults import Pace, made_up_mnist, start, wait_until
from model.fleet.fleet import Fleet
from model.fleet.fleets import Fleets
from model.threads import using
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.training.engine import Engine
from search.training.replay import Recipe, replayed
from search.verdict.confirmation import ConfirmationStore, begin_beside, confirm_search, open_confirmation
from search.verdict.runs import arm_key, arm_of
from studies.confirmation import early_arms, plan
from studies.sweet_spot import ARTICLE, SPACE, article_network, sweet_spot
from tests.support.tiny_study import FAMILY, quiet

TRIALS, EPOCHS, CAPACITY = 6, 9, 64
CONFIRM = (2, 4)  # seeds, and the epochs of a run: a search's end has room for some of them, not for all
NOT_COMPARED = {"seconds", "worker", "stints"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with using(2):
        yield


def at(url: str) -> StudyStore:
    store = open_study(open_storage(url, create=True), sweet_spot("s", EPOCHS), 5)
    store.set_budget(TRIALS)
    return store


def never() -> bool:
    return False


def job(url: str, *, beside: bool = True, seconds: float = 0.0) -> None:
    """Search and confirm; `seconds` are spent after each epoch of a search's trials, for who is to kill it there."""
    store, data, begun = at(url), made_up_mnist(), []

    def begin() -> Engine:
        begun.append(begin_beside(store, data, *CONFIRM, CAPACITY))
        return begun[0]

    Engine(store, data, CAPACITY, Pace(seconds), beside=begin if beside else None).search(never)
    assert "test" not in vars(data)  # nothing of it is read before all is chosen
    going_on = begun[0] if begun else None
    assert confirm_search(store, data, *CONFIRM, CAPACITY, beside=going_on, console=quiet, stop=never)


def trials_of(url: str, name: str) -> list[dict[str, Any]]:
    """Return all that is stored of a study's trials but times, and who trained them; sorted: numbers may differ."""
    study = at(url).study if name == "s" else open_confirmation(at(url), *CONFIRM).study
    found = [
        {
            "params": trial.params,
            "values": trial.values,
            "state": trial.state.name,
            "reports": trial.intermediate_values,
            **{key: value for key, value in trial.user_attrs.items() if key not in NOT_COMPARED},
        }
        for trial in study.get_trials()
    ]
    return sorted(found, key=lambda each: (str(each["params"]), each.get("protocol", ""), each.get("seed_index", 0)))


def confirmation(url: str) -> ConfirmationStore:
    return open_confirmation(at(url), *CONFIRM)


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One after the other."""
    url = f"sqlite:///{tmp_path_factory.mktemp('after')}/s.db"
    with using(2):
        job(url, beside=False)
    return url


def early_runs(url: str) -> list[tuple[Any, ...]]:
    arms = {arm_key(arm) for arm in early_arms(ARTICLE, SPACE)}
    runs = [trial for trial in confirmation(url).study.get_trials() if trial.values and arm_of(trial) in arms]
    return sorted(
        (str(arm_of(run)), run.user_attrs["seed_index"], run.values, run.user_attrs["val_loss"]) for run in runs
    )


def begun_early(url: str) -> list[Any]:
    end = max(trial.datetime_complete for trial in at(url).study.get_trials() if trial.datetime_complete)
    trials = confirmation(url).study.get_trials()
    return [trial for trial in trials if trial.datetime_start and trial.datetime_start < end]


def test_search_and_confirmation_are_the_same_to_the_bit_as_one_after_the_other(url: str, after: str) -> None:
    job(url)
    assert begun_early(url)
    assert trials_of(url, "s") == trials_of(after, "s")
    assert trials_of(url, "s/confirm") == trials_of(after, "s/confirm")


def test_what_trains_when_the_search_ends_goes_on_and_can_be_trained_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    job(url)
    end = max(trial.datetime_complete for trial in at(url).study.get_trials() if trial.datetime_complete)
    across = [trial for trial in begun_early(url) if trial.datetime_complete > end]
    assert across
    for trial in across:
        assert [epochs for *_, epochs, threads in trial.user_attrs["stints"]] == [CONFIRM[1]]  # never given back
        assert {threads for *_, threads in trial.user_attrs["stints"]} == {1}
    assert replayed(across[0], Recipe(made_up_mnist(), FAMILY)).repeats(across[0])


def test_a_search_that_is_interrupted_gives_all_back_and_goes_on_to_the_same_end(tmp_path: Path, after: str) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    store, data, begun = at(url), made_up_mnist(), []

    def begin() -> Engine:
        begun.append(begin_beside(store, data, *CONFIRM, CAPACITY))
        return begun[0]

    def trains_beside() -> bool:
        return bool(begun and begun[0].runs)

    Engine(store, data, CAPACITY, Pace(), beside=begin).search(trains_beside)
    begun[0].give_back()
    for study in (store.study, begun[0].store.study):
        assert not study.get_trials(states=(TrialState.RUNNING,))
    job(url)
    assert trials_of(url, "s/confirm") == trials_of(after, "s/confirm")


def test_a_process_killed_while_it_trains_beside_loses_nothing(url: str, after: str) -> None:
    worker = start(job, url, seconds=0.3)
    store = begin_beside(at(url), made_up_mnist(), *CONFIRM, CAPACITY).store
    wait_until(lambda: store.study.get_trials(states=(TrialState.RUNNING,)))
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    for each in (at(url), store):
        each.fail_trials_of(f"{os.uname().nodename}:{worker.pid}:")
    job(url)
    # What the search retrained had other neighbours in time, and may have won; the early arms are what they were.
    assert early_runs(url) == early_runs(after)
    runs = [(arm_of(t), t.user_attrs["seed_index"]) for t in confirmation(url).study.get_trials() if t.values]
    assert len(runs) == len(set(runs)) == CONFIRM[0] * len(confirmation(url).drawn.to_train())


class Broken(Fleet):
    """Its memory is gone when it trains."""

    def train_epoch(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_memory_that_is_gone_in_the_background_gives_all_trials_back(
    tmp_path: Path, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, real, broken = f"sqlite:///{tmp_path}/s.db", Fleets.in_background, []

    def once(self: Fleets, order_seed: int, capacity: int) -> Fleet | None:
        fleet = real(self, order_seed, capacity)
        if fleet is not None and not broken:
            broken.append(fleet)
            fleet.__class__ = Broken
        return fleet

    monkeypatch.setattr(Fleets, "in_background", once)
    job(url)
    assert broken
    assert trials_of(url, "s/confirm") == trials_of(after, "s/confirm")


@given(st.integers(4, 256), st.floats(1e-4, 1e-1))
def test_every_plan_has_the_early_arms_whatever_won(units: int, lr: float) -> None:
    baseline, won = ({"hidden_units": 25, "lr": 0.02}, 0.9), ({"hidden_units": units, "lr": lr}, 0.95)
    trials = [
        create_trial(state=TrialState.COMPLETE, value=value, params=params, distributions=SPACE)
        for params, value in (baseline, won)
    ]
    drawn = plan("s", trials, ARTICLE, SPACE)
    early = early_arms(ARTICLE, SPACE)
    assert {arm_key(arm) for arm in early} <= {arm_key(arm) for arm in drawn.to_train()}
    assert [arm.setting["hidden_units"] for arm in early] == [10, 16, 40, 64, 100]  # 25 is scored on the test set


def test_fleets_in_the_background_train_while_the_others_have_nothing(tiny: Any) -> None:
    with Fleets(tiny.train, 0, 64) as fleets:
        first, second = fleets
        first.add(article_network(16, 0), 0.01)
        behind = fleets.in_background(7, 512)
        assert behind is not None
        assert behind.order_seed == 7
        behind.add(article_network(8, 0), 0.01)
        assert fleets.in_background(8, 512) is None  # the other place is behind a fleet that trains
        while (clocks := (first.clock, behind.clock)) != (3, 3) and max(clocks) < 50:
            fleets.train_next()
        assert not fleets.has_room_in_background(512)
        second.add(article_network(16, 0), 0.01)
        paused = behind.clock + 1  # an epoch of it may be under way
        for _ in range(8):
            fleets.train_next()
        assert second.clock > 2
        assert behind.clock <= paused
