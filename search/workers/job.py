"""One process's work on one search: search ──► confirm ──► publish ──► note that it is done.

What can be confirmed whatever the search finds is trained beside it, where it leaves room.

`search.run` does one job and shows it; `search.worker` does one after another. What a job is to do is read from SQL at
every step (`search/store/request.py`), so it may grow or be called off while it is being done.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from search.signals import is_worker
from search.store.request import Request, mark_done, request_of
from search.store.study import StudyStore
from search.training.artifacts import Artifacts, artifact_dir
from search.training.display import watch
from search.training.engine import POLL_SECONDS, Engine
from search.verdict.cohorts import CohortEngine
from search.verdict.confirmation import begin_beside, confirm_search
from search.verdict.findings import Findings, findings
from search.workers.pool import WorkerHandle, WorkerPool


class Halt:
    """Whether to stop working on a study: since the process is told to, or since `search.stop` has called it off."""

    def __init__(self, store: StudyStore, stop: Callable[[], bool]) -> None:
        self.store = store
        self.stop = stop
        self.cancelled = False
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        """Return whether to stop; asks the database once a second at most."""
        if not self.cancelled and time.monotonic() - self._looked >= POLL_SECONDS:
            self.cancelled = request_of(self.store).stopped
            self._looked = time.monotonic()
        return self.cancelled or self.stop()


class Job:
    """All that a search is to have, done by this process and whoever else works on it."""

    def __init__(  # noqa: PLR0917
        self,
        store: StudyStore,
        data: Any,
        capacity: int,
        artifact_directory: Path | None,
        console: Console,
        stop: Callable[[], bool],
    ) -> None:
        self.store = store
        self.data = data
        self.capacity = capacity
        self.artifacts = Artifacts(store.storage, store.study, artifact_dir(store.storage, artifact_directory))
        self.console = console
        self.halt = Halt(store, stop)
        self.beside: CohortEngine | None = None
        store.storage.retry.stop = stop

    def search(self) -> None:
        """Train until the study has its budget, or until told to stop."""
        beside = self._begin_beside if request_of(self.store).seeds else None
        try:
            with watch(self.store, self.store.budget(), self.console) as listener:
                keep = self.artifacts.keep
                Engine(self.store, self.data, self.capacity, listener, keep, beside=beside).search(self.halt)
        except BaseException:
            self._leave_beside()
            raise

    def _begin_beside(self) -> Engine:
        request = request_of(self.store)
        self.beside = begin_beside(self.store, self.data, request.seeds, request.epochs, self.capacity)
        return self.beside

    def _leave_beside(self) -> None:
        """Give back what is in training beside the search."""
        if self.beside is not None:
            self.beside.give_back()

    def search_by_workers(self, start_worker: Callable[[], WorkerHandle], count: int) -> None:
        """Let so many workers do that, and look after them."""
        WorkerPool(self.store, start_worker, count).work(self.console, self.halt)

    def conclude(self) -> Findings | None:
        """Confirm what a finished search has found, if asked for, and publish; return the findings once confirmed."""
        request, found = request_of(self.store), None
        self.halt.cancelled |= request.stopped  # the search may have ended before it looked
        complete = not request.stopped and self.store.counts().finished >= request.budget
        try:
            confirmed = complete and self._confirm(request)
        finally:
            self._leave_beside()
        if confirmed:
            found = findings(self.store.storage, self.store.study.study_name)
        if not is_worker():  # a worker leaves it to the process that started it
            from search.results.notes import publish_run  # noqa: PLC0415  # plotly, matplotlib: a sixth of a start

            publish_run(self.artifacts, self.data, self.store.spec.family, found)
        if complete and not self.halt():
            mark_done(self.store, request)
        return found

    def _confirm(self, request: Request) -> bool:
        return confirm_search(
            self.store,
            self.data,
            request.seeds,
            request.epochs,
            self.capacity,
            minutes=request.minutes,
            beside=self.beside,
            console=self.console,
            stop=self.halt,
        )
