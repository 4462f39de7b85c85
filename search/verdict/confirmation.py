"""Confirms a search: trains the arms of `studies/confirmation.py` from fresh seeds, in SQL, by the same engine.

    write the list (once, under the lock) ──► per seed: its trials, all from the first batch on ──► time each setting

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
from model.seeds import derive
from search.store.attributes import nonsense
from search.store.queue import enqueue
from search.store.study import StudyStore, open_study, stored_epochs
from search.store.trials import ranking, usable
from search.training.display import Lines, watch
from search.training.engine import POLL_SECONDS, Engine, Listener, Run
from studies.asked import Asked
from studies.claims import SweetSpot
from studies.confirmation import EPOCHS, Arm, Plan, asked_of, confirmation_of, plan, timed
from studies.foreign import excluded
from studies.settings import Setting
from studies.space import Space

ROUNDS = 7  # of timing, each width once a round
OPEN = (TrialState.WAITING, TrialState.RUNNING)
PLAN, TIMING = "plan", "timing"  # study attributes
SEED = "seed_index"  # attribute of every trial


class ConfirmationStore(StudyStore):
    """The store of a confirmation; hands out the trials of one seed at a time."""

    seed_index = -1

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
        return [trial for trial in trials if not excluded(self.study, trial, _unplanned(trial, self.spec.searched))]


class SeedEngine(Engine):
    """Trains trials of one seed, all from the first batch on; ends when they have ended."""

    def __init__(self, store: ConfirmationStore, data: Any, capacity: int, listener: Listener) -> None:
        super().__init__(store, data, capacity, listener, order=("confirm", "order", store.seed_index))
        self.data = data
        self.gaps: dict[int, dict[int, float]] = {}  # by trial number, then epoch
        self.tested = asked_of(store.study.user_attrs).tested

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
    return confirm(open_confirmation(search, seeds, length), data, capacity, console, stop)


def open_confirmation(search: StudyStore, seeds: int, epochs: int) -> ConfirmationStore:
    """Open the confirmation of a search, with every arm of its plan written down for every seed, once.

    Any number of processes may do this at once. Raises `StudyMismatchError` where it was begun with other epochs.
    """
    asked = asked_of(search.study.user_attrs)
    opened = open_study(search.storage, replace(confirmation_of(search.spec, epochs), asked=asked), search.seed)
    store = ConfirmationStore(opened.storage, opened.study, opened.spec, opened.seed)
    trials = usable(search.study, TrialState.COMPLETE, TrialState.PRUNED)
    drawn = plan(search.study.study_name, trials, asked, search.spec.space)
    with store.storage.lock(store.study.study_name):
        if store.study.user_attrs.get(PLAN) != drawn.as_dict():
            store.study.set_user_attr(PLAN, drawn.as_dict())
            store.study.set_user_attr("search", search.study.study_name)
            search.study.set_user_attr("confirmation", store.study.study_name)
        _write_down(store, drawn, seeds)
    return store


def _write_down(store: StudyStore, drawn: Plan, seeds: int) -> None:
    """Enqueue what is missing; a trial run again after its worker died counts as there."""
    trials = store.study.get_trials(deepcopy=False)
    there = {_key(trial) for trial in trials if not excluded(store.study, trial, nonsense(trial))}
    for index in range(seeds):
        init_seed = derive(store.seed, "confirm", "trial", index)
        for arm in dict.fromkeys(drawn.trained(arm) for arm in drawn.arms):
            if (*arm_key(arm), index) not in there:
                known = {name: value for name, value in arm.attributes().items() if value is not None}
                enqueue(store.study, store.spec.space, dict(arm.params), **known, seed_index=index, init_seed=init_seed)


def arm_key(arm: Arm) -> tuple[Any, ...]:
    """Return what tells an arm from all others, also those of an earlier plan."""
    return (arm.protocol, arm.params, arm.role)


def arm_of(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return the key of a trial's arm, whether it has started or still waits."""
    return (trial.user_attrs.get("protocol"), Setting.of(_params(trial)), trial.user_attrs.get("role"))


def _params(trial: FrozenTrial) -> dict[str, Any]:
    return trial.params or trial.system_attrs.get("fixed_params", {})


def _unplanned(trial: FrozenTrial, space: Space) -> str | None:
    """Return why a waiting trial is none of a confirmation's, None if it is."""
    known = SEED in trial.user_attrs and "protocol" in trial.user_attrs and not space.wrong(_params(trial))
    return None if known else "no arm and seed are given"


def _key(trial: FrozenTrial) -> tuple[Any, ...]:
    return (*arm_of(trial), trial.user_attrs.get(SEED))


def confirm(store: ConfirmationStore, data: Any, capacity: int, console: Console, stop: Callable[[], bool]) -> bool:
    """Train all that is written down, then time every width; return whether everything is done.

    Several processes share the work; each returns when no trial is left, and the last one times.
    """
    counts = store.counts()
    total = counts.finished + counts.waiting + counts.running
    if counts.finished < total:
        console.print(
            f"\nconfirming on fresh seeds: {total - counts.finished} of {total} runs to go, "
            f"{store.spec.epochs} epochs each, in the study {store.study.study_name!r}",
            markup=False,
        )
        with watch(store, total, console, each=False) as listener:
            _train_all(store, data, capacity, listener, stop)
    if stop():
        return False
    _time(store, data.train, console, asked_of(store.study.user_attrs))
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
        else:
            return


def _time(store: StudyStore, train: Any, console: Console, asked: Asked) -> None:
    """Time every setting whose time is to be known alone, unless that was done.

    The lock keeps other processes of the study from competing.
    """
    wanted = _to_time(asked, Plan.of(store.study.user_attrs[PLAN]))
    if not wanted:
        return
    with store.storage.lock(store.study.study_name):
        known = timed(store.study.user_attrs.get(TIMING, {}))
        if all(any(each.holds(setting) for setting, _ in known) for each in wanted):
            return
        console.print(f"timing an epoch of {len(wanted)} settings, each alone, {ROUNDS} rounds", markup=False)
        store.study.set_user_attr(TIMING, measure(wanted, train, store.spec.batch, store.spec.family))


def _to_time(asked: Asked, drawn: Plan) -> list[Setting]:
    """Return what is to be timed where a claim is about time: its settings, and what a sweet spot is looked for among,
    since a page shows what that costs."""
    about = [setting for claim in asked.claims if claim.timed for setting in claim.settings()]
    stated = {arm.setting for arm in drawn.arms if arm.protocol == asked.protocols.stated}
    lines = [claim.line(stated) for claim in asked.claims if isinstance(claim, SweetSpot)]
    return sorted({*about, *chain.from_iterable(lines)}, key=Setting.order) if about else []


def measure(
    wanted: Sequence[Setting],
    train: Any,
    batch: int,
    family: Family,
    rounds: int = ROUNDS,
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
