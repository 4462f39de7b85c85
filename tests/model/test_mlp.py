"""The article's network and the seeds it is drawn from: the same today, tomorrow and on every machine."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from model.network.plain import recognised
from model.seeds import derive
from studies.sweet_spot import article_network

few = settings(max_examples=50, deadline=None, derandomize=True)
parts = st.one_of(st.integers(0, 2**63), st.text("abcdefgh-", min_size=1, max_size=8))


@pytest.mark.parametrize(("hidden_units", "parameters"), [(1, 807), (10, 8_070), (25, 20_535), (100, 89_610)])
def test_the_parameter_count_is_the_networks_own(hidden_units: int, parameters: int) -> None:
    network = article_network(hidden_units, 0)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    config = recognised(network)
    assert config is not None
    assert config.parameters == parameters


@pytest.mark.parametrize("hidden_units", [1, 25, 256])
def test_initial_weights_are_pytorchs_own_under_the_same_seed(hidden_units: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        h = hidden_units
        article = nn.Sequential(nn.Linear(784, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 10))
    model = article_network(hidden_units, 17)
    for ours, theirs in zip(model.parameters(), article.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_drawing_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    article_network(25, 17)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_has_no_say_in_the_weights() -> None:
    first = article_network(4, 17)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = article_network(4, 17)
    assert all(map(torch.equal, first.parameters(), again.parameters()))


def test_other_seeds_draw_other_weights() -> None:
    first, second = article_network(4, 17), article_network(4, 18)
    assert not torch.equal(first[0].weight, second[0].weight)


@pytest.mark.parametrize(
    ("path", "child"),
    [
        ((0,), 4650314429397435),
        ((0, "order", 0), 1786965931307146),
        ((0, "order", 1), 2892402336448374),
        ((1, "order", 0), 8204501987756690),
        ((20241121, "init", 3), 1970207039838060),
    ],
)
def test_stored_seeds_keep_their_meaning(path: tuple[int, str, int], child: int) -> None:
    assert derive(*path) == child


def test_children_of_neighbouring_seeds_and_paths_are_all_distinct() -> None:
    paths = itertools.product(range(20), ("order", "init", "sampler"), range(100))
    children = [derive(*path) for path in paths]
    assert len(set(children)) == len(children)


def test_a_digit_may_not_slip_from_one_part_of_a_path_to_the_next() -> None:
    assert len({derive(1, 23), derive(12, 3), derive(123), derive(1, 2, 3)}) == 4


@few
@given(st.integers(0, 2**63), st.lists(parts, max_size=3))
def test_a_child_is_exact_in_a_double_and_a_seed_to_torch(seed: int, path: list[int | str]) -> None:
    child = derive(seed, *path)
    assert 0 <= child < 2**53
    assert int(float(child)) == child
    torch.Generator().manual_seed(child)
