"""Several worker processes on one study: `python -m search.run --workers W`, on this machine or on Ray's.

Each worker is the same command, alone; the study in SQL is all they share. So any of them may die at any moment: what
it had running is queued again at once, and another takes its place.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console

from search.errors import SearchError
from search.store.counts import Counts
from search.store.study import StudyStore

REPLACEMENTS = 3  # workers started anew, per worker asked for
POLL_SECONDS = 0.2
START_SECONDS = 20.0  # until we say that workers have not begun

_log = logging.getLogger(__name__)


class WorkerHandle(Protocol):
    """A worker, wherever it works."""

    def name(self) -> str | None:
        """Return what the name of its store begins with; None if it has not begun, and may never."""

    def poll(self) -> int | None:
        """Return its exit code if it has ended, negative if it was killed."""

    def terminate(self) -> None:
        """Let it give its trials back and end."""

    def wait(self) -> object:
        """Wait until it has ended."""


class WorkerPool:
    """Starts workers, replaces those that are killed, and ends them when asked."""

    def __init__(self, store: StudyStore, start_worker: Callable[[], WorkerHandle], size: int) -> None:
        self.store = store
        self.start_worker = start_worker
        self.size = size
        self.replacements = REPLACEMENTS * size
        self.workers: list[WorkerHandle] = []
        self.failed = 0
        self._warned_of_waiting = False

    def work(self, console: Console, stop: Callable[[], bool]) -> None:
        """Return when all workers have ended; on `stop()` they give their trials back first.

        Raises `SearchError` when workers failed and the study has not got its trials.
        """
        start, told, last = time.monotonic(), False, None
        try:
            self.workers += (self.start_worker() for _ in range(self.size))
            while self.workers:
                self._warn_of_waiting(time.monotonic() - start)
                if stop() and not told:
                    self._end()
                    told = True
                self._look_after(stop)
                last = self._progress(last, console, time.monotonic() - start)
                self._dismiss(last)
                time.sleep(POLL_SECONDS)
        finally:
            self._end()
            for worker in self.workers:
                worker.wait()
        if self.failed and not stop() and self.store.counts().finished < self.store.budget():
            raise SearchError(f"{self.failed} workers failed, and said why above; run the same command to go on")

    def _look_after(self, stop: Callable[[], bool]) -> None:
        """Take note of workers that have ended; replace those that were killed."""
        ended = {worker: code for worker in self.workers if (code := worker.poll()) is not None}
        self.workers = [worker for worker in self.workers if worker not in ended]
        for worker, code in ended.items():
            if code < 0 and not stop():
                self._replace(worker, -code)
            elif code not in (0, 129, 143):  # done, or told to end
                self.failed += 1

    def _replace(self, worker: WorkerHandle, number: int) -> None:
        name = worker.name()
        if name is not None:
            self.store.fail_trials_of(name)
        shown = "that had not begun" if name is None else name.rstrip(":")
        if self.replacements:
            self.replacements -= 1
            self.workers.append(self.start_worker())
            _log.warning("worker %s was killed by signal %d; another starts", shown, number)
        else:
            self.failed += 1
            _log.warning("worker %s was killed by signal %d, as too many before", shown, number)

    def _warn_of_waiting(self, seconds: float) -> None:
        """Say once that there are workers who have not begun."""
        if not self._warned_of_waiting and seconds >= START_SECONDS:
            self._warned_of_waiting = True
            waiting = sum(worker.name() is None for worker in self.workers)
            if waiting:
                _log.warning("%d of %d workers wait for a node with free cores", waiting, self.size)

    def _dismiss(self, counts: Counts) -> None:
        """End those that have not begun, when there is nothing left to do for them."""
        idle = [worker for worker in self.workers if worker.name() is None]
        if idle and counts.finished >= self.store.budget():
            for worker in idle:
                worker.terminate()

    def _end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()

    def _progress(self, last: Counts | None, console: Console, seconds: float) -> Counts:
        """Print a line whenever trials have ended."""
        counts = self.store.counts()
        if last is None or counts.finished != last.finished:
            console.print(f"[{seconds:6.1f} s] {counts.line(self.store.budget())}", markup=False)
        return counts
