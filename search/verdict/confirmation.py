"""Confirms a search: trains the arms of `studies/confirmation.py` from fresh seeds, in SQL, by the same engine.

    write a round's list (once, under the lock) ──► per seed: its trials, all from the first batch on ──┐
        ▲                                                                                               │
        └───────────────── rounds.py: which arms get another seed ◄─────────────────────────────────────┴──► time each

A *cohort* is trials that start together and share one order of batches, named by the seed index: so arms are
paired on initialisation and batches alike, whichever process trains them, and in whatever order.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from model.device import describe
from model.fleet.family import Family, Scored
from search.store.study import StudyStore, open_study, stored_epochs
from search.store.trials import ranking, usable
from search.training.display import Lines, watch
from search.training.engine import POLL_SECONDS, Engine, Listener, Run
from search.verdict.rounds import NONE, ROUNDS, Limits, open_round
from search.verdict.runs import SEED, params_of
from studies.aims import SECONDS, Aim
from studies.asked import Asked
from studies.claims import SweetSpot
from studies.confirmation import EPOCHS, RULE, Plan, asked_of, confirmation_of, plan, timed
from studies.foreign import excluded
from studies.settings import Setting
from studies.space import Space

TIMING_ROUNDS = 7  # each width once a round
OPEN = (TrialState.WAITING, TrialState.RUNNING)
PLAN, TIMING = "plan", "timing"  # study attributes


class ConfirmationStore(StudyStore):
    """The store of a confirmation; hands out the trials of one seed at a time."""

    def __init__(
        self, opened: StudyStore, asked: Asked, drawn: Plan, limits: Limits, against: Aim | None = None
    ) -> None:
        super().__init__(opened.storage, opened.study, opened.spec, opened.seed)
        self.asked = asked
        self.drawn = drawn
        self.limits = limits
        self.against = against  # the search's second aim
        self.seed_index = -1

    def total(self) -> int:
        """Return the number of runs that are written down so far, without those that failed."""
        counts = self.counts()
        return counts.finished + counts.waiting + counts.running

    def next_round(self) -> bool:
        """Write down the trials of the next round, if there is one, and return whether any trial is open."""

        def under_lock() -> bool:
            with self.storage.lock(self.study.study_name):
                open_round(self, self.asked, self.drawn, self.limits)
                return bool(self._waiting()) or self.counts().running > 0  # another may have taken all of it already

        return self.storage.retry(under_lock)

    def next_seed(self) -> int | None:
        """Turn to the seed of the first waiting trial and return its index; None if no trial waits."""
        if time.monotonic() - self.storage.retry.returned >= self.grace_seconds:  # else heartbeats are yet to come
            self.storage.retry(self._fail_stale)
        waiting = self.storage.retry(self._waiting)
        self.seed_index = waiting[0].user_attrs[SEED] if waiting else -1
        return self.seed_index if waiting else None

    def acquire(self) -> optuna.Trial | None:
        """Take the first waiting trial of the seed, or return None if none waits."""
        return self._acquire({SEED: self.seed_index})

    def _waiting(self) -> list[FrozenTrial]:
        """Return those that are ours: others' would be waited for, and never acquired."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return [trial for trial in trials if not excluded(self.study, trial, _unplanned(trial, self.spec.space))]


