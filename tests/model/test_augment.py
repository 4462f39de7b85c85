"""Augmented pictures are those that torch's own operations make, drawn from the trial's own seed, in training alone."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.data.dataset import Samples
from model.errors import NetworkError
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from model.general.augment import Augment, Augmentation, Strengths, pixel_places, warped
from model.general.look import ELEMENTS
from model.network.member import BaseMember

CPU = torch.device("cpu")
SHAPES = [(8, 8), (3, 8, 8), (2, 6, 10)]
ALL = Augment(shift="shift", rotation="rotation", scale="scale", noise="noise")
NOTHING = {"shift": 0.0, "rotation": 0.0, "scale": 0.0, "noise": 0.0}
SOME = {"shift": 2.0, "rotation": 15.0, "scale": 0.1, "noise": 0.1}
pytestmark = pytest.mark.usefixtures("one_thread")


def pictures(*shape: int, n: int = 5) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(3))


def samples(shape: tuple[int, ...], n: int = 90) -> Samples:
    return Samples(pictures(*shape, n=n).flatten(1), torch.arange(n) % 3)


def moved(old: Tensor, right: float = 0, down: float = 0, angle: float = 0, size: float = 1) -> Tensor:
    n, _, height, width = old.shape
    shift = torch.tensor([[right], [down]]).expand(2, n)
    turned = torch.full((n,), math.radians(angle))
    return warped(old, pixel_places(height, width), shift, turned, torch.full((n,), float(size)))


def near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=2e-5)


# Where pixels go


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 7), (2, 6, 10)])
def test_pictures_that_are_not_moved_are_as_they_were(shape: tuple[int, ...]) -> None:
    old = pictures(*shape)
    assert near(moved(old), old)


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 2), (-3, 0), (0, -1), (2, -3)])
def test_a_shift_by_whole_pixels_is_a_roll_into_black(right: int, down: int) -> None:
    old = pictures(2, 6, 10)
    rolled = torch.nn.functional.pad(old, (4, 4, 4, 4)).roll((down, right), (2, 3))[..., 4:-4, 4:-4]
    assert near(moved(old, right, down), rolled)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_turning_by_quarters_is_rot90(quarters: int) -> None:
    old = pictures(3, 8, 8)
    assert near(moved(old, angle=90 * quarters), old.rot90(quarters, (2, 3)))


def test_turning_by_half_is_rot90_where_pictures_are_not_square() -> None:
    old = pictures(1, 6, 10)
    assert near(moved(old, angle=180), old.rot90(2, (2, 3)))


def test_twice_as_large_is_what_interpolation_makes_of_the_middle() -> None:
    old = pictures(1, 8, 8)
    larger = torch.nn.functional.interpolate(old[..., 1:7, 1:7], scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]
    assert near(moved(old, size=2), larger)


def test_shifted_last_of_all() -> None:
    old = pictures(1, 8, 8)
    assert near(moved(old, right=2, angle=90), moved(moved(old, angle=90), right=2))


# What is drawn


def test_strengths_are_the_most_that_is_drawn_and_noise_has_its_deviation() -> None:
    """A gradient from left to right, seen in its middle, tells how far it moved, was turned and was scaled."""
    n, side = 4000, 9
    right = pixel_places(side, side)[0].view(side, side)
    flat = right.flatten().expand(n, -1).contiguous()
    middle, generator = side // 2, torch.Generator().manual_seed(1)

    def seen(**strengths: float) -> Tensor:
        all_of_them = Strengths(**{**dict.fromkeys(NOTHING, 0.0), **strengths})
        return Augmentation(all_of_them, (side, side), generator)(flat).view(n, side, side)

    shifts = -seen(shift=1.5)[:, middle, middle]
    assert shifts.abs().max() <= 1.5 + 1e-5
    assert shifts.var().item() == pytest.approx(1.5**2 / 3, rel=0.1)
    turned = seen(rotation=20)
    slopes = (turned[:, middle, middle + 1] - turned[:, middle, middle - 1]) / 2
    falls = (turned[:, middle + 1, middle] - turned[:, middle - 1, middle]) / 2
    angles = torch.rad2deg(torch.atan2(falls, slopes))
    assert angles.abs().max() <= 20 + 1e-3
    assert angles.std().item() == pytest.approx(20 / math.sqrt(3), rel=0.1)
    scaled = seen(scale=0.25)
    sizes = 2 / (scaled[:, middle, middle + 1] - scaled[:, middle, middle - 1])
    assert 1 / 1.25 - 1e-5 <= sizes.min() < 0.81
    assert 1.24 < sizes.max() <= 1.25 + 1e-5
    noise = seen(noise=0.3) - right
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)


# In training


def network(inputs: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


def family(shape: tuple[int, ...], augment: Augment | None = ALL) -> Family:
    return Family(network, math.prod(shape), 3, augment=augment, shape=shape)


def join(fleet: Fleet, of: Family, strengths: Mapping[str, float], seed: int = 1) -> BaseMember:
    params: dict[str, Any] = {"dropout": 0.2, "lr": 0.01, **strengths}
    member = of.member(of.build(params, seed), params, seed, CPU, "general")
    fleet.attach(member)
    return member


def trained(shape: tuple[int, ...], of: Family, strengths: Mapping[str, float], company: int = 0) -> Tensor:
    """Train a network, with others before and behind it that are augmented otherwise, and return its weights."""
    fleet = Fleet(samples(shape), 5, 32)
    for seed in range(company):
        join(fleet, of, {**SOME, "shift": 1.0 + seed}, seed=seed)
    member = join(fleet, of, strengths)
    for seed in range(company):
        join(fleet, of, SOME, seed=seed)
    for _ in range(2):
        fleet.train_epoch()
    return nn.utils.parameters_to_vector(member.network().parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_bits_repeat_and_do_not_depend_on_the_company(shape: tuple[int, ...]) -> None:
    alone = trained(shape, family(shape), SOME)
    assert torch.equal(alone, trained(shape, family(shape), SOME))
    assert torch.equal(alone, trained(shape, family(shape), SOME, company=3))


@pytest.mark.parametrize("name", NOTHING)
def test_every_strength_counts_and_none_at_all_is_no_augmentation(name: str) -> None:
    shape = (8, 8)
    plain = trained(shape, family(shape, None), {})
    assert torch.equal(plain, trained(shape, family(shape), NOTHING))
    assert torch.equal(plain, trained(shape, family(shape, Augment()), {}))
    assert not torch.equal(plain, trained(shape, family(shape), {**NOTHING, name: SOME[name]}))
    fixed = family(shape, Augment(**{name: SOME[name]}))
    assert torch.equal(trained(shape, fixed, {}), trained(shape, family(shape), {**NOTHING, name: SOME[name]}))


def test_to_change_pictures_costs_more_and_at_no_strength_nothing() -> None:
    def cost(**strengths: float) -> int:
        return join(Fleet(samples((8, 8)), 5, 32), family((8, 8)), {**NOTHING, **strengths}).cost

    moved, both = (cost(**more) - cost() for more in ({"shift": 1.0}, {"shift": 1.0, "noise": 0.1}))
    assert (moved, both) == (2 * 64 // ELEMENTS, 4 * 64 // ELEMENTS)


def test_the_training_set_and_scores_stay_plain() -> None:
    shape, of = (8, 8), family((8, 8))
    fleet, before = Fleet(samples(shape), 5, 32), samples(shape).inputs
    member = join(fleet, of, SOME)
    fleet.train_epoch()
    assert torch.equal(fleet.images.inputs, before)  # type: ignore[union-attr]
    assert of.score(member.network(), samples(shape)) == of.score(member.network(), samples(shape))


def test_a_network_that_was_away_goes_on_with_its_own_draws() -> None:
    shape, of = (8, 8), family((8, 8))
    one, other = Fleet(samples(shape), 5, 32), Fleet(samples(shape), 5, 32, clock=1, number=1)
    member = join(one, of, SOME)
    one.train_epoch()
    one.detach(member)
    other.attach(member)
    join(other, of, SOME, seed=7)
    other.train_epoch()
    assert torch.equal(trained(shape, of, SOME), nn.utils.parameters_to_vector(member.module.parameters()))


# What is refused


@pytest.mark.parametrize("shape", [(30,), (), (1, 3, 8, 8)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NetworkError, match="only pictures can be augmented"):
        family(shape)


@pytest.mark.parametrize("value", [-1, math.inf, math.nan, True, None])
def test_what_is_no_strength_is_refused(value: Any) -> None:
    with pytest.raises(NetworkError, match="shift is a number of 0 or more"):
        Augment(shift=value)
    with pytest.raises(NetworkError, match="shift is a number of 0 or more"):
        ALL.strengths({**SOME, "shift": value})


def test_a_parameter_that_is_not_there_is_refused() -> None:
    with pytest.raises(NetworkError, match="needs the parameter 'noise'"):
        ALL.strengths({name: value for name, value in SOME.items() if name != "noise"})
    assert family((8, 8)).names == {"dropout", "lr", *NOTHING}
