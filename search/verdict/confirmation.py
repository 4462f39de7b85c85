"""Confirms a search: trains the arms of `studies/confirmation.py` from fresh seeds, in SQL, by the same engine.

    write the list (once, under the lock) ──► per seed: its trials, all from the first batch on ──► time each setting

A *cohort* is trials that start together and share one order of batches, named by the seed index: so arms are
paired on initialisation and batches alike, whichever process trains them, and in whatever order.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from model.data.mnist import Images, Mnist
from model.device import describe
from model.network.scoring import Score, evaluate
from model.network.timing import epoch_flops, epoch_seconds
from model.seeds import derive
from search.store.attributes import nonsense
from search.store.queue import enqueue
from search.store.study import StudyStore, open_study, stored_epochs
from search.store.trials import ranking, usable
from search.training.display import Lines, watch
from search.training.engine import POLL_SECONDS, Engine, Listener, Run
from studies.confirmation import CLAIMS, EPOCHS, WIDTH, Arm, Plan, asked_of, confirmation_of, plan
from studies.foreign import excluded
from studies.settings import Setting
from studies.sweet_spot import ARTICLE

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
        return [trial for trial in trials if not excluded(self.study, trial, _unplanned(trial, self.spec.space))]


class SeedEngine(Engine):
    """Trains trials of one seed, all from the first batch on; ends when they have ended."""

    def __init__(self, store: ConfirmationStore, data: Mnist, capacity: int, listener: Listener) -> None:
        super().__init__(store, data, capacity, listener, order=("confirm", "order", store.seed_index))
        self.data = data
        self.gaps: dict[int, dict[int, float]] = {}  # by trial number, then epoch

    def _work(self, stop: Callable[[], bool]) -> None:
        """Fill the fleets once and train them."""
        try:
            self._refill()
            while self.runs and not stop():
                self._train()
        except torch.OutOfMemoryError as error:
            self._shrink(error)  # the trials are given back, and fewer are taken at once

    def _score(self, run: Run) -> Score:
        """Score on the training set as well, for the gap by epoch; that of the last one is among the figures."""
        score = super()._score(run)
        if run.member.epochs_trained == self.store.spec.epochs:
            return score
        gap = evaluate(run.member.network(), self.train_set).accuracy - score.accuracy
        self.gaps.setdefault(run.trial.number, {})[run.member.epochs_trained] = gap
        return score

    def _figures(self, run: Run) -> dict[str, Any]:
        """Add the gap by epoch and, for the winner and the baseline, what the test set says of this last epoch."""
        figures = super()._figures(run)
        figures["gap_by_epoch"] = {**self.gaps.get(run.trial.number, {}), run.member.epochs_trained: figures["gap"]}
        if run.trial.user_attrs.get("role"):
            test = evaluate(run.member.network(), self.data.test)
            figures |= {"test_accuracy": test.accuracy, "test_loss": test.loss}
        return figures


def confirm_search(
    search: StudyStore,
    data: Mnist,
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
    opened = open_study(search.storage, confirmation_of(search.spec, epochs), search.seed)
    store = ConfirmationStore(opened.storage, opened.study, opened.spec, opened.seed)
    trials = usable(search.study, TrialState.COMPLETE, TrialState.PRUNED)
    drawn = plan(search.study.study_name, trials, asked, search.spec.space)
    with store.storage.lock(store.study.study_name):
        if store.study.user_attrs.get(PLAN) != drawn.as_dict():
            store.study.set_user_attr(PLAN, drawn.as_dict())
            store.study.set_user_attr("search", search.study.study_name)
            if asked is not ARTICLE:
                store.study.set_user_attr(CLAIMS, asked.as_dict())  # it is shown by itself in the dashboard
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


def _unplanned(trial: FrozenTrial, space: Collection[str]) -> str | None:
    """Return why a waiting trial is none of a confirmation's, None if it is."""
    known = SEED in trial.user_attrs and "protocol" in trial.user_attrs and set(space) <= _params(trial).keys()
    return None if known else "no arm and seed are given"


def _key(trial: FrozenTrial) -> tuple[Any, ...]:
    return (*arm_of(trial), trial.user_attrs.get(SEED))


def confirm(store: ConfirmationStore, data: Mnist, capacity: int, console: Console, stop: Callable[[], bool]) -> bool:
    """Train all that is written down, then time it; return whether everything is done.

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
    _time(store, data.train, console)
    return True


def _train_all(store: ConfirmationStore, data: Mnist, capacity: int, listener: Lines, stop: Callable[[], bool]) -> None:
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


def _time(store: StudyStore, images: Images, console: Console) -> None:
    """Time every width alone, unless that was done; the lock keeps other processes of the study from competing.

    A network that has no width, as that of the fast fleet has, is not timed yet.
    """
    drawn = Plan.of(store.study.user_attrs[PLAN])
    widths = sorted({arm.params[WIDTH] for arm in drawn.arms if WIDTH in arm.params})
    if not widths:
        return
    with store.storage.lock(store.study.study_name):
        stored = store.study.user_attrs.get(TIMING, {"widths": []})
        if [row["width"] for row in stored["widths"]] == widths:
            return
        console.print(f"timing {', '.join(map(str, widths))} units, each alone, {ROUNDS} rounds")
        store.study.set_user_attr(TIMING, measure(widths, images, store.spec.batch))


def measure(widths: Sequence[int], images: Images, batch: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return seconds per epoch of each width alone, in interleaved rounds after one to warm up, in JSON types."""
    seconds: dict[int, list[float]] = {width: [] for width in widths}
    for turn in range(rounds + 1):
        for width in widths:
            taken = epoch_seconds(width, images, batch)
            if turn:  # the first one pays for page faults and for choosing kernels
                seconds[width].append(taken)
    return {
        "device": describe(images.pixels.device),
        "torch": torch.__version__,
        "images": len(images),
        "batch": batch,
        "widths": [
            {"width": width, "seconds_per_epoch": taken, "flops_per_epoch": epoch_flops(width, len(images))}
            for width, taken in seconds.items()
        ],
    }
