"""The numerics behind the verdict: paired intervals, the shortfall from the best of several, knee and Pareto front.

Conventions. A *tail* is the probability that a bound errs on its own side; a two-sided 95 % interval has two tails of
0.025. Accuracies are fractions. Fewer pairs than a boundary's ``first`` bound nothing: their interval is the whole
line. How far a bound lies from its mean is said in `boundary.py`.

Student's t and not the bootstrap: 5 to 20 seeds are too few to resample for tails of 0.6 % and less, which decide here.
Simulated, the percentile bootstrap's 95 % interval covers 84 % with 5 pairs and 92 % with 20. A difference of two
accuracies over thousands of images is near normal; `docs/calibration.md` measures what is left when it is not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from search.verdict.boundary import FIXED, MIN_PAIRS, Array, Boundary

POINTWISE_TAIL = 0.025  # each side of an interval shown as "95 %"


@dataclass(frozen=True)
class Interval:
    """An estimate between two bounds, in the unit of the data; bounds are infinite where nothing is known."""

    estimate: float  # nan without data
    lower: float
    upper: float
    n: int  # pairs behind it

    def exp(self) -> "Interval":
        """Return the interval of a ratio from that of its logarithm."""
        return Interval(math.exp(self.estimate), math.exp(self.lower), _exp(self.upper), self.n)

    def __neg__(self) -> "Interval":
        """Return the interval of the difference taken the other way round."""
        return Interval(-self.estimate, -self.upper, -self.lower, self.n)

    def bounds(self) -> tuple[float, float] | None:
        """Return (lower, upper), or None where either is infinite."""
        return (self.lower, self.upper) if math.isfinite(self.lower) and math.isfinite(self.upper) else None


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Mean:
    """A mean of paired differences, reduced to its moments."""

    mean: float  # nan without data
    spread: float  # standard deviation, infinite below MIN_PAIRS
    n: int  # pairs
    boundary: Boundary = FIXED

    @classmethod
    def of(cls, values: Array, boundary: Boundary = FIXED) -> "Mean":
        """Reduce differences to their moments."""
        return cls(*_moments(values), len(values), boundary)

    def interval(
        self, lower_tail: float = POINTWISE_TAIL, upper_tail: float = POINTWISE_TAIL, more: int = 0
    ) -> Interval:
        """Bound the mean; `more` pairs with the same moments would bound it so. Without spread it is the point."""
        n = self.n + more
        if n < self.boundary.first or not math.isfinite(self.spread):
            return Interval(self.mean, -math.inf, math.inf, n)
        lower, upper = (_away(self.boundary.critical(tail, n), self.spread, n) for tail in (lower_tail, upper_tail))
        return Interval(self.mean, self.mean - float(lower), self.mean + float(upper), n)


def mean_interval(
    values: Array,
    lower_tail: float = POINTWISE_TAIL,
    upper_tail: float = POINTWISE_TAIL,
    boundary: Boundary = FIXED,
) -> Interval:
    """Bound a mean; of paired differences, by Student's t, it is the paired t interval."""
    return Mean.of(values, boundary).interval(lower_tail, upper_tail)


def _away(critical: Array, spread: float | Array, pairs: int | npt.NDArray[np.int64]) -> Array:
    """Return how far a bound is from its mean; nowhere without spread, whatever the boundary."""
    with np.errstate(invalid="ignore"):
        return np.where(np.asarray(spread) > 0, critical * (spread / np.sqrt(pairs)), 0.0)


