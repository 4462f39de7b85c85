"""How far a bound lies from a mean, in standard errors: the one place that says so.

`FIXED` is for data that are looked at once, after a number of seeds that was fixed before: Student's t.

`ALWAYS_VALID` is for data that are looked at after every seed, by a confirmation that ends as soon as its claims are
settled. With Student's t each look would be another chance to err. Its bound is the inverse of a Bayes factor, that of
"the mean is off by a normal effect of `EFFECT` standard deviations" against "by nothing": of normal values this factor
exceeds 1 / p, *at any time*, with a probability of p at most (Ville's inequality). So one may look as often as one
likes, and go on for as long as one likes. Sources: Lai (1976), Ann. Statist. 4, 265-280; Wang & Ramdas (2025),
"Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance", Sequential Analysis 44; the
factor in closed form: Gönen et al. (2005), Am. Stat. 59. Two tails of p / 2 each are taken for its two sides.

That holds for normal values only. Where now and then a seed goes badly wrong, the others lie close together and their
mean is too good. So nothing is bounded below `FIRST` pairs, and the bound is `1 + SKEW / sqrt(n)` times as far away:
chosen by simulation so that errors stay within their limits when noise is exponential, whose skewness is 2
(`docs/calibration.md`, which also says what is beyond that).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Sizes = int | npt.NDArray[np.int64]  # pairs

MIN_PAIRS = 3  # fewer can hardly show a spread: the t quantile for 95 % is 12.7 with two pairs
FIRST, SKEW, EFFECT = 10, 1.5, 2.0


class Boundary(Protocol):
    """How far the bounds of a mean lie from it."""

    first: int  # with fewer pairs nothing is bounded
    looks: bool  # whether data may be looked at as often as one likes
    told: str  # which interval it makes, in a few words

    def critical(self, tail: float | Array, pairs: Sizes) -> Array:
        """Return how many standard errors away a bound lies that errs with this probability."""


class Fixed:
    """One look, after a number of pairs that was fixed before. Source: Student (1908), Biometrika 6."""

    first, looks, told = MIN_PAIRS, False, "paired t interval"

    def critical(self, tail: float | Array, pairs: Sizes) -> Array:
        """Return Student's quantile."""
        # stdtrit is what scipy.stats.t.ppf calls, at a tenth of its overhead; the tests hold it to scipy.stats.
        return np.asarray(-special.stdtrit(np.maximum(np.asarray(pairs) - 1, 1), tail))


class AlwaysValid:
    """A look after every pair from the first `FIRST` on."""

    first, looks, told = FIRST, True, "always-valid paired t interval"

    def critical(self, tail: float | Array, pairs: Sizes) -> Array:
        """Return the boundary of the mixture, widened for skewed noise; infinite where there are too few pairs."""
        n = np.maximum(np.asarray(pairs, dtype=float), 2.0)
        prior = 1 / (1 + n * EFFECT**2)
        root = ((2 * np.asarray(tail)) ** 2 * prior) ** (-1 / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = np.where(prior * root < 1, (n - 1) * (root - 1) / (1 - prior * root), np.inf)
        return np.asarray(np.sqrt(squared) * (1 + SKEW / np.sqrt(n)))


FIXED: Boundary = Fixed()
ALWAYS_VALID: Boundary = AlwaysValid()


def boundary_of(rule: str | None) -> Boundary:
    """Return the boundary that a plan names. Raises ValueError for a rule that this version does not know."""
    if rule not in RULES:
        raise ValueError(f"the rule {rule!r} is unknown; this version knows {', '.join(filter(None, RULES))}")
    return RULES[rule]


RULES: dict[str | None, Boundary] = {None: FIXED, "always-valid t": ALWAYS_VALID}