class SeedEngine(Engine):
    """Trains trials of one seed, all from the first batch on; ends when they have ended."""

    def __init__(self, store: ConfirmationStore, data: Any, capacity: int, listener: Listener) -> None:
        super().__init__(store, data, capacity, listener, order=("confirm", "order", store.seed_index))
        self.data = data
        self.gaps: dict[int, dict[int, float]] = {}  # by trial number, then epoch
        self.tested = store.asked.tested

    def _work(self, stop: Callable[[], bool]) -> None:
        """Fill the fleets once and train them."""
        try:
            self._refill()
            while self.runs and not stop():
                self._train()
        except torch.OutOfMemoryError as error:
            self._shrink(error)  # the trials are given back, and fewer are taken at once

    def _score(self, run: Run) -> Scored:
        """Scored on the training set as well, for the gap by epoch; that of the last one is among the figures."""
        score = super()._score(run)
        if run.member.epochs_trained == self.store.spec.epochs:
            return score
        gap = self.family.score(run.member.network(), self.train_set).value - score.value
        self.gaps.setdefault(run.trial.number, {})[run.member.epochs_trained] = gap
        return score

    def _figures(self, run: Run) -> dict[str, Any]:
        """Add the gap by epoch and, for the winner, the baseline and where a claim asks for it, the test set's value.

        It is of the last epoch of a setting that was chosen before, and chooses nothing.
        """
        figures = super()._figures(run)
        figures["gap_by_epoch"] = {**self.gaps.get(run.trial.number, {}), run.member.epochs_trained: figures["gap"]}
        if run.trial.user_attrs.get("role") or Setting.of(run.trial.params) in self.tested:
            test = self.family.score(run.member.network(), self.data.test)
            figures |= {f"test_{self.store.spec.measure}": test.value, "test_loss": test.loss}
        return figures


def confirm_search(
    search: StudyStore,
    data: Any,
    seeds: int,
    epochs: int | None,
    capacity: int,
    *,
    minutes: float | None = None,
    console: Console,
    stop: Callable[[], bool],
) -> bool:
    """Confirm what a search has found and return whether that is done; 0 seeds ask for nothing.

    `epochs` None means those that the confirmation was begun with, or `EPOCHS` but no more than the search's.
    """
    if not seeds or stop() or not ranking(search.study):
        return False
    stored = stored_epochs(search.storage, confirmation_of(search.spec).name)
    length = epochs or stored or min(EPOCHS, search.spec.epochs)
    return confirm(open_confirmation(search, seeds, length, minutes), data, capacity, console, stop)


def open_confirmation(search: StudyStore, seeds: int, epochs: int, minutes: float | None = None) -> ConfirmationStore:
    """Open the confirmation of a search, with its plan and the round that is to be trained written down, once.

    A confirmation that was begun on a fixed number of seeds goes on so. Any number of processes may do this at once.
    Raises `StudyMismatchError` where it was begun with other epochs.
    """
    asked = asked_of(search.study.user_attrs)
    opened = open_study(search.storage, replace(confirmation_of(search.spec, epochs), asked=asked), search.seed)
    trials = usable(search.study, TrialState.COMPLETE, TrialState.PRUNED)
    stored = opened.study.user_attrs.get(PLAN)
    rule = RULE if stored is None else stored.get("rule")
    drawn = plan(search.study.study_name, trials, asked, search.spec.space, rule)
    store = ConfirmationStore(opened, asked, drawn, Limits(seeds, minutes), search.spec.against)
    search.storage.retry(lambda: _state(search, store))
    return store


def _state(search: StudyStore, store: ConfirmationStore) -> None:
    """Write down what is to be confirmed, unless it is there, and its first round."""
    with store.storage.lock(store.study.study_name):
        if store.study.user_attrs.get(PLAN) != store.drawn.as_dict():
            if ROUNDS in store.study.user_attrs:
                store.study.set_user_attr(ROUNDS, NONE)  # those were of another plan
            store.study.set_user_attr(PLAN, store.drawn.as_dict())
            store.study.set_user_attr("search", search.study.study_name)
            search.study.set_user_attr("confirmation", store.study.study_name)
        open_round(store, store.asked, store.drawn, store.limits)


def _unplanned(trial: FrozenTrial, space: Space) -> str | None:
    """Return why a waiting trial is none of a confirmation's, None if it is."""
    known = SEED in trial.user_attrs and "protocol" in trial.user_attrs and not space.wrong(params_of(trial))
    return None if known else "no arm and seed are given"


