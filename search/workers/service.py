"""A service that works on every study of a database, one after another.

    the oldest study that is not done ──► search ──► confirm ──► publish ──► the next one … none? look again soon

Any number of services share a database. What they share of a study is what processes of `search.run` share: its rows.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from search.errors import NotFoundError, StorageError
from search.signals import Stop
from search.store.queue import GRACE_SECONDS, fail_stale
from search.store.request import ListedStudy, listed
from search.store.retry import DATABASE_ERRORS
from search.store.storage import Storage
from search.store.study import HEARTBEAT_SECONDS, StudyStore, load_study, open_study, stored_epochs
from search.workers.catalogue import Catalogue
from search.workers.job import Job

POLL_SECONDS = 2.0  # between two looks at a database that has nothing to do
FATAL = (StorageError, *DATABASE_ERRORS, torch.AcceleratorError)  # no study's fault: the next one would meet it too

_log = logging.getLogger(__name__)


class Worker:
    """Takes up studies and works on them; no study can end it."""

    def __init__(  # noqa: PLR0917
        self,
        storage: Storage,
        catalogue: Catalogue,
        capacity: int,
        artifacts: Path | None,
        console: Console,
        stop: Stop,
    ) -> None:
        self.storage = storage
        self.catalogue = catalogue
        self.capacity = capacity
        self.artifacts = artifacts
        self.console = console
        self.stop = stop
        self.refused: dict[int, Mapping[str, str]] = {}  # by study: what was asked when it could not be worked on
        self._last_tidy = 0.0
        storage.retry.stop = stop

    def serve(self, poll: float) -> None:
        """Work until told to stop."""
        idle = False
        while not self.stop():
            study = self._next()
            if study is not None:
                self._attempt(study, self._work)
            else:
                if not idle:
                    self._say("nothing to do: waiting for studies")
                self._tidy()
                self.stop.rest(poll)
            idle = study is None

    def _next(self) -> ListedStudy | None:
        """Return the oldest study with something left to do, of those that can be worked on."""
        for study in listed(self.storage):
            if self.refused.get(study.study_id) != study.stored and self._attempt(study, _open):
                return study
        return None

    def _attempt(self, study: ListedStudy, what: Callable[[ListedStudy], bool]) -> bool:
        """Do something for a study and return what that returns; if it fails, refuse the study until asked again."""
        try:
            return what(study)
        except FATAL:
            raise
        except Exception as error:  # whatever is wrong with one study, the others are to be worked on
            self._refuse(study, error)
            return False

    def _refuse(self, study: ListedStudy, error: Exception) -> None:
        """Say once what is wrong, here and to who looks at the study."""
        why = " ".join(str(error).split()) or type(error).__name__
        _log.warning("study %r is left alone until somebody asks for it again: %s", study.name, why)
        _log.info("this is where it failed", exc_info=error)
        self.refused[study.study_id] = study.stored
        with suppress(KeyError):  # it has been deleted
            self.storage.retry(lambda: self.storage.optuna.set_study_user_attr(study.study_id, "trouble", why))

    def _work(self, study: ListedStudy) -> bool:
        name = study.name
        store, data = self._opened(name)
        self._say(f"study {name!r}: {store.counts().line(store.budget()).strip()}")
        job = Job(store, data, self.capacity, self.artifacts, self.console, self.stop)
        job.search()
        if not self.stop():
            found = job.conclude()
            self._say(f"study {name!r} is {_ended(job, found is not None)}")
        return True

    def _opened(self, name: str) -> tuple[StudyStore, Any]:
        if self.storage.retry(lambda: stored_epochs(self.storage, name)) is None:
            raise NotFoundError("it has been deleted, or was never begun")
        opened = self.catalogue.stored(self.storage, name)
        return open_study(self.storage, opened.spec), opened.data

    def _tidy(self) -> None:
        """Queue again what dead workers of any study have left, also of those that nobody works on any more."""
        now = time.monotonic()
        if min(now - self._last_tidy, now - self.storage.retry.returned - GRACE_SECONDS) >= HEARTBEAT_SECONDS:
            self._last_tidy = now
            for name in self.storage.retry(self.storage.running):
                self._fail_stale(name)

    def _fail_stale(self, name: str) -> None:
        try:
            study = load_study(self.storage, name)
            if "fingerprint" in study.user_attrs:
                self.storage.retry(lambda: fail_stale(self.storage, study))
        except FATAL:
            raise
        except Exception as error:  # as above
            _log.info("the stale trials of %r are left: %s", name, error)

    def _say(self, text: str) -> None:
        self.console.print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", markup=False)


def _open(study: ListedStudy) -> bool:
    request = study.request()
    return request is not None and request.open


def _ended(job: Job, confirmed: bool) -> str:
    if job.halt.cancelled:
        return "called off by search.stop"
    return f"done: {job.store.counts().finished} trials{', confirmed' if confirmed else ''}"
