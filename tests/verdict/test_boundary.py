"""The boundary of a confirmation that is looked at after every seed: its oracle, its shape, and how often it errs."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from search.verdict.boundary import ALWAYS_VALID, EFFECT, FIRST, FIXED, SKEW, boundary_of
from search.verdict.statistics import Rivals, mean_interval
from studies.confirmation import RULE


def bayes_factor(t: float, n: int) -> float:
    """Return how much likelier a t value is for normal effects of `EFFECT` standard deviations than for none."""

    def weighed(effect: float) -> float:
        return float(stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) * stats.norm.pdf(effect, scale=EFFECT))

    found, _ = integrate.quad(weighed, -6 * EFFECT, 6 * EFFECT, points=[t / math.sqrt(n)], limit=200)
    return float(found / stats.t.pdf(t, n - 1))


@pytest.mark.parametrize("n", [10, 14, 20])
@pytest.mark.parametrize("tail", [0.025, 0.00625])
def test_a_bound_lies_where_the_evidence_is_as_strong_as_its_tail_is_small(n, tail):
    wide = float(ALWAYS_VALID.critical(tail, n)) / (1 + SKEW / math.sqrt(n))
    assert bayes_factor(wide, n) == pytest.approx(1 / (2 * tail), rel=1e-4)


def test_it_is_wider_than_students_and_narrows_with_every_pair():
    pairs = np.arange(FIRST, 1000)
    always, once = (each.critical(0.00625, pairs) / np.sqrt(pairs) for each in (ALWAYS_VALID, FIXED))
    assert np.all(always > once)
    assert np.all(np.diff(always) < 0)
    assert np.all(np.diff(ALWAYS_VALID.critical(np.array([0.05, 0.01, 0.001]), 12)) > 0)


def test_below_the_first_look_nothing_is_bounded():
    values = np.random.default_rng(0).normal(0, 1, FIRST)
    assert mean_interval(values[:-1], boundary=ALWAYS_VALID).bounds() is None
    assert mean_interval(values, boundary=ALWAYS_VALID).bounds() is not None
    few = Rivals.of([values, values[:-1]], ALWAYS_VALID).shortfall()
    assert (few.upper, few.n) == (math.inf, FIRST - 1)
    assert float(ALWAYS_VALID.critical(1e-12, 3)) == math.inf  # so few pairs never weigh so much


def test_rules_are_known_by_the_names_they_are_stored_under():
    assert boundary_of(None) is FIXED
    assert boundary_of(RULE) is ALWAYS_VALID
    with pytest.raises(ValueError, match="the rule 'oracle' is unknown"):
        boundary_of("oracle")


NOISES = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "skewed": lambda rng, shape: 1 - rng.exponential(1, shape),
    "heavy": lambda rng, shape: rng.standard_t(3, shape),
    "bimodal": lambda rng, shape: rng.choice([-1, 1], shape) + rng.normal(0, 0.4, shape),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("tail", [0.025, 0.00625])
def test_a_bound_that_is_looked_at_after_every_seed_seldom_errs(noise, tail):
    repetitions, last = 4000, 60
    values = NOISES[noise](np.random.default_rng(5), (repetitions, last))
    pairs = np.arange(1, last + 1)
    means = np.cumsum(values, axis=1) / pairs
    spreads = np.sqrt((np.cumsum(values**2, axis=1) - pairs * means**2)[:, 1:] / (pairs[1:] - 1))
    t = np.abs(means[:, FIRST - 1 :]) / spreads[:, FIRST - 2 :] * np.sqrt(pairs[FIRST - 1 :])
    ever = np.count_nonzero(np.any(t > ALWAYS_VALID.critical(tail, pairs[FIRST - 1 :]), axis=1))
    # Of skewed noise a little more is allowed for: its limit is that of all claims of a study together.
    assert ever <= stats.binom.ppf(1 - 1e-4, repetitions, 2 * tail * (1.25 if noise == "skewed" else 1))
    once = np.count_nonzero(np.any(t > FIXED.critical(tail, pairs[FIRST - 1 :]), axis=1))
    assert once > stats.binom.ppf(1 - 1e-4, repetitions, 2 * tail)  # what looking costs where nothing is done about it
