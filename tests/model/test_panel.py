"""Every network has a place in one panel and a slot of its own, whoever else is there."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from model.cpu.panel import BATCHED_UP_TO, SHARED_UP_TO, Panel, panels
from model.fleet.fleet import mlp_member
from model.network.first_layer import NARROWEST
from model.network.member import INPUTS, Member, plain_member
from model.network.plain import recognised
from model.network.update import Rule
from studies.sweet_spot import article_network

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


def a_lane(width: int) -> Member:
    return mlp_member(article_network(width, width), 0.1, torch.device("cpu"))


def made(widths: list[int], device: str = "cpu") -> tuple[list[Member], list[Panel]]:
    members = [a_lane(width) for width in widths]
    return members, panels(members, torch.device(device))


@some
@given(WIDTHS)
def test_every_network_has_a_place_and_slots_follow_each_other(widths: list[int]) -> None:
    before = [[value.clone() for value in a_lane(width).values] for width in widths]
    members, cut = made(widths)
    assert sorted(map(id, members)) == sorted(id(member) for panel in cut for member in panel.members)
    for member, values in zip(members, before, strict=True):
        assert all(map(torch.equal, member.values, values))
    slots = 0
    for panel in cut:
        units = 0
        for stack in panel.stacks:
            assert (stack.slots.start, stack.start) == (slots, units)
            assert [member.slot for member in stack.members] == list(range(slots, slots + len(stack.members)))
            slots, units = stack.slots.stop, units + sum(member.units for member in stack.members)
        assert panel.weights.shape == (INPUTS + 1, max(units, NARROWEST))


@some
@given(WIDTHS)
def test_what_shares_a_panel_fits_a_cache_and_what_shares_a_stack_is_small(widths: list[int]) -> None:
    for panel in made(widths)[1]:
        assert len(panel.members) == 1 or sum(member.units for member in panel.members) <= SHARED_UP_TO
        for stack in panel.stacks:
            (units,) = {member.units for member in stack.members}
            k = stack.slots.stop - stack.slots.start
            assert k == len(stack.members) == (len(stack.members) if units <= BATCHED_UP_TO else 1)


@some
@given(WIDTHS, st.integers(0, 10))
def test_first_layers_lie_side_by_side_and_each_network_gets_its_gradient(widths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for panel in made(widths)[1]:
        table = Table(torch.randn(INPUTS + 1, 600, generator=generator))
        buffers, slots = panel.buffers(4), panel.stacks[-1].slots.stop
        panel.collect()
        panel.forward(table, buffers, torch.empty(slots, 10, 4), slice(4))
        panel.backward(table, buffers, torch.zeros(slots, 10, 4), slice(4))
        panel.spread()
        first = 0
        for member in panel.members:
            place = slice(first, first + member.units)
            assert torch.equal(table.weights[:, place], member.values[0])
            assert torch.equal(member.grads[0], table.gradient[:, place])
            first += member.units
        assert not table.weights[:, first:].any()


@pytest.mark.parametrize("width", [65, 100, 256])
def test_a_wide_network_alone_is_not_copied(width: int) -> None:
    (member,), (panel,) = made([width])
    assert panel.weights is member.values[0]


def test_elsewhere_all_share_one_panel() -> None:
    members = [a_lane(width) for width in (25, 25, 100, 256)]
    with torch.device("meta"):
        (panel,) = panels(members, torch.device("meta"))
    assert len(panel.members) == 4


SHAPES = st.tuples(
    st.lists(st.sampled_from([3, 16, 25, 70, 130]), min_size=1, max_size=3),
    st.sampled_from([nn.ReLU, nn.Tanh]),
    st.sampled_from([0.0, 0.2, 0.5]),
)


def a_member(shape: tuple[list[int], type[nn.Module], float]) -> Member:
    widths, activation, rate = shape
    blocks = [(nn.Linear(a, b), activation(), nn.Dropout(rate)) for a, b in pairwise([6, *widths])]
    network = nn.Sequential(*(layer for block in blocks for layer in block), nn.Linear(widths[-1], 4))
    config = recognised(network)
    assert config is not None
    return plain_member(network, config, Rule(0.1), "cross_entropy", torch.device("cpu"))


@some
@given(st.lists(SHAPES, min_size=1, max_size=8))
def test_a_panel_has_one_activation_and_a_stack_one_shape(
    shapes: list[tuple[list[int], type[nn.Module], float]],
) -> None:
    members = [a_member(shape) for shape in shapes]
    before = [[value.clone() for value in member.values] for member in members]
    cut = panels(members, torch.device("cpu"))
    assert sorted(map(id, members)) == sorted(id(member) for panel in cut for member in panel.members)
    for member, values in zip(members, before, strict=True):
        assert all(map(torch.equal, member.values, values))
    for panel in cut:
        assert len({member.config.activation for member in panel.members}) == 1
        for stack in panel.stacks:
            alike = {(member.config.hidden, tuple(map(bool, member.config.dropout))) for member in stack.members}
            assert len(alike) == 1
