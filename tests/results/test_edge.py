"""Where the best trial lies at the edge of what was searched."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.results.edge import Edge, edges

SHARES = st.floats(0, 1)


def sides(distribution: BaseDistribution, value: object) -> list[str]:
    return [edge.side for edge in edges({"p": distribution}, {"p": value})]


@given(SHARES, st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_of_a_plain_range_its_outer_fiftieths_are_its_edges(share: float, low: float, width: float) -> None:
    assume(min(abs(share - 0.02), abs(share - 0.98)) > 1e-6)
    found = sides(FloatDistribution(low, low + width), low + share * width)
    assert found == (["lower"] if share < 0.02 else ["upper"] if share > 0.98 else [])


@given(SHARES, st.floats(1e-6, 1e3), st.floats(1.1, 1e6))
def test_a_logarithmic_range_is_measured_by_its_logarithm(share: float, low: float, factor: float) -> None:
    assume(min(abs(share - 0.02), abs(share - 0.98)) > 1e-6)
    high = low * factor
    plain = FloatDistribution(math.log(low), math.log(high))
    value = min(max(low * factor**share, low), high)
    assert sides(FloatDistribution(low, high, log=True), value) == sides(plain, math.log(value))


@given(st.integers(-500, 500), st.integers(1, 1000), st.data())
def test_whole_numbers_have_mirrored_edges_and_their_ends_are_always_some(
    low: int, width: int, data: st.DataObject
) -> None:
    range_, mirrored = IntDistribution(low, low + width), IntDistribution(-low - width, -low)
    other = {"lower": "upper", "upper": "lower"}
    value = data.draw(st.integers(low, low + width))
    assert sides(mirrored, -value) == [other[side] for side in sides(range_, value)]
    assert sides(range_, low) == ["lower"]
    assert sides(range_, low + width) == ["upper"]


def test_a_category_a_single_value_and_a_parameter_that_is_not_there_have_no_edge() -> None:
    space: dict[str, BaseDistribution] = {
        "kind": CategoricalDistribution([1, 2]),
        "one": IntDistribution(3, 3),
        "sometimes": IntDistribution(1, 9),
        "units": IntDistribution(4, 256, log=True),
    }
    assert edges(space, {"kind": 1, "one": 3, "units": 250}) == [Edge("units", "upper")]


def test_it_is_said_in_words() -> None:
    said = "the best is at the upper edge of units: larger values may be better"
    assert Edge("units", "upper").sentence == said
    assert Edge("lr", "lower").sentence.endswith("lower edge of lr: smaller values may be better")
