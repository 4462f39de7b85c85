"""What users ask of a search, kept with it in SQL, so that whoever works on it, and wherever, reads the same.

    budget    finished trials that the study is to have; read in the transaction that acquires a trial
    confirm   fresh seeds on which to confirm what was found, at most, epochs of a confirming run, and minutes if any
    asked     when somebody last asked
    stopped   whether `search.stop` has called the study off since
    done      budget and confirm as they were when all of it was done
    trouble   why a worker could not work on it

A request is open until it is done or stopped. Asking again raises the budget and never lowers it: whoever joins in with
a smaller one must not take trials away from the others. Only `search.stop` lowers it, to what is finished.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna

from search.errors import SearchError, StudyMismatchError
from search.store.storage import Storage
from search.store.study import StudyStore, stored_epochs
from studies.confirmation import SEEDS, confirmation_name
from studies.optuna_private import study_key

KEYS = ("asked", "budget", "confirm", "done", "stopped")  # what makes a request, and whether it is open


@dataclass(frozen=True)
class Request:
    """What a search is to have."""

    budget: int  # finished trials
    seeds: int  # to confirm on, at most; 0 for no confirmation
    epochs: int | None  # of a confirming run; None for those it was begun with, or the default
    stopped: bool
    done: bool
    minutes: float | None = None  # of confirming runs, after which no seed is added; None for no limit

    @property
    def confirm(self) -> dict[str, Any]:
        """What is asked of the confirmation, as it is stored."""
        return _confirm(self.seeds, self.epochs, self.minutes)

    @property
    def open(self) -> bool:
        """Whether there is something left to do."""
        return not (self.stopped or self.done)


def _confirm(seeds: int, epochs: int | None, minutes: float | None) -> dict[str, Any]:
    return {"seeds": seeds, "epochs": epochs, **({} if minutes is None else {"minutes": minutes})}


def submit(
    store: StudyStore, budget: int, seeds: int | None, epochs: int | None, minutes: float | None = None
) -> Request:
    """Ask for at least so many finished trials, and for a confirmation; None means as it was asked for before.

    Raises `StudyMismatchError` where a confirmation was begun with other epochs.
    """
    _check_epochs(store, epochs)

    def ask(attrs: dict[str, Any], _finished: int) -> dict[str, Any]:
        parse(attrs)  # or nonsense would be built upon
        before = attrs.get("confirm", {})
        confirm = _confirm(
            before.get("seeds", SEEDS) if seeds is None else seeds,
            epochs or before.get("epochs"),
            before.get("minutes") if minutes is None else minutes,
        )
        asked = datetime.now(UTC).isoformat(timespec="seconds")
        new = {"budget": max(budget, attrs.get("budget", 0)), "confirm": confirm, "asked": asked}
        return {**new, "stopped": False, "trouble": None}

    store.storage.retry(lambda: store.storage.amend(study_key(store.study), ask))
    return request_of(store)


def _check_epochs(store: StudyStore, epochs: int | None) -> None:
    name = confirmation_name(store.study.study_name)
    begun = store.storage.retry(lambda: stored_epochs(store.storage, name)) if epochs else None
    if begun and begun != epochs:
        raise StudyMismatchError(
            f"study {name!r} has epochs {begun}, you ask for {epochs}; choose another --study name"
        )


def request_of(store: StudyStore) -> Request:
    """Return what a search is to have. Raises `SearchError` where nobody has asked for anything."""
    request = parse(store.storage.retry(lambda: store.study.user_attrs))
    if request is None:
        raise SearchError(f"nobody has asked for trials of study {store.study.study_name!r}; use: python -m search.run")
    return request


def parse(attrs: Mapping[str, Any]) -> Request | None:
    """Read the request from a study's attributes, None if there is none. Raises `SearchError` for nonsense."""
    if "budget" not in attrs or "confirm" not in attrs:
        return None
    budget, confirm = attrs["budget"], attrs["confirm"]
    try:
        numbers = (budget, confirm["seeds"], confirm["epochs"] or 1)
        minutes = confirm.get("minutes")
        good = all(type(number) is int and number >= 0 for number in numbers)
        good = good and (minutes is None or (type(minutes) in (int, float) and minutes >= 0))
    except (KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise SearchError(
            f"a stored budget {budget!r}, confirm {confirm!r} makes no sense; choose another --study name"
        )
    done = attrs.get("done") == _as_done(budget, confirm)
    return Request(budget, confirm["seeds"], confirm["epochs"], bool(attrs.get("stopped")), done, minutes)


def _as_done(budget: int, confirm: Mapping[str, Any]) -> dict[str, Any]:
    return {"budget": budget, "confirm": dict(confirm)}


def mark_done(store: StudyStore, request: Request) -> None:
    """Note that all of a request is done; if more has been asked for meanwhile, the study stays open."""
    done = _as_done(request.budget, request.confirm)
    store.storage.retry(lambda: store.study.set_user_attr("done", done))


def cancel(storage: Storage, study: optuna.Study, *, again: bool = False) -> None:
    """Lower the budget to what is finished; `again` only if nobody has asked for more since it was called off."""

    def lower(attrs: dict[str, Any], finished: int) -> dict[str, Any]:
        return {} if again and not attrs.get("stopped") else {"budget": finished, "stopped": True}

    storage.retry(lambda: storage.amend(study_key(study), lower))


@dataclass(frozen=True)
class ListedStudy:
    """A study that somebody has asked something of, as it stands in the list."""

    study_id: int
    name: str
    stored: Mapping[str, str]  # attributes as JSON text: what changes when somebody asks again

    def request(self) -> Request | None:
        """Return its order. Raises `SearchError` for nonsense."""
        try:
            return parse({key: json.loads(text) for key, text in self.stored.items()})
        except ValueError as error:
            raise SearchError(f"an attribute is no JSON: {error}") from None


def listed(storage: Storage) -> list[ListedStudy]:
    """Return the studies that somebody has asked something of, oldest first; one query, whatever is in them."""
    found = storage.retry(lambda: storage.attributes(KEYS))
    return [ListedStudy(study_id, name, stored) for study_id, (name, stored) in found.items()]
