"""What the verdict is drawn from: confirmed runs and timings, checked once and paired by seed or by round.

An *arm* is a setting, as claims name it, under a protocol. Accuracies and gaps are fractions of 1, losses are nats,
other metrics have their own unit, times are seconds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from search.verdict.boundary import FIXED, Array, Boundary
from search.verdict.statistics import slope
from studies.asked import Protocols
from studies.claims import Metric
from studies.settings import Setting


@dataclass(frozen=True)
class Row:
    """One confirmed training run. The same seeds are used for every arm, which makes comparisons paired."""

    setting: Setting  # as claims name it
    params: Setting  # as it was trained: the same, but for the parameters that a protocol tunes
    protocol: str
    seed: int
    value: float  # of the metric, on validation data
    train_value: float
    val_loss: float
    train_loss: float
    parameters: int
    gap_by_epoch: Mapping[int, float] | None = None  # training minus validation value, at some epochs
    test_value: float | None = None  # of the metric, on test data; of settings that a claim is about which asks for it


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one setting, alone and at equal conditions; the i-th of every setting are of one round.

    The setting may lack parameters that cost no time.
    """

    setting: Setting
    seconds_per_epoch: Sequence[float]
    flops_per_epoch: int | None


Measure = Callable[[Row], float | None]


def value(row: Row) -> float:
    """Return the metric on validation data."""
    return row.value


def test(row: Row) -> float | None:
    """Return the metric on test data."""
    return row.test_value


def gap(row: Row) -> float:
    """Return the generalisation gap: training minus validation value, at the end."""
    return row.train_value - row.value


def gap_growth(row: Row) -> float | None:
    """Return the least-squares growth of the gap per 10 epochs, or None below two recorded epochs."""
    epochs = sorted(row.gap_by_epoch or {})
    rate = slope(epochs, [(row.gap_by_epoch or {})[epoch] for epoch in epochs])
    return None if rate is None else 10 * rate


@dataclass(frozen=True)
class Evidence:
    """Checked rows, by protocol and setting and seed, and timings."""

    runs: Mapping[tuple[str, Setting], Mapping[int, Row]]
    timings: Sequence[Timing]
    metric: Metric
    boundary: Boundary = FIXED  # of means over seeds

    def settings(self, protocol: str) -> list[Setting]:
        """Return the settings that have runs, in order."""
        return sorted((setting for found, setting in self.runs if found == protocol), key=Setting.order)

    def rows(self, protocol: str, setting: Setting) -> list[Row]:
        """Return the runs of an arm in order of their seeds."""
        return list(self.runs.get((protocol, setting), {}).values())

    def values(self, protocol: str, setting: Setting, measure: Measure) -> Array:
        """Return the measure of each run that has it, in order of seeds."""
        found = (measure(row) for row in self.rows(protocol, setting))
        return np.array([each for each in found if each is not None])

    def advantages(self, protocol: str, setting: Setting, other: Setting, measure: Measure) -> Array:
        """Return by how much a setting's measure is better than another's, for each seed that both have.

        Better is the direction of the metric; of gaps, it is a training value that is better than the validation's.
        """
        ours, theirs = self.runs.get((protocol, setting), {}), self.runs.get((protocol, other), {})
        pairs = ((measure(ours[seed]), measure(theirs[seed])) for seed in ours if seed in theirs)
        sign = self.metric.sign
        return np.array([sign * (a - b) for a, b in pairs if a is not None and b is not None])

    def timing(self, setting: Setting) -> Timing | None:
        """Return the measurements of a setting, None if there are none."""
        return next((timing for timing in self.timings if setting.holds(timing.setting)), None)

    def log_time_ratios(self, setting: Setting, other: Setting) -> Array:
        """Return log(seconds of a setting / seconds of another) for each round."""
        ours, theirs = self.timing(setting), self.timing(other)
        if ours is None or theirs is None:
            return np.array([])
        return np.log(ours.seconds_per_epoch) - np.log(theirs.seconds_per_epoch)


def checked(
    rows: Iterable[Row],
    timings: Iterable[Timing],
    metric: Metric,
    protocols: Protocols,
    boundary: Boundary = FIXED,
) -> Evidence:
    """Check rows and timings, and return them by protocol, setting and seed.

    Raises ValueError for figures that are nan, infinite or out of range, a run given twice, runs of one arm that differ
    in what was trained, runs of a stated arm that are of another setting, times that are not positive, and rounds that
    do not pair.
    """
    ordered = sorted(rows, key=lambda row: (row.protocol, row.setting.order(), row.seed))
    for row in ordered:
        _check_row(row, metric, protocols)
    grouped = groupby(ordered, key=lambda row: (row.protocol, row.setting))
    runs = {key: _by_seed(list(group)) for key, group in grouped}
    return Evidence(runs, _checked_timings(list(timings)), metric, boundary)


def _check_row(row: Row, metric: Metric, protocols: Protocols) -> None:
    values = [each for each in (row.value, row.train_value, row.test_value) if each is not None]
    if not all(map(math.isfinite, (*values, row.val_loss, row.train_loss, *(row.gap_by_epoch or {}).values()))):
        raise ValueError(f"a figure is not finite in {row}")
    if metric.fraction and not all(0 <= each <= 1 for each in values):
        raise ValueError(f"accuracies are fractions between 0 and 1, not so in {row}")
    if row.protocol not in protocols.names:
        raise ValueError(f"the protocol is one of {', '.join(protocols.names)}, not so in {row}")
    if row.parameters < 1:
        raise ValueError(f"the number of parameters is positive, not so in {row}")
    free = protocols.free if row.protocol == protocols.tuned else ()
    if row.params.without(free) != row.setting.without(free):
        raise ValueError(f"what was trained is not the setting that is named in {row}")


def _by_seed(rows: Sequence[Row]) -> dict[int, Row]:
    seeds = {row.seed: row for row in rows}
    if len(seeds) < len(rows):
        raise ValueError(f"a seed occurs twice at {rows[0].setting} under {rows[0].protocol}")
    if len({(row.params, row.parameters) for row in rows}) > 1:
        raise ValueError(f"what was trained differs between runs of {rows[0].setting} under {rows[0].protocol}")
    return seeds


def _checked_timings(timings: Sequence[Timing]) -> list[Timing]:
    if len({timing.setting for timing in timings}) < len(timings):
        raise ValueError("a setting is timed twice")
    if len({len(timing.seconds_per_epoch) for timing in timings}) > 1:
        raise ValueError("timings are paired by round: every setting needs the same number of rounds")
    for timing in timings:
        if not all(math.isfinite(seconds) and seconds > 0 for seconds in timing.seconds_per_epoch):
            raise ValueError(f"times are positive and finite, not so in {timing}")
    return sorted(timings, key=lambda timing: timing.setting.order())
