"""The article's network and the seeds it is drawn from: the same today, tomorrow and on every machine."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from model.network.mlp import MLP, MLPConfig, initialised
from model.seeds import derive

few = settings(max_examples=50, deadline=None, derandomize=True)
parts = st.one_of(st.integers(0, 2**63), st.text("abcdefgh-", min_size=1, max_size=8))


@pytest.mark.parametrize(("hidden_units", "parameters"), [(1, 807), (10, 8_070), (25, 20_535), (100, 89_610)])
def test_the_parameter_count_is_the_networks_own(hidden_units: int, parameters: int) -> None:
    config = MLPConfig(hidden_units)
    assert config.parameters == parameters
    assert sum(parameter.numel() for parameter in MLP(config).parameters()) == parameters


def test_the_network_is_the_articles_stack_of_layers() -> None:
    model = MLP(MLPConfig(25))
    article = nn.Sequential(nn.Linear(784, 25), nn.ReLU(), nn.Linear(25, 25), nn.ReLU(), nn.Linear(25, 10))
    article.load_state_dict(dict(zip(article.state_dict(), model.state_dict().values(), strict=True)))
    pixels = torch.rand(7, 784, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(pixels), article(pixels))


@pytest.mark.parametrize("hidden_units", [1, 25, 256])
def test_initial_weights_are_pytorchs_own_under_the_same_seed(hidden_units: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(17)
        h = hidden_units
        article = nn.Sequential(nn.Linear(784, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 10))
    model = initialised(MLPConfig(hidden_units), 17)
    for ours, theirs in zip(model.parameters(), article.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_drawing_a_network_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    initialised(MLPConfig(25), 17)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_has_no_say_in_the_weights() -> None:
    first = initialised(MLPConfig(4), 17)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = initialised(MLPConfig(4), 17)
    assert all(map(torch.equal, first.parameters(), again.parameters()))


def test_other_seeds_draw_other_weights() -> None:
    first, second = initialised(MLPConfig(4), 17), initialised(MLPConfig(4), 18)
    assert not torch.equal(first.input.weight, second.input.weight)


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
