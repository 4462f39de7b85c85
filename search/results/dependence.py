"""The partial dependence of the metric on a parameter: what is to be expected at each of its values.

The mean, over the other parameters as the trials had them, of what a Gaussian process expects, and the 95 % band of
that mean by the process. Its constants were found from the same trials: the band is widened for it as a regression's
is, by Student's t and the degrees of freedom that are left. Where some parameters occur beside others alone, a value of
what may be a reason for that is looked at with the trials that had it, since nothing is known of it with others.
Source: Friedman, "Greedy function approximation" (2001).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution
from scipy import special

from search.results.surrogate import Encoding, Surrogate, Vector, few, nearest, place, surrogate, value_at
from search.results.tried import Tried

STEPS = 25  # places along a range
BESIDE = 24  # trials whose other parameters are looked at


@dataclass(frozen=True)
class Dependence:
    """The expected metric along a parameter; `low` and `high` are ends of the metric's 95 % band."""

    parameter: str
    places: tuple[Any, ...]  # values of the parameter
    means: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@lru_cache(maxsize=16)
def dependence(tried: Tried, parameter: str) -> Dependence | None:
    """Return the metric's partial dependence on a parameter, None where the trials are too few to say anything."""
    known = surrogate(tried)
    blocks = list(_blocks(known, parameter)) if known else []
    if known is None or not blocks:
        return None
    mean, covariance = known.posterior(np.vstack([points for _, points in blocks]))
    average = _averages([len(points) for _, points in blocks])
    middle, spread = average @ mean, _widening(known) * np.sqrt(np.diag(average @ covariance @ average.T).clip(0))
    ends = [[known.tried.scale.value(level) for level in each] for each in (middle, middle - spread, middle + spread)]
    means, low, high = ends if known.tried.scale.sign > 0 else (ends[0], ends[2], ends[1])
    return Dependence(parameter, tuple(value for value, _ in blocks), tuple(means), tuple(low), tuple(high))


def _widening(known: Surrogate) -> float:
    """Return how many of the process' standard deviations hold 95 %."""
    return float(special.stdtrit(known.freedom, 0.975) * math.sqrt(len(known.tried) / known.freedom))


def _blocks(known: Surrogate, parameter: str) -> Iterator[tuple[Any, Vector]]:
    """Yield values of a parameter, each with the points `(k, d)` to average over."""
    tried = known.tried
    names = [name for name, _ in tried.space]
    at, distribution = names.index(parameter), dict(tried.space)[parameter]
    having = [setting for setting in tried.settings if parameter in dict(setting)]
    rows = Encoding.of(tried).points(having) if having else np.empty((0, len(names)))
    for value in _values(tried, parameter) if having else ():
        share = place(distribution, value)
        chosen = rows[rows[:, at] == share] if tried.conditional and few(distribution) else rows
        if len(chosen):
            points = chosen[np.arange(min(BESIDE, len(chosen))) * len(chosen) // min(BESIDE, len(chosen))]
            points[:, at] = share
            yield value, points


def _values(tried: Tried, parameter: str) -> list[Any]:
    distribution = dict(tried.space)[parameter]
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    shares = np.unique(nearest(distribution, np.linspace(0, 1, STEPS)))
    found = [value_at(distribution, float(share)) for share in shares]
    return [round(value) for value in found] if isinstance(distribution, IntDistribution) else found


def _averages(counts: list[int]) -> Vector:
    """Return the matrix `(blocks, points)` that averages over each block."""
    rows, ends = np.zeros((len(counts), sum(counts))), np.cumsum([0, *counts])
    for k, count in enumerate(counts):
        rows[k, ends[k] : ends[k + 1]] = 1 / count
    return rows
