"""What the verdict is drawn from: confirmed runs and timings, checked once and paired by seed or by round.

Accuracies and gaps are fractions of 1, losses are nats, times are seconds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from search.verdict.statistics import Array, slope

Protocol = Literal["article-lr", "best-lr"]
PROTOCOLS: tuple[Protocol, ...] = ("article-lr", "best-lr")


@dataclass(frozen=True)
class Row:
    """One confirmed training run. The same seeds are used at every width, which makes comparisons paired."""

    width: int  # units in each hidden layer
    lr: float
    protocol: Protocol
    seed: int
    val_accuracy: float
    train_accuracy: float
    val_loss: float
    train_loss: float
    parameters: int
    gap_by_epoch: Mapping[int, float] | None = None  # training minus validation accuracy, at some epochs


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one width, alone and at equal conditions; the i-th of every width are of one round."""

    width: int
    seconds_per_epoch: Sequence[float]
    flops_per_epoch: int


Measure = Callable[[Row], float | None]


def accuracy(row: Row) -> float:
    """Return the validation accuracy."""
    return row.val_accuracy


def gap(row: Row) -> float:
    """Return the generalisation gap: training minus validation accuracy, at the end."""
    return row.train_accuracy - row.val_accuracy


def gap_growth(row: Row) -> float | None:
    """Return the least-squares growth of the gap per 10 epochs, or None below two recorded epochs."""
    epochs = sorted(row.gap_by_epoch or {})
    rate = slope(epochs, [(row.gap_by_epoch or {})[epoch] for epoch in epochs])
    return None if rate is None else 10 * rate


@dataclass(frozen=True)
class Evidence:
    """Checked rows, by protocol and width and seed, and timings by width."""

    runs: Mapping[tuple[Protocol, int], Mapping[int, Row]]
    timings: Mapping[int, Timing]

    def widths(self, protocol: Protocol) -> list[int]:
        """Return the widths that have runs, ascending."""
        return sorted(width for found, width in self.runs if found == protocol)

    def rows(self, protocol: Protocol, width: int) -> list[Row]:
        """Return the runs of a width in order of their seeds."""
        return list(self.runs.get((protocol, width), {}).values())

    def values(self, protocol: Protocol, width: int, measure: Measure) -> Array:
        """Return the measure of each run that has it, in order of seeds."""
        found = (measure(row) for row in self.rows(protocol, width))
        return np.array([value for value in found if value is not None])

    def differences(self, protocol: Protocol, width: int, other: int, measure: Measure) -> Array:
        """Return measure(width) - measure(other) for each seed that both have."""
        ours, theirs = self.runs.get((protocol, width), {}), self.runs.get((protocol, other), {})
        pairs = ((measure(ours[seed]), measure(theirs[seed])) for seed in ours if seed in theirs)
        return np.array([a - b for a, b in pairs if a is not None and b is not None])

    def log_time_ratios(self, width: int, other: int) -> Array:
        """Return log(seconds of width / seconds of other) for each round."""
        if width not in self.timings or other not in self.timings:
            return np.array([])
        return np.log(self.timings[width].seconds_per_epoch) - np.log(self.timings[other].seconds_per_epoch)


def checked(rows: Iterable[Row], timings: Iterable[Timing]) -> Evidence:
    """Check rows and timings, and return them by protocol, width and seed.

    Raises ValueError for figures that are nan, infinite or out of range, a run given twice, runs of one protocol and
    width that differ in lr or parameters, more than one article's lr, times that are not positive, and rounds that do
    not pair.
    """
    ordered = sorted(rows, key=lambda row: (row.protocol, row.width, row.seed))
    for row in ordered:
        _check_row(row)
    if len({row.lr for row in ordered if row.protocol == "article-lr"}) > 1:
        raise ValueError("article-lr means one learning rate at every width")
    grouped = groupby(ordered, key=lambda row: (row.protocol, row.width))
    runs = {key: _by_seed(list(group)) for key, group in grouped}
    return Evidence(runs, _by_width(list(timings)))


def _check_row(row: Row) -> None:
    figures = (row.lr, row.val_accuracy, row.train_accuracy, row.val_loss, row.train_loss)
    if not all(map(math.isfinite, (*figures, *(row.gap_by_epoch or {}).values()))):
        raise ValueError(f"a figure is not finite in {row}")
    if not (0 <= row.val_accuracy <= 1 and 0 <= row.train_accuracy <= 1):
        raise ValueError(f"accuracies are fractions between 0 and 1, not so in {row}")
    if row.protocol not in PROTOCOLS:
        raise ValueError(f"the protocol is one of {', '.join(PROTOCOLS)}, not so in {row}")
    if row.width < 1 or row.parameters < 1 or row.lr <= 0:
        raise ValueError(f"width, parameters and lr are positive, not so in {row}")


def _by_seed(rows: Sequence[Row]) -> dict[int, Row]:
    seeds = {row.seed: row for row in rows}
    if len(seeds) < len(rows):
        raise ValueError(f"a seed occurs twice at width {rows[0].width} under {rows[0].protocol}")
    if len({(row.lr, row.parameters) for row in rows}) > 1:
        raise ValueError(f"lr or parameters differ between runs of width {rows[0].width} under {rows[0].protocol}")
    return seeds


def _by_width(timings: Sequence[Timing]) -> dict[int, Timing]:
    by_width = {timing.width: timing for timing in sorted(timings, key=lambda timing: timing.width)}
    if len(by_width) < len(timings):
        raise ValueError("a width is timed twice")
    if len({len(timing.seconds_per_epoch) for timing in timings}) > 1:
        raise ValueError("timings are paired by round: every width needs the same number of rounds")
    for timing in timings:
        if not all(math.isfinite(seconds) and seconds > 0 for seconds in timing.seconds_per_epoch):
            raise ValueError(f"times are positive and finite, not so in {timing}")
    return by_width