@dataclass(frozen=True)
class Rivals:
    """Paired differences (rival - own) of one setting from each of the others, reduced to their moments."""

    means: Array
    spreads: Array  # standard deviations, infinite below MIN_PAIRS
    sizes: npt.NDArray[np.int64]  # pairs
    boundary: Boundary = FIXED

    @classmethod
    def of(cls, differences: Sequence[Array], boundary: Boundary = FIXED) -> "Rivals":
        """Reduce one array of differences for each rival."""
        moments = np.array([_moments(each) for each in differences]).reshape(-1, 2)
        sizes = np.array([len(each) for each in differences], dtype=int)
        return cls(np.nan_to_num(moments[:, 0]), moments[:, 1], sizes, boundary)

    def shortfall(
        self, lower_tail: float = POINTWISE_TAIL, upper_tail: float = POINTWISE_TAIL, more: int = 0
    ) -> Interval:
        """Bound how far the setting falls short of the best: max(0, max over rivals of their true difference).

        `more` pairs of each rival, with the same moments, would bound it so.

        The bounds pick no "best" from the data, so luck cannot flatter it:

        - The upper bound is the largest of the rivals' own upper bounds. The true best, whichever it is, exceeds its
          own bound with a probability of ``upper_tail`` only: no correction for the number of rivals is needed (as
          in multiple comparisons with the best; Hsu, 1984, Ann. Statist. 12).
        - The lower bound inverts Simes' test of "no rival is better by more than x": for the best i, the i-th largest
          of the rivals' bounds with tail ``lower_tail * i / k``. It is never below Bonferroni's (i = 1) and far above
          it when many rivals are better. Simes (1986), Biometrika 73; valid under positive dependence (Sarkar, 1998,
          Ann. Statist. 26), which the shared subtrahend brings about.

        The estimate is the plain maximum, which chance lifts a little: that speaks against the setting, never for it.
        """
        if not len(self.means):
            return Interval(math.nan, -math.inf, math.inf, 0)
        grown = replace(self, sizes=self.sizes + more)
        highest = np.max(self.means + grown.away(upper_tail))
        figures = (np.max(self.means), grown.simes_bound(lower_tail), highest)
        estimate, lower, upper = (max(0.0, float(figure)) for figure in figures)
        return Interval(estimate, lower, upper, int(grown.sizes.min()))

    def away(self, tail: float | Array) -> Array:
        """Return how far from its mean the bound of each rival lies, infinitely where it has too few pairs."""
        known = (self.sizes >= self.boundary.first) & np.isfinite(self.spreads)
        spreads = np.where(known, self.spreads, 0.0)
        return np.where(
            known, _away(self.boundary.critical(tail, self.sizes), spreads, np.maximum(self.sizes, 1)), np.inf
        )

    def simes_bound(self, tail: float) -> float:
        """Return the lower bound by Simes' test, as `shortfall` says."""
        count = len(self.means)
        shares = tail * np.arange(1, count + 1)[:, None] / count
        bounds = self.means - self.away(shares)  # a row per share, a column per rival
        return float(np.max(np.diagonal(-np.sort(-bounds, axis=1))))


def _moments(values: Array) -> tuple[float, float]:
    """Return the mean (nan without data) and the standard deviation (infinite below MIN_PAIRS)."""
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    return mean, float(np.std(values, ddof=1)) if n >= MIN_PAIRS else math.inf


def standard_deviation(values: Array) -> float | None:
    """Return the sample standard deviation, or None below two values."""
    return float(np.std(values, ddof=1)) if len(values) >= 2 else None


def slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return the least-squares slope of y over x, or None below two points."""
    # np.polyfit and not scipy's linregress, whose p-value costs ten times as much and is not asked for.
    return float(np.polyfit(x, y, 1)[0]) if len(x) >= 2 else None


def pareto_front(costs: Sequence[tuple[float, ...]]) -> list[bool]:
    """Say of each point whether no other is as good in every cost and better in one. All costs are minimised."""
    table = np.array(costs, dtype=float).reshape(len(costs), -1)
    return [not np.any((table <= point).all(axis=1) & (table < point).any(axis=1)) for point in table]


def knee(costs: Sequence[float], gains: Sequence[float]) -> int | None:
    """Return the index where a rising, flattening curve lies highest above the chord of its ends, over log cost.

    None below three points, or where no point is above the chord. A description and not a test: it depends on the range
    of costs tried. Source: Satopää et al. (2011), "Finding a 'Kneedle' in a Haystack".
    """
    if len(costs) < 3:
        return None
    order = np.argsort(costs)
    x, y = np.log(np.array(costs, dtype=float)[order]), np.array(gains, dtype=float)[order]
    height = (y - y[0]) * (x[-1] - x[0]) - (y[-1] - y[0]) * (x - x[0])
    top = int(np.argmax(height))
    return int(order[top]) if height[top] > 1e-12 else None
