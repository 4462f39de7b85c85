"""Does the verdict err as rarely as it says? In small; `docs/calibration.md` has it in large."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

from benchmarks import calibration_rounds, known_kinds
from search.verdict.boundary import FIRST
from search.verdict.claims import POINTWISE_TAIL, claim_tail

ROOT = Path(__file__).parents[2]
REPETITIONS = 200
CLAIM_TAIL = claim_tail(4)


@pytest.fixture(scope="module")
def known_truth() -> ModuleType:
    """The simulations of the benchmark, which is not an installed package."""
    spec = importlib.util.spec_from_file_location("known_truth", ROOT / "benchmarks" / "known_truth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["known_truth"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("noise", "seeds"), [("even", 5), ("uneven", 12)])
def test_on_the_margins_verdicts_err_as_rarely_as_claimed(known_truth, noise, seeds):
    result = known_truth.measure(known_truth.ON_MARGIN, noise, seeds, REPETITIONS)
    for tally in result.tallies.values():
        assert tally.supported <= at_most(CLAIM_TAIL)
        assert tally.refuted <= at_most(CLAIM_TAIL)
        assert REPETITIONS - tally.covered <= at_most(0.05)
        assert REPETITIONS - tally.covered_corrected <= at_most(2 * CLAIM_TAIL)
    assert result.any_verdict <= at_most(0.05)


def test_the_luckiest_of_six_equal_rivals_fools_a_plain_t_test_but_not_the_verdict(known_truth):
    result = known_truth.measure(known_truth.TIED, "even", 8, REPETITIONS)
    assert result.naive > at_most(POINTWISE_TAIL)
    assert result.tallies["25-just-right"].refuted <= at_most(CLAIM_TAIL)
    assert result.tallies["25-just-right"].supported <= at_most(CLAIM_TAIL)


@pytest.mark.parametrize(("metric", "noise"), [("accuracy", "uneven"), ("loss", "even")])
def test_every_kind_errs_on_its_margin_as_rarely_as_claimed(metric, noise):
    result = known_kinds.measure("on the margins", noise, 6, REPETITIONS, metric)
    tail = claim_tail(len(result.tallies))
    for name, tally in result.tallies.items():
        assert tally.supported <= at_most(tail), name
        assert tally.refuted <= at_most(tail), name
        assert REPETITIONS - tally.covered <= at_most(0.05), name
        assert REPETITIONS - tally.covered_corrected <= at_most(2 * tail), name
    assert result.any_verdict <= at_most(0.05)


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_where_nothing_differs_every_kind_says_so(metric):
    result = known_kinds.measure("all equal", "even", 20, 50, metric)
    for name, tally in result.tallies.items():
        right, wrong = (
            (tally.supported, tally.refuted) if name.startswith("as_good_as") else (tally.refuted, tally.supported)
        )
        assert wrong == 0, name
        assert right >= 40, name


@pytest.mark.parametrize("noise", ["uneven", "skewed"])
def test_judged_after_every_seed_claims_err_as_rarely_together(noise):
    repetitions = 60
    found = calibration_rounds.kinds(noise, repetitions)
    assert found.any_verdict <= stats.binom.ppf(1 - 1e-4, repetitions, 0.05)
    for name, tally in found.tallies.items():
        assert repetitions - tally.covered <= stats.binom.ppf(1 - 1e-4, repetitions, 0.05), name


def test_clear_claims_are_settled_with_fewer_runs_than_a_fixed_number_of_seeds_takes():
    found = calibration_rounds.article(calibration_rounds.LIKELY, "uneven", 20)
    assert found.settled >= 19
    assert sorted(found.shares)[10] <= 0.6
    assert min(found.seeds) >= FIRST


def at_most(share: float) -> float:
    """Return the largest count that a true share gives in all but 1 of 10,000 cases."""
    return float(stats.binom.ppf(1 - 1e-4, REPETITIONS, share))
