"""Confirms a search: trains the arms of `studies/confirmation.py` from fresh seeds, in SQL, by the same engine.

    write a round's list (once, under the lock) ──► cohorts.py trains it, a seed after the other ──┐
        ▲                                                                                          │
        └────────────── rounds.py: which arms get another seed ◄───────────────────────────────────┴──► time each

What does not depend on what the search finds is written down, and trained, while the search goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from optuna.trial import TrialState
from rich.console import Console

from model.device import describe
from model.fleet.family import Family
from search.store.study import StudyStore, open_study, stored_epochs
from search.store.trials import ranking, usable
from search.training.display import watch
from search.verdict.cohorts import PLAN, CohortEngine, ConfirmationStore
from search.verdict.rounds import NONE, ROUNDS, Limits, open_round
from studies.aims import SECONDS, Aim
from studies.asked import Asked
from studies.claims import SweetSpot
from studies.confirmation import EPOCHS, RULE, Plan, asked_of, confirmation_of, plan, timed
from studies.settings import Setting

TIMING_ROUNDS = 7  # each width once a round
OPEN = (TrialState.WAITING, TrialState.RUNNING)
TIMING = "timing"  # study attribute


def begin_beside(search: StudyStore, data: Any, seeds: int, epochs: int | None, capacity: int) -> CohortEngine:
    """Return what trains, beside a search, the runs of its confirmation that do not depend on what it finds.

    They are written down, once. `epochs` as for `confirm_search`.
    """
    store = _store_of(search, Limits(seeds), epochs)
    store.write_early()
    return CohortEngine(store, data, capacity)


def confirm_search(
    search: StudyStore,
    data: Any,
    seeds: int,
    epochs: int | None,
    capacity: int,
    *,
    minutes: float | None = None,
    beside: CohortEngine | None = None,
    console: Console,
    stop: Callable[[], bool],
) -> bool:
    """Confirm what a search has found and return whether that is done; 0 seeds ask for nothing.

    `epochs` None means those that the confirmation was begun with, or `EPOCHS` but no more than the search's. `beside`
    is what `begin_beside` returned, if it did; it goes on with its runs.
    """
    if not seeds or stop() or not ranking(search.study):
        return False
    limits = Limits(seeds, minutes)
    store = beside.store if beside else _store_of(search, limits, epochs)
    store.limits = limits
    draw(search, store)
    return confirm(store, data, capacity, console, stop, beside)


def open_confirmation(
    search: StudyStore, seeds: int, epochs: int | None, minutes: float | None = None
) -> ConfirmationStore:
    """Open the confirmation of a search, with its plan and the round that is to be trained written down, once.

    Raises `StudyMismatchError` where it was begun with other epochs.
    """
    store = _store_of(search, Limits(seeds, minutes), epochs)
    draw(search, store)
    return store


def _store_of(search: StudyStore, limits: Limits, epochs: int | None) -> ConfirmationStore:
    stored = stored_epochs(search.storage, confirmation_of(search.spec).name)
    length = epochs or stored or min(EPOCHS, search.spec.epochs)
    asked = asked_of(search.study.user_attrs)
    opened = open_study(search.storage, replace(confirmation_of(search.spec, length), asked=asked), search.seed)
    return ConfirmationStore(opened, asked, limits, search.spec.against)


def draw(search: StudyStore, store: ConfirmationStore) -> None:
    """Draw the plan of a search that has ended, and write down the round that is to be trained, once.

    A confirmation that was begun on a fixed number of seeds goes on so. Any number of processes may do this at once.
    """
    trials = usable(search.study, TrialState.COMPLETE, TrialState.PRUNED)
    stored = store.study.user_attrs.get(PLAN)
    rule = RULE if stored is None else stored.get("rule")
    store.draw(plan(search.study.study_name, trials, store.asked, search.spec.space, rule))
    search.storage.retry(lambda: _state(search, store))


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


def confirm(  # noqa: PLR0917
    store: ConfirmationStore,
    data: Any,
    capacity: int,
    console: Console,
    stop: Callable[[], bool],
    begun: CohortEngine | None = None,
) -> bool:
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
            engine = begun or CohortEngine(store, data, capacity)
            engine.follow(listener)
            engine.search(stop)
    if stop():
        return False
    _time(store, data.train, console)
    return True


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
