"""One process's work on one search: search ──► confirm ──► publish ──► note that it is done.

`search.run` does one job and shows it; `search.worker` does one after another. What a job is to do is read from SQL at
every step (`search/orders.py`), so it may grow or be called off while it is being done.
"""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from model.data import Mnist
from search.artifacts import Artifacts, artifact_dir
from search.confirm import confirm_search
from search.display import watch
from search.engine import POLL_SECONDS, Engine
from search.ledger import Ledger
from search.orders import finish, order_of
from search.signals import hired


class Halt:
    """Whether to stop working on a study: since the process is told to, or since `search.stop` has called it off."""

    def __init__(self, ledger: Ledger, stop: Callable[[], bool]) -> None:
        self.ledger = ledger
        self.stop = stop
        self.called_off = False
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        """Return whether to stop; asks the database once a second at most."""
        if not self.called_off and time.monotonic() - self._looked >= POLL_SECONDS:
            self.called_off = order_of(self.ledger).stopped
            self._looked = time.monotonic()
        return self.called_off or self.stop()


class Job:
    """All that a search is to have, done by this process and whoever else works on it."""

    def __init__(  # noqa: PLR0917
        self, ledger: Ledger, data: Mnist, room: int, artifacts: Path | None, console: Console, stop: Callable[[], bool]
    ) -> None:
        self.ledger = ledger
        self.data = data
        self.room = room
        self.shelf = Artifacts(ledger.storage, ledger.study, artifact_dir(ledger.storage, artifacts))
        self.console = console
        self.halt = Halt(ledger, stop)

    def search(self) -> None:
        """Train until the study has its budget, or until told to stop."""
        with watch(self.ledger, self.ledger.budget(), self.console) as listener:
            Engine(self.ledger, self.data, self.room, listener, self.shelf.keep).search(self.halt)

    def conclude(self) -> bool:
        """Confirm what a finished search has found, if asked for, and publish; return whether it is confirmed."""
        order, confirmed = order_of(self.ledger), False
        complete = self.ledger.counts().finished >= order.budget
        if complete:
            confirmed = confirm_search(
                self.ledger, self.data, order.seeds, order.epochs, self.room, console=self.console, stop=self.halt
            )
        if not hired():  # a worker leaves it to the process that started it
            from search.publish import publish_run  # noqa: PLC0415  # its plotly and matplotlib: a sixth of a start

            publish_run(self.shelf, self.data, confirmed)
        if complete and not self.halt():
            finish(self.ledger, order)
        return confirmed
