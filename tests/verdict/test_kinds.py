"""Each kind of claim on made-up runs of any settings: what must mirror, what must not matter, what is too little."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from search.verdict.claims import claim_tail
from search.verdict.evidence import Row, Timing
from search.verdict.judge import Verdict, judge
from studies.asked import Protocols
from studies.claims import (
    ACCURACY,
    Claim,
    Metric,
    as_good_as,
    as_good_as_any,
    better,
    better_in_time,
    memorizes,
    reaches,
    slower,
    sweet_spot,
    worse,
)
from studies.settings import Setting

A, B, C = ({"dropout": rate, "kind": "relu"} for rate in (0.0, 0.2, 0.5))
LOSS = Metric("validation loss", "minimize", fraction=False)
SCORE = Metric("validation score", "maximize", fraction=False)
ONE_OF_EACH = (
    better(A, than=B, by=0.005),
    worse(B, than=A, by=0.005, id="worse"),
    as_good_as(A, than=B, within=0.005),
    memorizes(A, than=B, gap=0.005, by=0.005),
    sweet_spot("dropout", 0.2, among=[0.0, 0.2, 0.5], at={"kind": "relu"}, within=0.005),
    as_good_as_any(A, [B, C], within=0.005),
)
EFFECTS = st.floats(-0.02, 0.02)
few = settings(deadline=None, max_examples=20)


def runs(means: Sequence[tuple[Mapping[str, Any], float]], seeds: int = 6, gap: float = 0.01) -> list[Row]:
    """Make runs of settings with these means; each has its own noise and gap, drawn from a fixed seed."""
    rng = np.random.default_rng(11)
    rows = []
    for number, (params, mean) in enumerate(means):
        setting = Setting.of(params)
        for seed in range(seeds):
            value, wide = 0.9 + mean + rng.normal(0, 0.002), gap * (1 + number / 4) + rng.normal(0, 0.002)
            rows.append(Row(setting, setting, "stated", seed, value, value + wide, 0.2, 0.1, 1000, {1: 0.0, 9: wide}))
    return rows


def timed(ratio: float) -> list[Timing]:
    rng = np.random.default_rng(12)
    pairs = ((A, ratio), (B, 1.0))
    return [Timing(Setting.of(each), (mean * np.exp(rng.normal(0, 0.02, 6))).tolist(), None) for each, mean in pairs]


def found(claims: Sequence[Claim], rows: Sequence[Row], metric: Metric = ACCURACY) -> dict[str, Any]:
    """Return the verdict, effect and interval of each claim."""
    judged = judge(claims, rows, timed(1.3), metric=metric).claims
    return {each.id: (each.verdict, each.effect, each.ci95) for each in judged}


def moved(rows: Sequence[Row], factor: float, constant: float = 0.0) -> list[Row]:
    """Return the rows with all values, and so all gaps, multiplied, and a constant added."""
    return [
        replace(
            row,
            value=factor * row.value + constant,
            train_value=factor * row.train_value + constant,
            gap_by_epoch={epoch: factor * gap for epoch, gap in (row.gap_by_epoch or {}).items()},
        )
        for row in rows
    ]


def same(one: Mapping[str, Any], other: Mapping[str, Any], factor: float = 1.0) -> None:
    """Assert that verdicts are equal, and effects up to a factor."""
    for name, (verdict, effect, ci95) in one.items():
        assert other[name][0] == verdict, name
        assert other[name][1] == pytest.approx(factor * effect, rel=1e-6, abs=1e-9 * factor)
        assert other[name][2] == pytest.approx(tuple(factor * bound for bound in ci95), rel=1e-6, abs=1e-9 * factor)


# --- properties


@few
@given(EFFECTS, EFFECTS)
def test_swapping_a_and_b_mirrors_better(one, other):
    rows = runs([(A, one), (B, other)])
    there, back = (found([better(a, than=b, by=0.0, id="x")], rows)["x"] for a, b in ((A, B), (B, A)))
    assert back[1] == pytest.approx(-there[1])
    assert back[2] == pytest.approx((-there[2][1], -there[2][0]))
    assert {"supported": "refuted", "refuted": "supported", "undecided": "undecided"}[there[0]] == back[0]


@few
@given(EFFECTS, st.floats(0, 0.01))
def test_worse_is_better_told_from_the_other_side(effect, margin):
    rows = runs([(A, effect), (B, 0.0)])
    claims = [better(A, than=B, by=margin, id="better"), worse(B, than=A, by=margin, id="worse")]
    verdict = judge(claims, rows, [])
    one, other = verdict.claims
    assert (one.verdict, one.effect, one.ci95) == (other.verdict, other.effect, other.ci95)
    assert one.sentence.startswith("Runs with dropout=0 end")
    assert other.sentence.startswith("Runs with dropout=0.2 end")
    assert ("higher" in one.sentence) == ("lower" in other.sentence) == (one.effect >= 0)


@few
@given(EFFECTS, st.floats(0, 0.01))
def test_as_good_as_is_refuted_when_the_other_is_better_by_more_than_the_margin(effect, margin):
    rows = runs([(A, 0.0), (B, effect)])
    claims = [as_good_as(A, than=B, within=margin, id="good"), better(B, than=A, by=margin, id="better")]
    verdicts = {name: each[0] for name, each in found(claims, rows).items()}
    opposite = {"supported": "refuted", "refuted": "supported", "undecided": "undecided"}
    assert verdicts["good"] == opposite[verdicts["better"]]


def test_as_good_as_may_be_better():
    rows = runs([(A, 0.02), (B, 0.0)])
    assert found([as_good_as(A, than=B, within=0.005)], rows)["dropout=0-as-good-as-dropout=0.2"][0] == "supported"


@few
@given(EFFECTS, EFFECTS, st.floats(-0.5, 0.05))
def test_a_constant_on_all_rows_changes_nothing(one, other, constant):
    rows = runs([(A, one), (B, other), (C, 0.0)])
    same(found(ONE_OF_EACH, rows), found(ONE_OF_EACH, moved(rows, 1.0, constant)))


@few
@given(EFFECTS, EFFECTS, st.sampled_from([1e-6, 0.01, 100.0, 1e7]))
def test_the_scale_of_a_metric_and_its_margins_changes_nothing(one, other, scale):
    rows = runs([(A, one), (B, other), (C, 0.0)])
    margin = 0.005 * scale
    scaled = (
        better(A, than=B, by=margin),
        worse(B, than=A, by=margin, id="worse"),
        as_good_as(A, than=B, within=margin),
        memorizes(A, than=B, gap=margin, by=margin),
        sweet_spot("dropout", 0.2, among=[0.0, 0.2, 0.5], at={"kind": "relu"}, within=margin),
        as_good_as_any(A, [B, C], within=margin),
    )
    same(found(ONE_OF_EACH, rows, SCORE), found(scaled, moved(rows, scale), SCORE), scale)
    before, after = (judge(c, r, [], metric=SCORE) for c, r in ((ONE_OF_EACH, rows), (scaled, moved(rows, scale))))
    assert after.sweet_spot[0].plausible == before.sweet_spot[0].plausible
    assert after.sweet_spot[0].smallest_within_margin == before.sweet_spot[0].smallest_within_margin


@few
@given(EFFECTS, EFFECTS)
def test_minimizing_mirrors_maximizing(one, other):
    rows = runs([(A, one), (B, other), (C, 0.0)])
    up, down = judge(ONE_OF_EACH, rows, [], metric=SCORE), judge(ONE_OF_EACH, moved(rows, -1.0), [], metric=LOSS)
    for before, after in zip(up.claims, down.claims, strict=True):
        assert (after.verdict, after.effect, after.ci95) == (before.verdict, before.effect, before.ci95)
    assert down.sweet_spot[0].as_dict() == up.sweet_spot[0].as_dict()
    assert [arm.pareto for arm in down.arms] == [arm.pareto for arm in up.arms]
    higher = [("higher" in each.sentence, "lower" in each.sentence) for each in up.claims[:3]]
    assert higher == [("lower" in each.sentence, "higher" in each.sentence) for each in down.claims[:3]]


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_are_undecided(seeds):
    verdict = judge(ONE_OF_EACH, runs([(A, 0.05), (B, 0.0), (C, -0.1)], seeds), [])
    assert {each.verdict for each in verdict.claims} == {"undecided"}
    assert all("fewer than 3" in each.sentence for each in verdict.claims)


@pytest.mark.parametrize("ratio", [0.7, 1.4])
def test_slower_takes_more_than_the_margin(ratio):
    verdict = judge([slower(A, than=B, by=1.1), slower(B, than=A, by=1.1)], [], timed(ratio)).claims
    there, back = verdict
    assert [there.verdict, back.verdict] == (["supported", "refuted"] if ratio > 1 else ["refuted", "supported"])
    assert there.effect == pytest.approx(1 / back.effect)
    assert "arithmetic" not in there.sentence  # nobody counted it


@few
@given(EFFECTS, st.floats(0.001, 0.01))
def test_as_good_as_any_of_one_is_as_good_as_it(effect, margin):
    rows = runs([(A, 0.0), (B, effect)])
    claims = [as_good_as_any(A, [B], within=margin, id="any"), as_good_as(A, than=B, within=margin, id="one")]
    verdicts = [each[0] for each in found(claims, rows).values()]
    assert verdicts[0] == verdicts[1]


@few
@given(EFFECTS, EFFECTS)
def test_as_good_as_any_is_supported_where_each_is_and_only_there(one, other):
    rows = runs([(A, 0.0), (B, one), (C, other)])
    each = [as_good_as(A, than=rival, id=str(rival["dropout"])) for rival in (B, C)]
    verdicts = [verdict for verdict, *_ in found([as_good_as_any(A, [B, C], id="any"), *each], rows).values()]
    assert (verdicts[0] == "supported") == (verdicts[1:] == ["supported", "supported"])


def test_those_that_are_no_larger_are_found_among_all_that_was_trained():
    rows = [
        replace(row, parameters={0.0: 500, 0.2: 400, 0.5: 600}[row.setting["dropout"]])
        for row in runs([(A, 0.0), (B, -0.02), (C, 0.05)])
    ]
    claim = as_good_as_any(A, [], no_larger=True)
    assert judge([claim], rows, []).claims[0].verdict == "supported"  # C is far better, and larger
    assert judge([replace(claim, others=(Setting.of(C),))], rows, []).claims[0].verdict == "refuted"
    other_kind = {**B, "kind": "tanh"}
    about_dropout = replace(claim, others=(Setting.of(B),))  # so a tanh, far better and as large, tells nothing of it
    more = [*rows, *[replace(row, parameters=500) for row in runs([(other_kind, 0.05)])]]
    assert judge([about_dropout], more, []).claims[0].verdict == "supported"
    smaller = [replace(row, parameters=500) for row in rows]
    judged = judge([claim], smaller, []).claims[0]
    assert judged.verdict == "refuted"
    assert "runs with dropout=0.5, kind=relu leading" in judged.sentence
    assert "the best of 2 others" in judged.statement


def and_test_values(rows: Sequence[Row], shift: float = 0.0) -> list[Row]:
    return [replace(row, test_value=row.value + shift) for row in rows]


def test_reaches_is_a_t_test_of_the_test_figures():
    rows = and_test_values(runs([(A, 0.0), (B, 0.01)]), 0.02)
    judged = judge([reaches(A, 0.9, id="low"), reaches(A, 0.95, id="high")], rows, []).claims
    assert [each.verdict for each in judged] == ["supported", "refuted"]
    values = np.array([row.test_value for row in rows if row.setting == Setting.of(A)])
    assert judged[0].ci95 == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval(0.95)))
    assert judged[0].effect == pytest.approx(values.mean())
    assert "accuracy of" in judged[0].sentence
    assert "above 90.00 % on the test data" in judged[0].sentence
    assert judge([reaches(A, 0.9)], runs([(A, 0.0)]), []).claims[0].verdict == "undecided"  # nothing was tested


def test_a_loss_reaches_what_it_is_below():
    rows = and_test_values(runs([(A, 0.0)]))
    low, high = judge([reaches(A, 0.8, id="low"), reaches(A, 0.95, id="high")], rows, [], metric=LOSS).claims
    assert [low.verdict, high.verdict] == ["refuted", "supported"]


@pytest.mark.parametrize(
    ("gain", "ratio", "verdict"), [(0.02, 0.7, "supported"), (0.02, 1.4, "refuted"), (-0.02, 0.7, "refuted")]
)
def test_better_in_time_is_both(gain, ratio, verdict):
    judged = judge([better_in_time(A, than=B, by=0.005)], runs([(A, gain), (B, 0.0)]), timed(ratio)).claims[0]
    assert judged.verdict == verdict
    assert judge([better_in_time(A, than=B)], runs([(A, 0.02), (B, 0.0)]), []).claims[0].verdict == "undecided"


# --- corrections and the sweet spot


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_correction_is_for_as_many_claims_as_there_are(count):
    rows = runs([(A, 0.01), (B, 0.0)])
    claims = [better(A, than=B, by=at / 1000, id=str(at)) for at in range(count)]
    judged = judge(claims, rows, []).claims[0]
    values = [np.array([row.value for row in rows if row.setting == Setting.of(each)]) for each in (A, B)]
    expected = stats.ttest_rel(*values).confidence_interval(1 - 0.05 / count)
    assert judged.parts[0].tails == (claim_tail(count),) * 2 == (0.025 / count,) * 2
    assert judged.parts[0].deciding.bounds() == pytest.approx(tuple(expected))
    assert f"corrected for {count} claim{'s' if count > 1 else ''} (" in judged.method


def spot(value: Any, among: Sequence[Any], means: Sequence[tuple[Any, float]], metric: Metric = ACCURACY) -> Verdict:
    claim = sweet_spot("p", value, among=among, within=0.005)
    return judge([claim], runs([({"p": each}, mean) for each, mean in means]), [], metric=metric)


def test_words_are_ordered_as_they_are_given():
    means = [("none", -0.05), ("some", 0.0), ("much", 0.001)]
    ordered = spot("some", ["none", "some", "much"], means)
    assert ordered.claims[0].verdict == "supported"
    assert ordered.sweet_spot[0].smallest_within_margin == "some"
    assert (
        spot("some", ["much", "some", "none"], means).claims[0].verdict == "refuted"
    )  # "much" is smaller, and as good


def test_a_value_that_is_not_the_best_is_refuted_also_where_less_is_better():
    assert spot(2, [1, 2, 3], [(1, 0.05), (2, 0.0), (3, 0.05)]).claims[0].verdict == "refuted"
    assert spot(2, [1, 2, 3], [(1, 0.05), (2, 0.0), (3, 0.05)], LOSS).claims[0].verdict == "supported"


def test_only_settings_on_the_line_are_compared():
    claim = sweet_spot("dropout", 0.2, among=[0.0, 0.2], at={"kind": "relu"})
    beside = {"dropout": 0.2, "kind": "tanh"}
    means = [(A, -0.05), (B, 0.0)]
    alone, both = (judge([claim], runs([*means, *more]), []) for more in ((), ((beside, 0.05),)))
    assert both.claims == alone.claims
    assert [arm.setting["kind"] for arm in both.arms] == ["relu", "relu", "tanh"]


# --- tuned, and JSON


def tuned(rows: Sequence[Row]) -> list[Row]:
    return [replace(row, protocol="tuned", params=row.setting.put("kind", "gelu")) for row in rows]


def test_a_second_family_is_judged_of_the_claims_that_are_not_about_what_is_free():
    about_kind = better(A, than={**A, "kind": "tanh"}, id="kind")
    claims = [better(A, than=B, id="rate"), about_kind]
    rows = runs([(A, 0.0), (B, 0.0)])
    verdict = judge(claims, [*rows, *tuned(runs([(A, 0.03), (B, 0.0)]))], [], protocols=Protocols(("kind",)))
    assert [each.id for each in verdict.fair_claims] == ["rate"]
    assert verdict.fair_claims[0].verdict == "supported"
    assert verdict.fair_claims[0].parts[0].tails == (0.025, 0.025)  # one claim
    assert verdict.claims[0].verdict == "refuted"


def test_what_is_tuned_must_be_free():
    with pytest.raises(ValueError, match="not the setting that is named"):
        judge([ONE_OF_EACH[0]], tuned(runs([(A, 0.0), (B, 0.0)])), [], protocols=Protocols(("dropout",)))


def test_the_json_of_any_study_names_its_parameters():
    verdict = judge(ONE_OF_EACH, moved(runs([(A, 0.0), (B, 0.0), (C, 0.0)]), 100.0), timed(2.0), metric=LOSS)
    document = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
    assert [arm["params"] for arm in document["arms"]] == [A, B, C]
    assert {"train_value", "mean", "protocol"} <= document["arms"][0].keys()
    assert document["margins"] == {"value": 0.005, "gap": 0.005}
    assert not any("points" in each["sentence"] for each in document["claims"])
    assert [each["id"] for each in document["claims"]] == [claim.id for claim in ONE_OF_EACH]


def test_margins_that_differ_are_all_there():
    verdict = judge([better(A, than=B, by=0.01, id="a"), better(A, than=B, by=0.002, id="b")], runs([(A, 0.0)]), [])
    assert verdict.margins() == {"accuracy": [0.002, 0.01]}
    assert math.isnan(verdict.claims[0].parts[0].shown.estimate)
