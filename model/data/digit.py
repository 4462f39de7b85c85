"""A picture of a digit, from any PNG or JPEG, in the form that MNIST's own digits have.

MNIST (LeCun et al., yann.lecun.com/exdb/mnist): ink is bright on black; the digit is scaled, keeping its proportions,
to fit 20 x 20 pixels; its centre of mass lies in the centre of 28 x 28.

    open ─ to grey, on the paper that transparency asks for ─ ink bright, paper 0 ─ cut out ─ fit 20 x 20 ─ centre
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from model.data.photograph import ink_of, is_photograph, why_no_digit
from model.data.picture import open_picture
from model.errors import PictureError

READS = "mnist"  # the data whose pictures these are like
SIDE, BOX = 28, 20  # pixels
FAINTEST = 24  # of 255: fainter than this is JPEG's ringing or paper, not ink
LEAST_CONTRAST = 24  # between the paper and the boldest ink; below it there is nothing to see
Grey = NDArray[np.floating]  # (height, width), 0..255


@dataclass(frozen=True, eq=False)
class Digit:
    """A picture, ready for a network."""

    pixels: Tensor  # uint8 (1, 784), 0 is background
    polarity: str  # how the picture was read: "white on black" or "black on white"


def read_digit(path: Path) -> Digit:
    """Read a picture. Raises `PictureError` for one that cannot be read or shows nothing."""
    grey = _grey(open_picture(path, "crop it to the digit"))
    if is_photograph(grey):
        return _photographed(path, grey)
    paper = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    dark_paper = paper < 128
    ink = np.clip(grey - paper if dark_paper else paper - grey, 0, 255)
    boldest = float(ink.max())
    if boldest < LEAST_CONTRAST:
        raise PictureError(f"{path} shows no digit: nothing in it stands out from its border")
    ink *= 255 / boldest
    if why := why_no_digit(ink):
        raise PictureError(f"{path} shows no single digit: {why}")
    pixels = _centred(_fitted(ink))
    return Digit(torch.from_numpy(pixels).view(1, SIDE * SIDE), "white on black" if dark_paper else "black on white")


def _photographed(path: Path, grey: Grey) -> Digit:
    """Read a photograph of ink on brighter paper. Raises `PictureError` where it shows no digit, or several."""
    ink, why = ink_of(grey)
    if ink is None:
        raise PictureError(f"{path} shows no single digit: {why}")
    pixels = _centred(_fitted(ink.astype(np.float32)))
    return Digit(torch.from_numpy(pixels).view(1, SIDE * SIDE), "a photograph of ink on paper")


def small_grey(path: Path, side: int) -> Image.Image:
    """Return a picture as it is read: grey, upright, its longer side at most `side` pixels. Raises `PictureError`."""
    image = Image.fromarray(_grey(open_picture(path, "crop it to the digit")).clip(0, 255).astype(np.uint8))
    image.thumbnail((side, side))
    return image


def _grey(image: Image.Image) -> Grey:
    """Return brightness; what is transparent becomes paper: white under dark ink, black under bright ink."""
    if image.mode.startswith(("I", "F")):  # 16 bits; Pillow's own conversion would clip them
        return np.asarray(image, dtype=np.float32) / np.float32(257)
    both = np.asarray(image.convert("RGBA").convert("LA"), dtype=np.float32)
    grey, opacity = both[..., 0], both[..., 1] / 255
    if opacity.min() == 1 or opacity.max() == 0:
        return grey * opacity
    paper = 255.0 if np.average(grey, weights=opacity) < 128 else 0.0
    return (grey * opacity + paper * (1 - opacity)).astype(np.float32)


def _fitted(ink: Grey) -> Grey:
    """Cut the digit out and scale it, keeping its proportions, so that its longer side is 20 pixels."""
    rows, columns = (np.flatnonzero((ink >= FAINTEST).any(axis=axis)) for axis in (1, 0))
    cut = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = BOX / max(cut.size)
    size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
    small = np.asarray(cut.resize(size, Image.Resampling.BICUBIC), dtype=np.float32).clip(0)
    return small * (255 / max(float(small.max()), 1))


def _centred(small: Grey) -> NDArray[np.uint8]:
    """Put the digit's centre of mass into the centre of 28 x 28, as far as it fits."""
    canvas = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (_offset(small, axis) for axis in (0, 1))
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small.round()
    return canvas


def _offset(small: Grey, axis: int) -> int:
    mass = small.sum(axis=1 - axis)
    centre = float((mass * (np.arange(len(mass)) + 0.5)).sum() / mass.sum())
    return min(max(math.ceil(SIDE / 2 - centre), 0), SIDE - len(mass))  # rounded up: so MNIST itself was made
