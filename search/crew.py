"""Several worker processes of this machine on one study: `python -m search.run --workers W`.

Each worker is the same command, alone; the study in SQL is all they share. So any of them may die at any moment: what
it had running is queued again at once, and another takes its place.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from search.counts import Counts
from search.errors import SearchError
from search.ledger import Ledger
from search.signals import PARENT

REPLACEMENTS = 3  # workers started anew, per worker asked for
POLL_SECONDS = 0.2

_log = logging.getLogger(__name__)


def threads_each(workers: int) -> int:
    """Return how many threads a worker gets, so that together they have as many as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


class Crew:
    """Starts workers, replaces those that are killed, and ends them when asked."""

    def __init__(self, ledger: Ledger, options: Sequence[str], size: int) -> None:
        self.ledger = ledger
        self.command = [sys.executable, "-m", "search.run", *options]
        self.size = size
        self.replacements = REPLACEMENTS * size
        self.workers: list[subprocess.Popen[bytes]] = []
        self.failed = 0

    def work(self, console: Console, stop: Callable[[], bool]) -> None:
        """Return when all workers have ended; on `stop()` they give their trials back first.

        Raises `SearchError` when workers failed and the study has not got its trials.
        """
        start, told, last = time.monotonic(), False, None
        self.workers = [self._start() for _ in range(self.size)]
        try:
            while self.workers:
                if stop() and not told:
                    self._end()
                    told = True
                self._look_after(stop)
                last = self._progress(last, console, time.monotonic() - start)
                time.sleep(POLL_SECONDS)
        finally:
            self._end()
            for worker in self.workers:
                worker.wait()
        if self.failed and not stop() and self.ledger.counts().finished < self.ledger.budget():
            raise SearchError(f"{self.failed} workers failed, and said why above; run the same command to go on")

    def _start(self) -> "subprocess.Popen[bytes]":
        url = self.ledger.storage.url.render_as_string(hide_password=False)
        threads = str(threads_each(self.size))
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, **os.environ}
        environment |= {PARENT: str(os.getpid()), "SWEETSPOT_STORAGE": url}  # not an argument, which `ps` would show
        return subprocess.Popen(
            self.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches us alone, and we pass it on once
        )

    def _look_after(self, stop: Callable[[], bool]) -> None:
        """Take note of workers that have ended; replace those that were killed."""
        ended = [worker for worker in self.workers if worker.poll() is not None]
        self.workers = [worker for worker in self.workers if worker not in ended]
        for worker in ended:
            if worker.returncode < 0 and not stop():
                self._replace(worker)
            elif worker.returncode not in (0, 143):
                self.failed += 1

    def _replace(self, worker: "subprocess.Popen[bytes]") -> None:
        self.ledger.bury(worker.pid)
        if self.replacements:
            self.replacements -= 1
            self.workers.append(self._start())
            _log.warning("worker %d was killed by signal %d; another starts", worker.pid, -worker.returncode)
        else:
            self.failed += 1
            _log.warning("worker %d was killed by signal %d, as too many before", worker.pid, -worker.returncode)

    def _end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()

    def _progress(self, last: Counts | None, console: Console, seconds: float) -> Counts:
        """Print a line whenever trials have ended."""
        counts = self.ledger.counts()
        if last is None or counts.finished != last.finished:
            console.print(f"[{seconds:6.1f} s] {counts.line(self.ledger.budget())}", markup=False)
        return counts
