"""Photographs of digits on paper, made from MNIST's test digits: seeded, and as large and as noisy as a telephone's."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

HEIGHT, WIDTH = 800, 1000
KINDS = ("uneven light", "shadow", "ruled", "pencil", "frame")
Grey = NDArray[np.floating]


def photograph(digits: list[NDArray[np.uint8]], chance: np.random.Generator, kind: str = "uneven light") -> bytes:
    """Return a JPEG of these digits, 28 x 28 each, side by side on a sheet of paper."""
    ink = np.zeros((HEIGHT, WIDTH))
    capacity = WIDTH // max(len(digits), 1)
    for k, digit in enumerate(digits):
        side = int(chance.integers(280, 400))
        large = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
        top, left = chance.integers(60, HEIGHT - side - 60), k * capacity + chance.integers(30, capacity - side - 30)
        ink[top : top + side, left : left + side] = large
    taken = chance.uniform(0.25, 0.35) if kind == "pencil" else chance.uniform(0.65, 0.8)
    seen = _paper(chance, kind) * (1 - ink * taken) + chance.normal(0, 4, ink.shape)
    image = Image.fromarray(seen.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def _paper(chance: np.random.Generator, kind: str) -> Grey:
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    angle = chance.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * right / WIDTH + np.sin(angle) * down / HEIGHT
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    paper: Grey = chance.uniform(120, 160) + slope * chance.uniform(60, 90)
    if kind == "shadow":
        across = np.cos(angle) * (right - WIDTH / 2) + np.sin(angle) * (down - HEIGHT / 2)
        paper = paper * (1 - 0.45 / (1 + np.exp((chance.uniform(-150, 150) - across) / chance.uniform(6, 30))))
    if kind == "ruled":
        step = int(chance.integers(70, 110))
        for row in range(int(chance.integers(10, step)), HEIGHT, step):
            paper[row : row + 4] *= 0.75
    if kind == "frame":
        paper[:, : chance.integers(15, 40)] *= 0.3
        paper[: chance.integers(15, 40)] *= 0.4
        fold = chance.integers(880, 960)
        paper[:, fold : fold + 6] *= 0.7
    return paper
