"""What going on with a search is expected to gain: by how much the setting that it would then choose is better.

As many trials again are imagined: a Gaussian process, fitted to the trials there are, is drawn from once for each of
them, and the best place of that draw is the trial's (Thompson sampling). What they would show is drawn as well, with
the noise of a single trial, and the best of all trials is chosen. Its gain is told by the draw, without the noise. So a
trial that is merely lucky gains nothing, and may lose something.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from model.seeds import derive
from search.results.surrogate import Encoding, Surrogate, Vector, few, nearest, surrogate
from search.results.tried import Tried

LEAST = 15  # trials: of fewer nothing is said
MOST = 100  # trials more that are imagined at most
PLACES = 200  # that they may choose among: half anywhere, half near the best
NEAR = 5  # settings that count as the best ones
KEPT = 0.8  # probability that a category stays what it is there
AWAY = 0.1  # of a range, one standard deviation: what is near them
DRAWS = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Gain:
    """What so many trials more are expected to gain, in the metric; what is better is positive, whichever way."""

    trials: int
    mean: float
    low: float  # 95 % of the draws lie from here
    high: float  # to here; what came in truth did less often, since the process is no more than a guess


@lru_cache(maxsize=4)
def expected_gain(tried: Tried, more: int | None = None) -> Gain | None:
    """Return what as many trials again, or so many more, are expected to gain.

    None where nothing can be said: too few trials, none completed, or two aims.
    """
    count = more or min(len(tried), MOST)
    if tried.aims > 1 or len(tried) < LEAST or not any(tried.complete):
        return None
    known = surrogate(tried)
    return _gain(known, count) if known else None


def _gain(known: Surrogate, more: int) -> Gain:
    tried, rng = known.tried, np.random.default_rng(derive(known.tried.seed, "gain"))
    rows = Encoding.of(tried).points(tried.settings)
    complete = np.array(tried.complete)
    own, shown = rows[complete], np.array(tried.levels)[complete]
    mean, covariance = known.posterior(np.vstack([own, _places(known, rows, rng)]))
    draws = rng.multivariate_normal(mean, covariance, more + DRAWS, method="eigh", check_valid="ignore")
    chosen = len(own) + draws[:more, len(own) :].argmax(1)  # where the trials would be
    truth = draws[more:]
    told = truth[:, chosen] + known.noise * rng.standard_normal((DRAWS, more))
    winners = np.concatenate([np.arange(len(own)), chosen])[np.hstack([np.tile(shown, (DRAWS, 1)), told]).argmax(1)]
    before, after = truth[:, shown.argmax()], truth[np.arange(DRAWS), winners]
    gains = [
        tried.scale.sign * (tried.scale.value(b) - tried.scale.value(a)) for a, b in zip(before, after, strict=True)
    ]
    low, high = np.percentile(gains, INTERVAL)
    return Gain(more, float(np.mean(gains)), float(low), float(high))


def _places(known: Surrogate, rows: Vector, rng: np.random.Generator) -> Vector:
    """Return points `(PLACES, d)` that a search might try: those of trials, changed in what can be changed alone."""
    best = np.argsort(-known.posterior(rows)[0], kind="stable")[:NEAR]
    half, free = PLACES // 2, _free(known.tried)
    anywhere, near = rng.integers(len(rows), size=half), best[rng.integers(len(best), size=half)]
    points: Vector = rows[np.concatenate([anywhere, near])]
    for column, (name, distribution) in enumerate(known.tried.space):
        changed = free[name][np.concatenate([anywhere, near])]
        points[changed, column] = _moved(distribution, points[:, column], rng)[changed]
    return points


def _moved(distribution: BaseDistribution, column: Vector, rng: np.random.Generator) -> Vector:
    """Return the places of a parameter, half of them anywhere in its range and the others near where they were."""
    half = len(column) // 2
    if isinstance(distribution, CategoricalDistribution):
        drawn = rng.integers(len(distribution.choices), size=len(column)).astype(float)
        kept = (rng.random(len(column)) < KEPT) & (np.arange(len(column)) >= half)
        return np.asarray(np.where(kept, column, drawn))
    moved: Vector = np.concatenate([rng.random(half), column[half:] + AWAY * rng.standard_normal(len(column) - half)])
    return nearest(distribution, moved.clip(0, 1))


def _free(tried: Tried) -> dict[str, NDArray[np.bool_]]:
    """Return for each parameter which trials it may be changed in alone.

    Those that have it; but where some parameters occur beside others alone, none of what may be a reason for that:
    a category, or one of a few whole numbers.
    """
    conditional = tried.conditional
    return {
        name: np.array([name in dict(setting) and not (conditional and few(each)) for setting in tried.settings])
        for name, each in tried.space
    }
