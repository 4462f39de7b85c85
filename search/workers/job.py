"""One process's work on one search: search ──► confirm ──► publish ──► note that it is done.

`search.run` does one job and shows it; `search.worker` does one after another. What a job is to do is read from SQL at
every step (`search/store/request.py`), so it may grow or be called off while it is being done.
"""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from model.data.mnist import Mnist
from search.signals import is_worker
from search.store.request import mark_done, request_of
from search.store.study import StudyStore
from search.training.artifacts import Artifacts, artifact_dir
from search.training.display import watch
from search.training.engine import POLL_SECONDS, Engine
from search.verdict.confirmation import confirm_search


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
        data: Mnist,
        capacity: int,
        artifacts: Path | None,
        console: Console,
        stop: Callable[[], bool],
    ) -> None:
        self.store = store
        self.data = data
        self.capacity = capacity
        self.artifact_store = Artifacts(store.storage, store.study, artifact_dir(store.storage, artifacts))
        self.console = console
        self.halt = Halt(store, stop)

    def search(self) -> None:
        """Train until the study has its budget, or until told to stop."""
        with watch(self.store, self.store.budget(), self.console) as listener:
            Engine(self.store, self.data, self.capacity, listener, self.artifact_store.keep).search(self.halt)

    def conclude(self) -> bool:
        """Confirm what a finished search has found, if asked for, and publish; return whether it is confirmed."""
        request, confirmed = request_of(self.store), False
        complete = self.store.counts().finished >= request.budget
        if complete:
            confirmed = confirm_search(
                self.store,
                self.data,
                request.seeds,
                request.epochs,
                self.capacity,
                console=self.console,
                stop=self.halt,
            )
        if not is_worker():  # a worker leaves it to the process that started it
            from search.results.notes import publish_run  # noqa: PLC0415  # its plotly and matplotlib: a sixth of a start

            publish_run(self.artifact_store, self.data, confirmed)
        if complete and not self.halt():
            mark_done(self.store, request)
        return confirmed
