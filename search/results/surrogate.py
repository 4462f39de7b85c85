"""What a search's trials let one expect of any setting: Optuna's Gaussian process, fitted to their levels.

A sampler fits such a process anew for each trial and keeps none; this one is fitted once, when the search has ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.results.tried import Setting, Tried
from studies.optuna_private import Process
from studies.space import share_of_range

LEAST = 10  # trials: of fewer nothing is said
MOST = 150  # trials that it is fitted to: what that takes grows with their cube
FEW = 10  # whole numbers
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The process, and the points it was fitted to."""

    tried: Tried
    process: Process
    middle: float  # of the levels
    spread: float

    def posterior(self, points: Vector) -> tuple[Vector, Vector]:
        """Return mean `(m,)` and covariance `(m, m)` of the levels to be expected at points `(m, d)`."""
        mean, covariance = self.process.posterior(points)
        return self.middle + self.spread * mean, self.spread**2 * covariance

    @property
    def freedom(self) -> float:
        """The degrees of freedom that are left where its constants were found from the same trials."""
        return max(len(self.tried) - self.process.constants, len(self.tried) / 2)

    @property
    def noise(self) -> float:
        """The standard deviation of a single trial's level."""
        return float(self.spread * np.sqrt(self.process.noise))


@lru_cache(maxsize=4)
def surrogate(tried: Tried) -> Surrogate | None:
    """Return what the trials let one expect, None where they are too few or all alike."""
    seen = tried.thinned(MOST)
    levels = np.array(seen.levels)
    if len(seen) < LEAST or not seen.space or np.ptp(levels) == 0:
        return None
    middle, spread = float(levels.mean()), float(levels.std())
    encoded = Encoding.of(seen)
    process = Process(encoded.points(seen.settings), (levels - middle) / spread, encoded.categorical)
    return Surrogate(seen, process, middle, spread)


@dataclass(frozen=True)
class Encoding:
    """Settings as points: a column for each parameter, and one more where only some trials have it.

    A number lies between 0 and 1 on its own scale, in the middle where there is none; a category is its number, or -1.
    """

    space: Mapping[str, BaseDistribution]
    sometimes: Sequence[str]  # numbers that some trials do not have

    @classmethod
    def of(cls, tried: Tried) -> "Encoding":
        """Return the encoding of what was tried."""
        space, own = dict(tried.space), [dict(setting) for setting in tried.settings]
        rare = [name for name, each in space.items() if is_range(each) and not all(name in one for one in own)]
        return cls(space, rare)

    @property
    def categorical(self) -> NDArray[np.bool_]:
        """Which columns are categories."""
        return np.array([*(not is_range(each) for each in self.space.values()), *[True] * len(self.sometimes)])

    def points(self, settings: Sequence[Setting]) -> Vector:
        """Return the points `(n, d)` of settings."""
        return np.array([[*self._columns(dict(setting))] for setting in settings])

    def _columns(self, params: Mapping[str, Any]) -> Iterator[float]:
        for name, distribution in self.space.items():
            yield place(distribution, params[name]) if name in params else 0.5 if is_range(distribution) else -1.0
        for name in self.sometimes:
            yield float(name in params)


def is_range(distribution: BaseDistribution) -> bool:
    """Return whether a parameter is a number in a range, and no category."""
    return not isinstance(distribution, CategoricalDistribution)


def place(distribution: BaseDistribution, value: Any) -> float:
    """Return where a value lies in its range, from 0 to 1 on its own scale, or the number of a category."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return min(max(share_of_range(distribution, value), 0.0), 1.0)


def value_at(distribution: BaseDistribution, share: float) -> float:
    """Return the value of a range there; whole numbers are not rounded."""
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    return float(low * (high / low) ** share if distribution.log else low + share * (high - low))


def nearest(distribution: BaseDistribution, shares: Vector) -> Vector:
    """Return the places of values that can be drawn, the nearest to these places."""
    if not isinstance(distribution, IntDistribution):
        return shares
    whole = [round((value_at(distribution, x) - distribution.low) / distribution.step) for x in shares]
    return np.array([place(distribution, distribution.low + distribution.step * each) for each in whole])


def few(distribution: BaseDistribution) -> bool:
    """Return whether a parameter is a category or one of a few whole numbers."""
    if not isinstance(distribution, IntDistribution):
        return not is_range(distribution)
    return bool((distribution.high - distribution.low) / distribution.step < FEW)
