"""Every network has a place in one panel and a slot of its own, whoever else is there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.lane import INPUTS, Lane, packed_weights
from model.mlp import MLPConfig, initialised
from model.panel import BATCHED_UP_TO, SHARED_UP_TO, Panel, panels
from model.pixels import NARROWEST

some = settings(max_examples=25, deadline=None, derandomize=True)
WIDTHS = st.lists(st.one_of(st.integers(1, 260), st.sampled_from([1, 16, 25, 64, 65, 128])), min_size=1, max_size=12)


class Table:
    """Stands in for a minibatch: remembers what it is multiplied by."""

    def __init__(self, gradient: torch.Tensor) -> None:
        self.gradient = gradient
        self.weights = torch.empty(0)

    def of_weights(self, table: torch.Tensor) -> torch.Tensor:
        self.weights = table.clone()
        return torch.ones(4, table.shape[1])

    def of_gradient(self, table: torch.Tensor) -> torch.Tensor:
        assert table.is_contiguous()
        return self.gradient[:, : table.shape[1]].clone()


def a_lane(width: int) -> Lane:
    values = packed_weights(initialised(MLPConfig(width), width))
    grads, moments, squares = ([torch.zeros_like(value) for value in values] for _ in range(3))
    return Lane(MLPConfig(width), 0.1, values, grads, moments, squares, torch.zeros(()))


def made(widths: list[int], device: str = "cpu") -> tuple[list[Lane], list[Panel]]:
    lanes = [a_lane(width) for width in widths]
    return lanes, panels(lanes, torch.device(device))


@some
@given(WIDTHS)
def test_every_network_has_a_place_and_slots_follow_each_other(widths: list[int]) -> None:
    before = [[value.clone() for value in a_lane(width).values] for width in widths]
    lanes, cut = made(widths)
    assert sorted(map(id, lanes)) == sorted(id(lane) for panel in cut for lane in panel.lanes)
    for lane, values in zip(lanes, before, strict=True):
        assert all(map(torch.equal, lane.values, values))
    slots = 0
    for panel in cut:
        units = 0
        for stack in panel.stacks:
            assert (stack.slots.start, stack.start) == (slots, units)
            assert [lane.slot for lane in stack.lanes] == list(range(slots, slots + len(stack.lanes)))
            slots, units = stack.slots.stop, units + sum(lane.units for lane in stack.lanes)
        assert panel.weights.shape == (INPUTS + 1, max(units, NARROWEST))


@some
@given(WIDTHS)
def test_what_shares_a_panel_fits_a_cache_and_what_shares_a_stack_is_small(widths: list[int]) -> None:
    for panel in made(widths)[1]:
        assert len(panel.lanes) == 1 or sum(lane.units for lane in panel.lanes) <= SHARED_UP_TO
        for stack in panel.stacks:
            (units,) = {lane.units for lane in stack.lanes}
            k = stack.slots.stop - stack.slots.start
            assert k == len(stack.lanes) == (len(stack.lanes) if units <= BATCHED_UP_TO else 1)


@some
@given(WIDTHS, st.integers(0, 10))
def test_first_layers_lie_side_by_side_and_each_network_gets_its_gradient(widths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for panel in made(widths)[1]:
        table = Table(torch.randn(INPUTS + 1, 600, generator=generator))
        buffers, slots = panel.buffers(4), panel.stacks[-1].slots.stop
        panel.collect()
        panel.forward(table, buffers, torch.empty(slots, 10, 4))
        panel.backward(table, buffers, torch.zeros(slots, 10, 4))
        panel.spread()
        first = 0
        for lane in panel.lanes:
            place = slice(first, first + lane.units)
            assert torch.equal(table.weights[:, place], lane.values[0])
            assert torch.equal(lane.grads[0], table.gradient[:, place])
            first += lane.units
        assert not table.weights[:, first:].any()


@pytest.mark.parametrize("width", [65, 100, 256])
def test_a_wide_network_alone_is_not_copied(width: int) -> None:
    (lane,), (panel,) = made([width])
    assert panel.weights is lane.values[0]


def test_elsewhere_all_share_one_panel() -> None:
    lanes = [a_lane(width) for width in (25, 25, 100, 256)]
    with torch.device("meta"):
        (panel,) = panels(lanes, torch.device("meta"))
    assert len(panel.lanes) == 4
