"""Training pictures, moved and noised at random: a whole minibatch at once, on its device.

One product makes the coordinates that each pixel is read at, one `grid_sample` reads them, noise is added in place.
torch's `affine_grid` makes the same coordinates, ten times as slowly: it multiplies each picture's by itself.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from model.errors import NetworkError
from model.general.choices import Setting
from model.general.look import ELEMENTS


@dataclass(frozen=True)
class Augment:
    """How training pictures are changed, each anew in every minibatch; a strength of 0 leaves them as they are.

    A strength is a number, or the name of the trial's parameter that it is taken from. What is moved in is black, 0.
    Noise is not clipped. Pictures to select by and to test on stay plain.
    """

    shift: Setting = 0.0  # pixels: as many at most to each side, up or down and left or right
    rotation: Setting = 0.0  # degrees: as many at most, either way
    scale: Setting = 0.0  # up to 1 + scale times as large or as small, evenly on a log scale
    noise: Setting = 0.0  # standard deviation, where pixels are from 0 to 1

    def __post_init__(self) -> None:
        for name, value in self._asked():
            if not isinstance(value, str):
                _checked(name, value)

    @property
    def names(self) -> frozenset[str]:
        """The parameters that it takes from a trial."""
        return frozenset(value for _, value in self._asked() if isinstance(value, str))

    def strengths(self, params: Mapping[str, Any]) -> "Strengths":
        """Return a trial's. Raises `NetworkError` for a parameter that is not there, or that is no strength."""
        return Strengths(**{name: _strength(name, value, params) for name, value in self._asked()})

    def _asked(self) -> Iterator[tuple[str, Setting]]:
        return ((each.name, getattr(self, each.name)) for each in fields(self))


@dataclass(frozen=True)
class Strengths:
    """What a trial's pictures are changed by, at most."""

    shift: float
    rotation: float
    scale: float
    noise: float

    @property
    def moves(self) -> bool:
        """Whether pixels are read elsewhere than where they are."""
        return bool(self.shift or self.rotation or self.scale)


class Augmentation:
    """Changes the minibatches of one trial, which draws from its own generator."""

    def __init__(self, strengths: Strengths, shape: tuple[int, ...], generator: torch.Generator) -> None:
        self.strengths, self.shape, self.generator = strengths, channels_first(shape), generator
        self._pixels = pixel_places(*self.shape[1:]).to(generator.device)

    @property
    def cost(self) -> int:
        """What it costs for a picture, in units: as much as writing two numbers for each of a picture's, each time."""
        times = bool(self.strengths.moves) + bool(self.strengths.noise)
        return times * 2 * math.prod(self.shape) // ELEMENTS

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return other pictures than these, float32 (n, d); with no strength at all, these."""
        if self.strengths.moves:
            inputs = self._moved(inputs)
        if self.strengths.noise:
            noise = torch.empty_like(inputs).normal_(0, self.strengths.noise, generator=self.generator)
            inputs = noise.add_(inputs)
        return inputs

    def _moved(self, inputs: Tensor) -> Tensor:
        drawn = torch.empty(4, len(inputs), device=inputs.device).uniform_(-1, 1, generator=self.generator)
        of = self.strengths
        return warped(
            inputs.view(-1, *self.shape),
            self._pixels,
            shift=drawn[:2] * of.shift,
            angle=drawn[2] * math.radians(of.rotation),
            size=(drawn[3] * math.log1p(of.scale)).exp(),
        ).flatten(1)


def warped(pictures: Tensor, places: Tensor, shift: Tensor, angle: Tensor, size: Tensor) -> Tensor:
    """Return pictures (n, channels, height, width), scaled and turned about their middle, then shifted; bilinear.

    places: what `pixel_places` returns. shift (2, n): pixels to the right, and down. angle (n): in radians, counter-
    clockwise as one sees it. size (n): as many times as large.
    """
    n, _, height, width = pictures.shape
    cos, sin = angle.cos() / size, angle.sin() / size
    right, down = shift
    # The inverse: where in the old picture each pixel of the new one is read, in pixels from the middle.
    rows = torch.stack(
        [cos, -sin, sin * down - cos * right, sin, cos, -sin * right - cos * down],
    ).T.reshape(2 * n, 3)
    found = (rows @ places).view(n, 2, height, width)
    half = torch.tensor([width / 2, height / 2], device=pictures.device).view(1, 2, 1, 1)
    grid = found.div_(half).permute(0, 2, 3, 1)  # the form that grid_sample reads fastest
    return nn.functional.grid_sample(pictures, grid, align_corners=False)


def pixel_places(height: int, width: int) -> Tensor:
    """Return the place of each pixel, row by row, in pixels right of and below the picture's middle, and 1: (3, d)."""
    down, right = torch.meshgrid(_centred(height), _centred(width), indexing="ij")
    return torch.stack([right, down, torch.ones_like(down)]).view(3, -1)


def _centred(size: int) -> Tensor:
    return torch.arange(size) + 0.5 - size / 2


def channels_first(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return channels, height and width of pictures. Raises `NetworkError` where the shape is not that of a picture."""
    if len(shape) == 2:
        return (1, *shape)
    if len(shape) == 3:
        return shape
    raise NetworkError(f"only pictures can be augmented, and a sample here is {' x '.join(map(str, shape))} numbers")


def _strength(name: str, value: Setting, params: Mapping[str, Any]) -> float:
    if isinstance(value, str) and value not in params:
        raise NetworkError(f"the augmentation needs the parameter {value!r}, which the trial does not have")
    return _checked(name, params[value] if isinstance(value, str) else value)


def _checked(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise NetworkError(f"the augmentation's {name} is a number of 0 or more, not {value!r}")
    return float(value)
