"""Shows a search while it runs: a live display on a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.store.study import StudyStore
from search.store.trials import value
from search.training.run import Run

RATE_WINDOW = 30.0  # seconds over which the rate is measured


@contextmanager
def watch(store: StudyStore, budget: int, console: Console, *, each: bool = True) -> Iterator["Lines"]:
    """Yield the listener that suits the console; with `each` it prints a line for every trial that ends."""
    if console.is_terminal:
        with Screen(store, budget, console, each=each) as screen:
            yield screen
    else:
        yield Lines(store, budget, console, each=each)


class Lines:
    """A line for each trial that ends; also counts, for the display on a terminal."""

    def __init__(self, store: StudyStore, budget: int, console: Console, *, each: bool = True) -> None:
        self.console = console
        self.budget = budget
        self.each = each
        state = store.state()
        self.terms = state.terms
        counts, best = state.counts, state.best
        self.ended_by = {
            "complete": counts.complete,
            "pruned": counts.pruned,
            "failed": counts.failed,
            "lost": 0,
            "given back": 0,
        }
        self.found = self.finished
        self._best_value = self.terms.sign * value(best) if best else float("-inf")
        self.best = f"{self.terms.value(value(best))} (trial {best.number})" if best else "none yet"
        self.start = time.monotonic()

    @property
    def finished(self) -> int:
        """Trials that count towards the budget."""
        return self.ended_by["complete"] + self.ended_by["pruned"]

    def started(self, run: Run) -> None:
        """A trial joined; nothing to say until it ends."""

    def trained(self, runs: list[Run]) -> None:
        """Another epoch; nothing to say."""

    def ended(self, run: Run, state: str) -> None:
        """Say how a trial ended, and the best so far."""
        self.ended_by[state] += 1
        if state == "complete" and run.last and self.terms.sign * run.last.value > self._best_value:
            self._best_value = self.terms.sign * run.last.value
            self.best = f"{self.terms.value(run.last.value)} (trial {run.trial.number})"
        if self.each:
            self._line(run, state)

    def _line(self, run: Run, state: str) -> None:
        figure = self.terms.value(run.last.value) if run.last else "no figure"
        self.say(
            f"{self.finished:>3}/{self.budget} trial {run.trial.number} {state} at epoch {run.member.epochs_trained}: "
            f"{figure} ({self.terms.setting(run.trial.params)}); best {self.best}"
        )

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        self.console.print(f"[{time.monotonic() - self.start:6.1f} s] {text}", markup=False)


class Screen(Lines):
    """The same lines, with a display of what is running below them."""

    def __init__(self, store: StudyStore, budget: int, console: Console, *, each: bool = True) -> None:
        super().__init__(store, budget, console, each=each)
        self.epochs = store.spec.epochs
        self.runs: list[Run] = []
        self.ticks: deque[tuple[float, int]] = deque()
        self.live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self.render)

    def __enter__(self) -> "Screen":
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.__exit__(None, None, None)

    def started(self, run: Run) -> None:
        """Add a trial to the display."""
        self.runs = [*self.runs, run]

    def trained(self, runs: list[Run]) -> None:
        """Count an epoch of each."""
        now = time.monotonic()
        self.ticks.append((now, len(runs)))
        while self.ticks[0][0] < now - RATE_WINDOW:
            self.ticks.popleft()

    def ended(self, run: Run, state: str) -> None:
        """Take a trial off the display, and say how it ended."""
        self.runs = [other for other in self.runs if other is not run]
        super().ended(run, state)

    def rate(self) -> float:
        """Return model-epochs per second over the last half minute."""
        since = max(self.start, time.monotonic() - RATE_WINDOW)
        return sum(n for _, n in self.ticks) / max(time.monotonic() - since, 1e-9)

    def time_left(self) -> str:
        """Return a guess from the trials of this run, once there are some."""
        done = self.finished - self.found
        if done < 3:
            return "unknown yet"
        seconds = (time.monotonic() - self.start) / done * (self.budget - self.finished)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"

    def render(self) -> Group:
        """Draw the display."""
        head = Table.grid(padding=(0, 1))
        head.add_row(ProgressBar(self.budget, self.finished, width=40), f"{self.finished}/{self.budget} trials")
        by, training = self.ended_by, [run for run in self.runs if run.training]
        state = Text(
            f"{by['complete']} complete, {by['pruned']} pruned, {by['failed']} failed · best {self.best}\n"
            f"{len(self.runs) - len(training)} waiting at a rung · "
            f"{self.rate():.1f} model-epochs/s · time left: {self.time_left()}"
        )
        running = Table(box=None, pad_edge=False)
        for title in ("running", *self.terms.heads(), "epoch", "validation"):
            running.add_column(title, justify="right")
        for run in training:
            figure = self.terms.value(run.last.value) if run.last else "-"
            name = f"{run.trial.number}{' baseline' if run.baseline else ''}"
            running.add_row(
                name,
                *self.terms.cells(run.trial.params),
                f"{run.member.epochs_trained}/{self.epochs}",
                figure,
            )
        return Group(head, state, running)
