"""Wider ranges: what is suggested contains what was, and a function's ranges are widened by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.asking import SpaceError
from studies.space import Space
from studies.wider import Wider, ranges_of, suggested, widened

RANGES = st.one_of(
    st.builds(lambda low, more: IntDistribution(low, low + more), st.integers(-99, 99), st.integers(1, 99)),
    st.builds(lambda low, more: IntDistribution(low, low + more, log=True), st.integers(1, 99), st.integers(1, 99)),
    st.builds(lambda low, n: IntDistribution(low, low + 4 * n, step=4), st.integers(-99, 99), st.integers(1, 99)),
    st.builds(lambda low, more: FloatDistribution(low, low + more), st.floats(-9, 9), st.floats(0.1, 9)),
    st.builds(lambda low, more: FloatDistribution(low, low * more, log=True), st.floats(1e-6, 9), st.floats(1.1, 99)),
)


@given(RANGES, st.sampled_from(["lower", "upper"]))
def test_what_is_suggested_may_be_asked_for_as_it_is_written(old: Any, side: str) -> None:
    ends = suggested(old, side)
    if ends is not None:
        (read,) = ranges_of([f"p={ends[0]!r}:{ends[1]!r}"]).values()
        new: Any = widened("p", old, read)
        assert (new.low, new.high) == ends
        assert new.low <= old.low <= old.high <= new.high


@pytest.mark.parametrize(
    ("old", "side", "ends"),
    [
        (IntDistribution(4, 256, log=True), "upper", (4, 1024)),
        (FloatDistribution(0, 0.6), "lower", None),
        (FloatDistribution(0, 0.6), "upper", (0, 0.9)),
        (FloatDistribution(0, 1), "upper", None),
        (IntDistribution(1, 9, log=True), "lower", None),
        (CategoricalDistribution(["a", "b"]), "upper", None),
    ],
)
def test_a_natural_end_is_kept(old: BaseDistribution, side: str, ends: Any) -> None:
    assert suggested(old, side) == ends


def test_a_category_is_not_widened() -> None:
    with pytest.raises(SpaceError, match="it is a category"):
        Wider("old", {"kind": (0, 3)}).of(Space({"kind": CategoricalDistribution([1, 2])}))


def test_a_space_that_is_a_function_asks_for_more_where_it_is_wider() -> None:
    def space(trial: Any) -> None:
        for at in range(trial.suggest_int("layers", 1, 2)):
            trial.suggest_int(f"units{at}", 8, 64, log=True)

    found = Wider("old", {"layers": (1, 3), "units0": (8, 128)}).of(Space.of(space))
    assert [*found] == ["layers", "units0", "units1", "units2"]
    assert found["units0"] == IntDistribution(8, 128, log=True)
    assert found["units1"] == IntDistribution(8, 64, log=True)
    assert found.belonging({"layers": 1, "units0": 100}) == {"layers": 1, "units0": 100}
