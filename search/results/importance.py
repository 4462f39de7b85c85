"""How much each parameter mattered to a search, and how sure that is.

Optuna's PED-ANOVA compares where the better half of the trials lie with where all do, parameter by parameter. Unlike
fANOVA it needs no more than an order of the trials, so that it matters little where a pruned one would have ended; it
knows parameters that only some trials have; and it compares with what was tried, where fANOVA's forest has to guess.
It is never negative, though, also where a parameter does not matter. So from what it finds in resamplings of the trials
is taken what it finds in the mean when their values have been shuffled.
Source: Watanabe et al., "PED-ANOVA" (2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.seeds import derive
from search.results.tried import Tried
from studies.optuna_private import ImportanceTrials

LEAST = 10  # trials: of fewer nothing is said
MOST = 300  # trials that are looked at
RESAMPLES = 100
TOP = 0.5  # of the trials: the good ones; with a fifth or a third of them less is told from chance
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Importance:
    """A parameter's share in what matters, beyond what chance would show, from 0 to 1."""

    parameter: str
    share: float  # mean over the resamplings
    low: float  # of their 95 % interval; 0 where chance would show as much
    high: float

    @property
    def known(self) -> bool:
        """Whether the parameter matters, as far as these trials tell."""
        return self.low > 0

    @property
    def told(self) -> str:
        """Write the share with its interval."""
        return f"{self.share:.0%} ({100 * self.low:.0f} to {self.high:.0%})"


@lru_cache(maxsize=4)
def importances(tried: Tried) -> tuple[Importance, ...]:
    """Return the parameters' importances, the most important first; none where there are too few trials."""
    seen = tried.thinned(MOST)
    names = [name for name, _ in seen.space if any(name == own for setting in seen.settings for own, _ in setting)]
    if len(seen) < LEAST or not names:
        return ()
    excess = np.maximum(_excess(seen, names), 0)  # (resamples, parameters)
    sums = excess.sum(1, keepdims=True)
    shares = np.divide(excess, sums, out=np.zeros_like(excess), where=sums > 0)
    low, high = np.percentile(shares, INTERVAL, axis=0)
    found = [Importance(*each) for each in zip(names, *(x.tolist() for x in (shares.mean(0), low, high)), strict=True)]
    return tuple(sorted(found, key=lambda each: -each.share))


def _excess(tried: Tried, names: Sequence[str]) -> NDArray[np.float64]:
    """Return by how much each parameter exceeds chance, `(resamples, parameters)`."""
    from optuna.importance import PedAnovaImportanceEvaluator  # noqa: PLC0415  # scikit-learn: wanted at the end alone

    rng = np.random.default_rng(derive(tried.seed, "importance"))
    trials = ImportanceTrials(dict(tried.space), [dict(setting) for setting in tried.settings])
    levels, evaluator = np.array(tried.levels), PedAnovaImportanceEvaluator(target_quantile=TOP)

    def found(values: NDArray[np.float64]) -> list[float]:
        told = trials.evaluate(evaluator, rng.integers(len(tried), size=len(tried)), values)
        return [told.get(name, 0.0) for name in names]

    own = np.array([found(levels) for _ in range(RESAMPLES)])
    chance = np.array([found(rng.permutation(levels)) for _ in range(RESAMPLES)])
    return np.asarray(own - chance.mean(0))
