"""What must not change a verdict: the order of rows, names of seeds, a constant, the speed of the machine."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.verdict.judge import Verdict
from tests.support.made_up_runs import WIDTHS, claims, judged, runs, timings

REPORTS = [runs(), runs({10: 0.0, 25: 0.0, 100: 0.03}), runs({**WIDTHS, 16: 0.0}, noise=0.004)]


def essence(verdict: Verdict) -> object:
    """Return every figure of the verdict, rounded where the order of a sum may show."""
    found = json.loads(json.dumps(verdict.as_dict()), parse_float=lambda text: round(float(text), 9))
    for summary in found["widths"]:
        summary.pop("values")
    return found


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(REPORTS), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled, timed = list(rows), timings()
    random.shuffle(shuffled)
    random.shuffle(timed)
    assert judged(shuffled, timed) == judged(rows, timings())


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(REPORTS), st.permutations(range(100, 110)))
def test_the_names_of_seeds_change_nothing(rows, names):
    renamed = [replace(row, seed=names[row.seed]) for row in rows]
    assert essence(judged(renamed, timings())) == essence(judged(rows, timings()))


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(REPORTS), st.floats(-0.8, 0.0))
def test_a_constant_on_all_accuracies_moves_the_means_only(rows, constant):
    moved = [replace(row, value=row.value + constant, train_value=row.train_value + constant) for row in rows]
    before, after = judged(rows, timings()), judged(moved, timings())
    assert after.sweet_spot == before.sweet_spot
    for old, new in zip(before.claims, after.claims, strict=True):
        assert (new.verdict, new.n) == (old.verdict, old.n)
        assert (new.effect, new.ci95) == (pytest.approx(old.effect), pytest.approx(old.ci95))
    for was, now in zip(before.arms, after.arms, strict=True):
        assert now.mean == pytest.approx(was.mean + constant)
        assert (now.gap, now.sd, now.shortfall) == pytest.approx((was.gap, was.sd, was.shortfall), abs=1e-12)


@settings(deadline=None, max_examples=8)
@given(st.floats(0.001, 1000))
def test_the_speed_of_the_machine_changes_nothing(factor):
    slower = [replace(timing, seconds_per_epoch=[factor * s for s in timing.seconds_per_epoch]) for timing in timings()]
    old, new = (claims(judged([], timed))["too-many-slower"] for timed in (timings(), slower))
    assert (new.verdict, new.effect, new.ci95) == (old.verdict, pytest.approx(old.effect), pytest.approx(old.ci95))
