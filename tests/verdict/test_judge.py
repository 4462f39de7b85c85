"""The verdict on made-up runs: known answers, the sweet spot, and what is refused."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from search.verdict.claims import claim_tail
from search.verdict.evidence import Timing
from studies.built_in.sweet_spot import article_claims
from tests.support.made_up_runs import WIDTHS, claims, judged, of_width, run, runs, timings, verdicts, width_of

CLAIM_TAIL = claim_tail(4)
MARGIN = 0.005

IDS = ["too-few-struggles", "too-many-slower", "too-many-memorizes", "25-just-right"]


# --- known answers


def test_the_article_is_right_in_a_world_where_it_is():
    # 100 units gain nothing in accuracy and have a gap three times as wide.
    assert set(verdicts(judged(runs(gap={100: 0.03}), timings())).values()) == {"supported"}


def test_the_article_is_wrong_in_a_world_where_it_is():
    accuracy = {10: 0.0, 25: 0.0, 100: 0.03}
    assert set(verdicts(judged(runs(accuracy), timings(ratio=1.0))).values()) == {"refuted"}


def test_effect_and_ci95_are_those_of_scipys_paired_t_test():
    rows = runs()
    claim = claims(judged(rows, timings()))["too-few-struggles"]
    few, right = ([row.value for row in rows if width_of(row) == width] for width in (10, 25))
    expected = stats.ttest_rel(right, few)
    assert claim.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert claim.effect == pytest.approx(np.mean(right) - np.mean(few))
    assert claim.n == 10


def test_memorizing_is_refuted_when_the_wide_network_learns_more_as_well():
    claim = claims(judged(runs({25: 0.0, 100: 0.015}, gap={100: 0.03}), []))["too-many-memorizes"]
    assert claim.verdict == "refuted"
    assert claim.ci95 is not None
    assert claim.ci95[0] > MARGIN  # the gap is wider all the same, and is shown
    assert "do not memorize instead of learning" in claim.sentence


def test_which_way_a_difference_goes_is_a_word_and_no_sign():
    rates = {10: 0.0, 25: 0.003, 100: 0.001}
    curves = {width: {epoch: rate * epoch / 10 for epoch in (1, 3, 10, 100)} for width, rate in rates.items()}
    rows = runs({10: 0.02, 25: 0.0, 100: -0.02}, gap={25: 0.03, 100: 0.0}, noise=0.0001)
    found = claims(judged([replace(row, gap_by_epoch=curves[width_of(row)]) for row in rows], []))
    few, memorizes = found["too-few-struggles"].sentence, found["too-many-memorizes"].sentence
    assert re.match(r"10 units end \d\.\d\d points \(95 % interval \d\S+ to \d\S+\) higher in validation accuracy", few)
    assert re.search(r"is \d\S+ points \(95 % interval \d\S+ to \d\S+\) narrower with 100 units", memorizes)
    assert "and grows 0.20 points slower per 10 epochs (0.20 to 0.20), and validation" in memorizes
    assert re.search(r"validation accuracy is \d\.\d\d points \(95 % interval \d\S+ to \d\S+\) lower", memorizes)


def test_just_right_is_refuted_by_a_smaller_width_that_is_as_good():
    accuracy = {**WIDTHS, 16: 0.0}
    claim = claims(judged(runs(accuracy), []))["25-just-right"]
    assert claim.verdict == "refuted"
    assert "16 units are within 0.50 points" in claim.sentence


def test_time_is_a_ratio_with_the_arithmetic_beside_it():
    claim = claims(judged(runs(), timings(ratio=1.5)))["too-many-slower"]
    assert claim.effect == pytest.approx(1.5, rel=0.02)
    assert "4.00 times the arithmetic" in claim.sentence


def test_a_margin_decides_what_counts():
    verdict = judged(runs(), timings(), accuracy=0.05, gap=0.05, time_ratio=3)
    assert verdicts(verdict)["too-few-struggles"] == "refuted"
    assert verdicts(verdict)["too-many-slower"] == "refuted"


def test_between_the_two_intervals_a_claim_stays_undecided_and_says_why():
    # 95 % alone would decide, the correction for four claims does not.
    differences = np.array([0.0, 0.003, -0.003, 0.002, -0.002])
    spread = stats.sem(differences)
    shift = 0.005 + 4 * spread  # the bounds lie 2.8 and 4.4 standard errors away
    rows = [
        run(width, 0.02, "article-lr", seed, value, value, 0.2, 0.1, 1)
        for seed, difference in enumerate(differences)
        for width, value in ((10, 0.9), (25, 0.9 + shift + difference))
    ]
    claim = claims(judged(rows, []))["too-few-struggles"]
    assert claim.ci95 is not None
    assert claim.ci95[0] > 0.005
    assert claim.verdict == "undecided"
    assert "corrected for 4 claims" in claim.sentence


def test_the_fair_variant_is_judged_beside_the_headline():
    rows = runs() + runs({10: 0.0, 25: 0.0, 100: 0.03}, protocol="best-lr")
    verdict = judged(rows, timings())
    assert verdicts(verdict)["25-just-right"] == "supported"
    assert {claim.id: claim.verdict for claim in verdict.fair_claims}["25-just-right"] == "refuted"
    assert judged(runs(), timings()).fair_claims == ()
    assert [spot.protocol for spot in verdict.sweet_spot] == ["article-lr", "best-lr"]


def test_each_part_has_the_tails_it_is_due():
    found = claims(judged(runs(), timings()))
    half, sixth = CLAIM_TAIL / 2, CLAIM_TAIL / 6
    assert [part.tails for part in found["too-few-struggles"].parts] == [(CLAIM_TAIL, CLAIM_TAIL)]
    assert [part.tails for part in found["too-many-memorizes"].parts] == [(CLAIM_TAIL, half), (half, CLAIM_TAIL)]
    smaller = [(CLAIM_TAIL, pytest.approx(sixth))] * 3  # 4, 10 and 16 units
    assert [part.tails for part in found["25-just-right"].parts] == [(half, CLAIM_TAIL), *smaller]


# --- widths and the sweet spot


def test_a_width_is_summarised():
    rows = runs()
    verdict = judged(rows, timings())
    assert [width_of(summary) for summary in verdict.arms] == sorted(WIDTHS)
    summary = next(summary for summary in verdict.arms if width_of(summary) == 25)
    values = [row.value for row in rows if width_of(row) == 25]
    assert (summary.n, summary.mean, summary.sd) == (
        10,
        pytest.approx(np.mean(values)),
        pytest.approx(stats.tstd(values)),
    )
    assert summary.ci95 == pytest.approx(stats.t.interval(0.95, 9, np.mean(values), stats.sem(values)))
    assert (summary.parameters, summary.flops_per_epoch) == (784 * 25, 25_000)
    assert summary.seconds_per_epoch == pytest.approx(1.0, rel=0.05)
    assert summary.gap == pytest.approx(0.01, abs=0.002)
    assert summary.gap_growth is not None
    assert summary.gap_growth > 0


def test_the_gap_grows_by_so_much_per_ten_epochs():
    rates = {10: 0.0, 25: 0.001, 100: 0.003}
    curves = {width: {epoch: rate * epoch / 10 for epoch in (1, 3, 10, 100)} for width, rate in rates.items()}
    rows = [replace(row, gap_by_epoch=curves[width_of(row)]) for row in runs(dict.fromkeys(rates, 0.0))]
    verdict = judged(rows, [])
    assert [summary.gap_growth for summary in verdict.arms] == pytest.approx(list(rates.values()), abs=1e-12)
    assert "grows 0.20 points faster per 10 epochs" in claims(verdict)["too-many-memorizes"].sentence


def test_the_sweet_spot_by_four_rules():
    spot = judged(runs(noise=0.0001), timings()).sweet_spot[0]
    assert spot.best in (64, 100)
    assert spot.smallest_within_margin == 25
    assert spot.one_standard_error == 64
    assert spot.knee in (10, 16, 25)
    assert spot.plausible == (25,)
    assert 25 in spot.pareto


def test_just_right_is_refuted_exactly_when_25_is_implausible():
    for effect in np.linspace(0, 0.01, 21):
        verdict = judged(runs({16: -0.02, 25: 0.0, 100: float(effect)}), [])
        refuted = verdicts(verdict)["25-just-right"] == "refuted"
        assert refuted == (25 not in verdict.sweet_spot[0].plausible)


def test_a_dominated_width_is_not_on_the_front():
    summaries = judged(runs({10: 0.0, 25: -0.02, 100: 0.01}), []).arms
    assert [width_of(summary) for summary in summaries if summary.pareto] == [10, 100]


# --- too little, or bad


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_decide_nothing(seeds):
    verdict = judged(runs(seeds=seeds), timings(rounds=seeds))
    assert set(verdicts(verdict).values()) == {"undecided"}
    assert all(claim.ci95 is None and claim.n == seeds for claim in verdict.claims)
    json.dumps(verdict.as_dict(), allow_nan=False)


@pytest.mark.parametrize("rows", [[], runs({25: 0.0}), runs({10: 0.0}), runs({10: 0.0, 100: 0.0})])
def test_missing_widths_decide_nothing(rows):
    verdict = judged(rows, [])
    assert set(verdicts(verdict).values()) == {"undecided"}
    assert all(claim.effect is None and claim.n == 0 for claim in verdict.claims)
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_a_single_common_seed_decides_nothing():
    shifted = [replace(row, seed=row.seed + 9) if width_of(row) == 25 else row for row in runs()]
    verdict = judged(shifted, [])
    assert claims(verdict)["too-few-struggles"].n == 1
    assert set(verdicts(verdict).values()) == {"undecided"}


def test_runs_without_curves_are_judged_without_the_growth():
    rows = [replace(row, gap_by_epoch=None) for row in runs(gap={100: 0.03})]
    verdict = judged(rows, [])
    assert verdicts(verdict)["too-many-memorizes"] == "supported"
    assert all(summary.gap_growth is None for summary in verdict.arms)
    assert "10 epochs" not in claims(verdict)["too-many-memorizes"].sentence


def test_without_spread_the_interval_is_a_point():
    verdict = judged(runs(noise=0), timings(noise=0))
    assert claims(verdict)["too-few-struggles"].ci95 == pytest.approx((0.02, 0.02))
    assert verdicts(verdict)["too-few-struggles"] == "supported"


def test_without_spread_and_on_the_margin_nothing_is_decided():
    rows = runs({10: -0.005, 25: 0.0}, noise=0)
    assert verdicts(judged(rows, []))["too-few-struggles"] == "undecided"


OTHER = of_width(10).put("lr", 0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": math.nan}, "not finite"),
        ({"train_loss": math.inf}, "not finite"),
        ({"gap_by_epoch": {1: math.nan}}, "not finite"),
        ({"value": 95.1}, "fractions between 0 and 1"),
        ({"seed": 1}, "a seed occurs twice"),
        ({"params": OTHER}, "not the setting that is named"),
        ({"parameters": 1}, "differs between runs"),
        ({"protocol": "other"}, "the protocol is one of"),
        ({"parameters": 0}, "positive"),
    ],
)
def test_bad_rows_are_refused(change, message):
    first, *rest = runs()
    with pytest.raises(ValueError, match=message):
        judged([replace(first, **change), *rest], [])


def test_the_best_learning_rate_may_differ_between_widths_but_not_within():
    first, *rest = [
        replace(row, params=row.setting.put("lr", width_of(row) / 1000)) for row in runs(protocol="best-lr")
    ]
    assert len(judged([first, *rest], []).fair_claims) == 4
    with pytest.raises(ValueError, match="differs between runs"):
        judged([replace(first, params=first.setting.put("lr", 0.5)), *rest], [])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Timing(of_width(25), [1.0, math.nan], 1), "positive and finite"),
        (Timing(of_width(25), [1.0, 0.0], 1), "positive and finite"),
        (Timing(of_width(25), [1.0], 1), "paired by round"),
        (Timing(of_width(100), [1.0, 1.0], 1), "timed twice"),
    ],
)
def test_bad_timings_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        judged([], [Timing(of_width(100), [2.0, 2.0], 4), bad])


def test_bad_margins_are_refused():
    for change in ({"accuracy": -0.1}, {"gap": math.nan}, {"time_ratio": 0.5}):
        with pytest.raises(ValueError, match="margins"):
            article_claims(**change)


# --- JSON


def test_a_claim_has_the_promised_fields():
    found = json.loads(json.dumps(judged(runs(), timings()).as_dict(), allow_nan=False))
    assert [claim["id"] for claim in found["claims"]] == IDS
    for claim in found["claims"]:
        assert list(claim) == ["id", "statement", "verdict", "effect", "ci95", "n", "method", "sentence"]
        assert claim["verdict"] in ("supported", "refuted", "undecided")
    assert [entry["id"] for entry in found["decisions"]] == IDS


def test_ci95_never_contradicts_the_verdict():
    # The interval that decides contains the one that is shown.
    for effect in np.linspace(-0.01, 0.03, 41):
        for claim in judged(runs({10: -float(effect), 16: -0.01, 25: 0.0, 100: float(effect)}), timings()).claims:
            for part in claim.parts:
                assert part.deciding.lower <= part.shown.lower <= part.shown.upper <= part.deciding.upper
                assert part.verdict == "undecided" or part.hypothesis.decide(part.shown) == part.verdict
