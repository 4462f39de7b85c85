"""Intervals, the distance from the best, knee and Pareto front: against scipy, by properties, and by coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from search.verdict.statistics import POINTWISE_TAIL, Interval, Rivals, knee, mean_interval, pareto_front, slope


@pytest.mark.parametrize("tail", [0.025, 0.00625, 0.0001])
def test_the_mean_is_bounded_as_scipy_bounds_it(tail):
    values = np.random.default_rng(0).normal(1, 2, 6)
    ours = mean_interval(values, tail, tail)
    assert (ours.lower, ours.upper) == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(1 - 2 * tail))
    assert (ours.estimate, ours.n) == (pytest.approx(values.mean()), 6)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_two_values_or_fewer_bound_nothing(values):
    interval = mean_interval(np.array(values))
    assert (interval.lower, interval.upper, interval.n) == (-math.inf, math.inf, len(values))
    assert interval.bounds() is None
    assert interval.exp().bounds() is None


def test_a_ratio_that_overflows_is_unbounded():
    assert Interval(1.0, 0.0, 1e6, 3).exp() == Interval(math.e, 1.0, math.inf, 3)


def test_the_pareto_front_drops_what_is_worse_in_everything():
    assert pareto_front([(1, 1), (2, 2), (0, 3), (1, 1)]) == [True, False, True, True]


def test_the_knee_of_a_curve():
    assert knee([1, 10, 100, 1000], [0.0, 0.9, 0.95, 1.0]) == 1
    assert knee([1000, 100, 10, 1], [1.0, 0.95, 0.9, 0.0]) == 2
    assert knee([1, 10], [0, 1]) is None
    assert knee([1, 10, 100], [0.5, 0.5, 0.5]) is None


def test_a_slope_needs_two_points():
    assert slope([1, 2, 3], [1.0, 3.0, 5.0]) == pytest.approx(2)
    assert slope([1], [1.0]) is None


def test_the_shortfall_from_one_rival_is_the_paired_t_interval():
    differences = np.random.default_rng(1).normal(0.01, 0.001, 8)
    ours, plain = Rivals.of([differences]).shortfall(), mean_interval(differences)
    assert (ours.estimate, ours.lower, ours.upper) == pytest.approx((plain.estimate, plain.lower, plain.upper))


def test_the_lower_bound_is_bonferronis_or_better():
    rng = np.random.default_rng(2)
    for _ in range(50):
        rivals = list(rng.normal(rng.normal(0.01, 0.01, (6, 1)), 0.002, (6, 8)))
        bonferroni = max(mean_interval(rival, lower_tail=POINTWISE_TAIL / 6).lower for rival in rivals)
        naive = max(mean_interval(rival).lower for rival in rivals)
        assert bonferroni - 1e-12 <= Rivals.of(rivals).shortfall().lower <= max(0, naive) + 1e-12 or bonferroni < 0


def test_no_rival_better_leaves_a_shortfall_of_zero():
    bounds = Rivals.of([np.full(5, -0.01), np.full(5, -0.02)]).shortfall()
    assert (bounds.estimate, bounds.lower, bounds.upper) == (0, 0, 0)


def test_an_unknown_rival_may_be_the_best():
    bounds = Rivals.of([np.full(5, -0.01), np.array([0.01])]).shortfall()
    assert bounds.upper == math.inf
    assert bounds.n == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.floats(-0.1, 0.1), min_size=5, max_size=5), min_size=1, max_size=6))
def test_a_rival_that_is_never_better_adds_nothing(rivals):
    table = [np.array(rival) for rival in rivals]
    before, after = Rivals.of(table).shortfall(), Rivals.of([*table, np.full(5, -1.0)]).shortfall()
    assert (after.estimate, after.upper) == pytest.approx((before.estimate, before.upper))
    assert after.lower <= before.lower + 1e-12  # one more comparison costs a little


# --- coverage


def at_most(share: float, repetitions: int) -> float:
    """Return the largest count that a true share gives in all but 1 of 10,000 cases."""
    return float(stats.binom.ppf(1 - 1e-4, repetitions, share))


def test_the_t_interval_covers_as_often_as_it_says():
    rng, repetitions = np.random.default_rng(3), 4000
    for n in (3, 5, 20):
        intervals = [mean_interval(values) for values in rng.normal(0, 1, (repetitions, n))]
        assert_covers(intervals, 0.95, exact=True)


def test_the_shortfall_covers_at_least_as_often_as_it_says():
    rng, repetitions = np.random.default_rng(4), 1500
    for own, others in ((1.0, 1.0), (1.0, 0.1)):  # noise of the width and of its six equal rivals
        draws = rng.normal(0, others, (repetitions, 6, 8)) - rng.normal(0, own, (repetitions, 1, 8))
        assert_covers([Rivals.of(list(draw)).shortfall() for draw in draws], 0.95, exact=False)


def assert_covers(intervals: list[Interval], level: float, exact: bool) -> None:
    misses = sum(not interval.lower <= 0 <= interval.upper for interval in intervals)
    assert misses <= at_most(1 - level, len(intervals))
    if exact:
        assert len(intervals) - misses <= at_most(level, len(intervals))
