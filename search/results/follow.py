"""Shows the state of a study, once or until nothing is left to do; `search/status.py` says what is in a state."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.errors import UsageError
from search.output import strict_json
from search.store.queue import GRACE_SECONDS

State = Mapping[str, Any]


def follow(look: Callable[[], State], every: float, console: Console, *, as_json: bool) -> None:
    """Show the state until the study has ended: live on a terminal, else a line, or a document, for every change.

    Raises `UsageError` for a study that nobody has asked for trials of.
    """
    state = look()
    if state["budget"] is None:
        raise UsageError(f"nobody has asked for trials of study {state['study']!r}: there is nothing to wait for")
    if console.is_terminal and not as_json:
        with Live(rendered(state), console=console, auto_refresh=False) as live:
            _repeat(look, state, every, lambda state: live.update(rendered(state), refresh=True))
    else:
        _repeat(look, state, every, Changes(console, as_json).show)


def _repeat(look: Callable[[], State], state: State, every: float, show: Callable[[State], None]) -> None:
    show(state)
    while state["ended"] is None:
        time.sleep(every)
        state = look()
        show(state)


class Changes:
    """Prints a state if it says something that the one before did not."""

    def __init__(self, console: Console, as_json: bool) -> None:
        self.console = console
        self.as_json = as_json
        self.start = time.monotonic()
        self.last = ""

    def show(self, state: State) -> None:
        """Print a line."""
        line = "; ".join([*progress(state), *troubles(state)])
        if line != self.last:
            stamped = f"[{time.monotonic() - self.start:6.1f} s] {line}"
            self.console.print(strict_json(state) if self.as_json else stamped, markup=False)
        self.last = line


def rendered(state: State) -> Group:
    """Return what a terminal shows of a state."""
    lines = [f"study {state['study']!r} in {state['storage']}", state["question"], *progress(state), pace(state)]
    rows = [*state["workers"], *(state["confirmation"] or {"workers": []})["workers"]]
    table = _table(rows) if rows else Text("no worker has a trial running")
    return Group(*(Text(line) for line in [*lines, *troubles(state)] if line), table)


def progress(state: State) -> list[str]:
    """Say how far search and confirmation are."""
    counts, budget, confirmation = state["counts"], state["budget"], state["confirmation"]
    of = f" of {budget}" if budget is not None else ""
    parts = [f"{counts['finished']}{of} trials finished: {_states(counts)}"]
    parts += [f"confirmation: {_states(confirmation['counts'])}"] if confirmation else []
    return [*parts, *([state["ended"]] if state["ended"] else [])]


def _states(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in ("complete", "pruned", "failed", "running", "waiting"))


def pace(state: State) -> str:
    """Say how fast the search is, and for how long; "" where nobody can tell."""
    rate, left = state["trials_per_minute"], state["minutes_left"]
    return f"{rate:.1f} trials a minute" + (f", about {left:.0f} min left" if left else "") if rate else ""


def troubles(state: State) -> list[str]:
    """Say what has gone wrong."""
    stale = [f"trial {trial['number']} was stale ({trial['worker']}) and has been failed" for trial in state["stale"]]
    return [*stale, *([f"a worker left it alone: {state['trouble']}"] if state["trouble"] else [])]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("worker", "last heartbeat", "trials"):
        table.add_column(title)
    for row in rows:
        late = " (stale soon)" if row["heartbeat"] > GRACE_SECONDS / 2 else ""
        table.add_row(row["name"], f"{row['heartbeat']:.0f} s ago{late}", ", ".join(map(str, row["trials"])))
    return table
