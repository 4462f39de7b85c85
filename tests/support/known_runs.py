"""Confirmations whose runs end at once with made-up figures, which follow from arm and seed: for tests of rounds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.faults import store_at
from search.store.study import StudyStore
from search.verdict.confirmation import ConfirmationStore, open_confirmation
from search.verdict.rounds import ROUNDS
from search.verdict.runs import arm_of
from studies.asked import Asked
from studies.claims import ACCURACY, as_good_as, better, sweet_spot
from studies.confirmation import CLAIMS
from tests.support.tiny_study import EPOCHS

BASELINE = {"hidden_units": 25, "lr": 0.02}
MEANS = {10: 0.70, 25: 0.90, 40: 0.915, 64: 0.93, 100: 0.935}  # by width
SPREAD = 0.004


def width(units: int) -> dict[str, Any]:
    return {"hidden_units": units}


OWN = Asked.of_study(
    [
        better(width(25), than=width(10), id="clear"),  # settled as soon as anything is judged
        as_good_as(width(64), than=width(100), within=0.012, id="close"),  # takes some more seeds
        sweet_spot("hidden_units", 25, among=[10, 25, 40], id="spot"),
    ],
    BASELINE,
    ACCURACY,
)


def searched(url: str, asked: Asked = OWN) -> StudyStore:
    """Return a search whose two trials have ended, with these claims; opened again where it is there."""
    store = store_at(url, EPOCHS, seed=7)
    if not store.counts().finished:
        store.study.set_user_attr(CLAIMS, asked.as_dict())
        store.set_budget(2)
        while (trial := store.acquire()) is not None:
            store.complete(trial, 0.9, {})
    return store


def confirming(url: str, seeds: int, minutes: float | None = None) -> ConfirmationStore:
    """Open its confirmation as one more worker."""
    return open_confirmation(searched(url), seeds, EPOCHS, minutes)


def figures(trial: optuna.Trial, seed: int) -> dict[str, Any]:
    """Return what a run of an arm and seed ends with, whoever trains it."""
    units = trial.params["hidden_units"]
    drawn = np.random.default_rng([units, round(1e6 * trial.params["lr"]), seed]).normal(0, SPREAD)
    value = float(MEANS.get(units, 0.9) + drawn)
    known = {"val_accuracy": value, "train_accuracy": value + 0.01, "val_loss": 0.2, "train_loss": 0.1, "gap": 0.01}
    test = {"test_accuracy": value, "test_loss": 0.2} if trial.user_attrs.get("role") else {}
    return {**known, **test, "gap_by_epoch": {"1": 0.0, "2": 0.01}, "parameters": 1000 + units, "seconds": 6.0}


def work(store: ConfirmationStore, told: Callable[[], object] = lambda: None) -> None:
    """Train all rounds to their end, as `confirm` does; `told` is called after each run."""
    while store.next_seed() is not None or store.counts().running or store.next_round():
        while store.seed_index >= 0 and (trial := store.acquire()) is not None:
            seed = trial.user_attrs["seed_index"]
            store.complete(trial, figures(trial, seed)["val_accuracy"], figures(trial, seed))
            told()


def work_at(url: str, seeds: int, log: str) -> None:
    """What a worker process does; it adds a byte to the log for each run."""
    with Path(log).open("ab", buffering=0) as file:
        work(confirming(url, seeds), lambda: file.write(b"."))


def runs_of(store: ConfirmationStore) -> list[tuple[Any, ...]]:
    """Return arm, seed, seed of the weights and value of every run, sorted."""
    trials = [trial for trial in store.study.get_trials() if trial.state.name == "COMPLETE"]
    found = [(arm_of(t), t.user_attrs["seed_index"], t.user_attrs["init_seed"], t.value) for t in trials]
    return sorted(found, key=str)


def rounds_of(store: ConfirmationStore) -> Any:
    return store.study.user_attrs[ROUNDS]