def confirm(store: ConfirmationStore, data: Any, capacity: int, console: Console, stop: Callable[[], bool]) -> bool:
    """Train all that is written down, then time every width; return whether everything is done.

    Several processes share the work; each returns when no trial is left, and the last one times.
    """
    finished, total = store.counts().finished, store.total()
    if finished < total:
        later = (
            f"; then a seed at a time for what is not settled, up to {store.limits.seeds}" if store.drawn.rule else ""
        )
        console.print(
            f"\nconfirming on fresh seeds: {total - finished} of {total} runs to go, "
            f"{store.spec.epochs} epochs each, in the study {store.study.study_name!r}{later}",
            markup=False,
        )
        with watch(store, total, console, each=False) as listener:
            _train_all(store, data, capacity, listener, stop)
    if stop():
        return False
    _time(store, data.train, console)
    return True


def _train_all(store: ConfirmationStore, data: Any, capacity: int, listener: Lines, stop: Callable[[], bool]) -> None:
    while not stop():
        seed_index = store.next_seed()
        if seed_index is not None:
            seed_engine = SeedEngine(store, data, capacity, listener)
            seed_engine.search(stop)
            capacity = seed_engine.capacity  # what the device's memory has left of it
            if any(fleet.clock for fleet in seed_engine.fleets):  # it trained; another process may have been faster
                listener.say(f"confirmed {store.counts().finished} of {listener.budget} runs")
        elif store.counts().running:
            time.sleep(POLL_SECONDS)
        elif not store.next_round():
            return
        else:
            listener.budget = store.total()


def _time(store: ConfirmationStore, train: Any, console: Console) -> None:
    """Time every setting whose time is to be known alone, unless that was done.

    The lock keeps other processes of the study from competing.
    """
    wanted = _to_time(store.asked, Plan.of(store.study.user_attrs[PLAN]), store.against)
    if not wanted:
        return
    with store.storage.lock(store.study.study_name):
        known = timed(store.study.user_attrs.get(TIMING, {}))
        if all(any(each.holds(setting) for setting, _ in known) for each in wanted):
            return
        console.print(f"timing an epoch of {len(wanted)} settings, each alone, {TIMING_ROUNDS} rounds", markup=False)
        store.study.set_user_attr(TIMING, measure(wanted, train, store.spec.batch, store.spec.family))


def _to_time(asked: Asked, drawn: Plan, against: Aim | None) -> list[Setting]:
    """Return what is to be timed where a claim is about time: its settings, and what a sweet spot is looked for among,
    since a page shows what that costs. Where the search's second aim is time, that is every setting."""
    if against == SECONDS:
        return sorted({arm.setting for arm in drawn.arms}, key=Setting.order)
    about = [setting for claim in asked.claims if claim.timed for setting in claim.settings()]
    stated = {arm.setting for arm in drawn.arms if arm.protocol == asked.protocols.stated}
    lines = [claim.line(stated) for claim in asked.claims if isinstance(claim, SweetSpot)]
    return sorted({*about, *chain.from_iterable(lines)}, key=Setting.order) if about else []


def measure(
    wanted: Sequence[Setting],
    train: Any,
    batch: int,
    family: Family,
    rounds: int = TIMING_ROUNDS,
) -> dict[str, Any]:
    """Return seconds per epoch of each setting alone, in interleaved rounds after one to warm up, in JSON types."""
    seconds: list[list[float]] = [[] for _ in wanted]
    for turn in range(rounds + 1):
        for params, taken in zip(wanted, seconds, strict=True):
            once = family.epoch_seconds(params, train, batch)
            if turn:  # the first one pays for page faults and for choosing kernels
                taken.append(once)
    return {
        "device": describe(train.device),
        "torch": torch.__version__,
        "images": len(train),
        "batch": batch,
        "settings": [
            {
                "setting": dict(params),
                "seconds_per_epoch": taken,
                "flops_per_epoch": family.epoch_flops(params, len(train)),
            }
            for params, taken in zip(wanted, seconds, strict=True)
        ],
    }
