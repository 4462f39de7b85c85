"""Does the verdict err as rarely as it says? In small; `docs/calibration.md` has it in large."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

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


def at_most(share: float) -> float:
    """Return the largest count that a true share gives in all but 1 of 10,000 cases."""
    return float(stats.binom.ppf(1 - 1e-4, REPETITIONS, share))
