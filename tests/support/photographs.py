"""Photographs of digits on paper, made from MNIST's, and of what is none: seeded, large and noisy as a telephone's."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

HEIGHT, WIDTH = 800, 1000
KINDS = ("uneven light", "shadow", "ruled", "pencil", "frame", "table", "even light", "pencil in shadow")
WORDS = (
    "the",
    "network",
    "sees",
    "forty",
    "photographs",
    "on",
    "paper",
    "says",
    "which",
    "number",
    "each",
    "if",
    "any",
)
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
    taken = chance.uniform(0.25, 0.35) if "pencil" in kind else chance.uniform(0.65, 0.8)
    return _taken(_paper(chance, kind) * (1 - ink * taken), chance)


def _taken(light: Grey, chance: np.random.Generator) -> bytes:
    """Return what a camera makes of this light, 0..255: noise, blur and JPEG."""
    seen = light + chance.normal(0, 4, light.shape)
    image = Image.fromarray(seen.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def _paper(chance: np.random.Generator, kind: str) -> Grey:
    if kind == "even light":
        return np.full((HEIGHT, WIDTH), chance.uniform(150, 240))
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    angle = chance.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * right / WIDTH + np.sin(angle) * down / HEIGHT
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    paper: Grey = chance.uniform(120, 160) + slope * chance.uniform(60, 90)
    if "shadow" in kind:
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
    if kind == "table":  # a darker one, beside two edges of a sheet that does not lie straight
        tilt = chance.uniform(-0.06, 0.06)
        beside = (right < chance.integers(25, 60) + tilt * (down - HEIGHT / 2)) | (
            down > HEIGHT - chance.integers(25, 60) + tilt * (right - WIDTH / 2)
        )
        paper = np.where(beside, paper * chance.uniform(0.3, 0.6), paper)
    return paper


def no_digit(kind: str, chance: np.random.Generator) -> bytes:
    """Return a JPEG of something else, one of `NOTHINGS`."""
    return _taken(NOTHINGS[kind](chance), chance)


def _lit(chance: np.random.Generator, shade: Grey) -> Grey:
    """Return a surface, 1 where it is brightest, in the light that papers have; a third of them in even light."""
    return shade * (_paper(chance, "uneven light" if chance.random() < 2 / 3 else "even light"))


def _face(chance: np.random.Generator) -> Grey:
    """A head with hair, eyes, brows, nose and mouth, lit from a side, before a wall that is darker or brighter."""
    wall, skin = int(chance.integers(90, 256)), int(chance.integers(130, 230))
    image = Image.new("L", (WIDTH, HEIGHT), wall)
    draw, half = ImageDraw.Draw(image), int(chance.integers(110, 260))
    x, y, tall = int(chance.integers(300, 700)), int(chance.integers(330, 470)), round(half * 1.3)
    if chance.random() < 0.7:  # neck and shoulders
        draw.ellipse((x - 2 * half, y + 1.1 * tall, x + 2 * half, y + 3 * tall), fill=int(chance.integers(30, 200)))
        draw.rectangle((x - half / 2, y, x + half / 2, y + 1.3 * tall), fill=round(skin * 0.85))
    draw.ellipse((x - 1.1 * half, y - 1.15 * tall, x + 1.1 * half, y + 0.4 * tall), fill=int(chance.integers(20, 120)))
    draw.ellipse((x - half, y - 0.9 * tall, x + half, y + tall), fill=skin)
    for side in (-0.4, 0.4):
        _round(draw, (x + side * half, y - 0.15 * tall), (0.2 * half, 0.1 * half), 235)
        _round(draw, (x + side * half, y - 0.15 * tall), (0.09 * half, 0.09 * half), 40)
        _round(draw, (x + side * half, y - 0.38 * tall), (0.26 * half, 0.05 * half), 60)
    draw.line((x, y - 0.1 * tall, x + 0.15 * half, y + 0.25 * tall), fill=round(skin * 0.7), width=max(half // 20, 4))
    _round(draw, (x, y + 0.55 * tall), (0.4 * half, chance.uniform(0.06, 0.18) * half), 80)
    shaded = _lit(chance, np.asarray(image.filter(ImageFilter.GaussianBlur(4))) / 255)
    return shaded * (1 - chance.uniform(0, 0.4) * np.linspace(0, 1, WIDTH)[:: chance.choice([-1, 1])])


def _drawn_face(chance: np.random.Generator) -> Grey:
    """Head, eyes, nose and mouth in lines of a pen."""
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw, half, pen = ImageDraw.Draw(image), int(chance.integers(120, 280)), int(chance.integers(8, 24))
    x, y, tall = int(chance.integers(320, 680)), int(chance.integers(380, 420)), half * chance.uniform(1, 1.25)
    draw.ellipse((x - half, y - tall, x + half, y + tall), outline=70, width=pen)
    for side in (-0.4, 0.4):
        _round(draw, (x + side * half, y - 0.25 * tall), (0.12 * half, 0.12 * half), 70)
    draw.line((x, y - 0.1 * tall, x, y + 0.2 * tall), fill=70, width=pen)
    draw.arc((x - 0.5 * half, y, x + 0.5 * half, y + 0.6 * tall), 20, 160, fill=70, width=pen)
    return _lit(chance, np.asarray(image) / 255)


def _round(draw: ImageDraw.ImageDraw, at: tuple[float, float], half: tuple[float, float], shade: int) -> None:
    (x, y), (wide, tall) = at, half
    draw.ellipse((x - wide, y - tall, x + wide, y + tall), fill=shade)


def _noise(chance: np.random.Generator, *sigma: float) -> Grey:
    """Return smooth noise, mean 0 and deviation 1."""
    step = max(int(min(sigma) // 4), 1)  # what is very smooth is drawn small
    drawn = chance.normal(size=(HEIGHT // step, WIDTH // step))
    smooth = Image.fromarray(ndimage.gaussian_filter(drawn, np.divide(sigma, step), mode="wrap").astype(np.float32))
    grown = np.asarray(smooth.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return grown / grown.std()


def _wood(chance: np.random.Generator) -> Grey:
    """Grain: bands that wave along the board."""
    down = np.arange(HEIGHT)[:, None] / chance.uniform(8, 30) + chance.uniform(1, 4) * _noise(chance, 40, 200)
    return _lit(chance, 0.75 + 0.15 * np.sin(down) + 0.05 * _noise(chance, 1, 30))


def _checkerboard(chance: np.random.Generator) -> Grey:
    angle, cell = chance.uniform(0, np.pi / 2), chance.uniform(20, 150)
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    across, along = np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right
    return _lit(chance, np.where((across // cell + along // cell) % 2 == 0, 1, chance.uniform(0.2, 0.7)))


def _gravel(chance: np.random.Generator) -> Grey:
    sigma = chance.uniform(3, 25)
    return _lit(chance, np.clip(0.7 + chance.uniform(0.1, 0.2) * _noise(chance, sigma, sigma), 0.1, 1))


def _clouds(chance: np.random.Generator) -> Grey:
    coarse = sum(scale * _noise(chance, scale, scale) for scale in (5, 15, 45, 135))
    return _lit(chance, np.clip(0.7 + 0.2 * coarse / np.std(coarse), 0.1, 1))


def _cloth(chance: np.random.Generator) -> Grey:
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH] / chance.uniform(5, 25) + 0.5 * _noise(chance, 60, 60)
    return _lit(chance, 0.75 + 0.12 * np.sin(down) + 0.12 * np.sin(right))


def _text(chance: np.random.Generator) -> Grey:
    """A word, or lines of words."""
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    size, lines = int(chance.integers(60, 260)), int(chance.integers(1, 4))
    per_line = max(1, round(800 / (2.5 * size)))
    text = "\n".join(" ".join(chance.choice(WORDS, per_line)) for _ in range(lines))
    if chance.random() < 0.3:
        text = text.upper()
    font = ImageFont.load_default(size)
    while (box := ImageDraw.Draw(image).textbbox((0, 0), text, font))[2] > 900 or box[3] > 700:
        size = round(size * 0.9)
        font = ImageFont.load_default(size)
    left, top = (chance.integers(40, whole - 40 - taken) for whole, taken in ((WIDTH, box[2]), (HEIGHT, box[3])))
    ImageDraw.Draw(image).multiline_text((left, top), text, 70, font)
    return _lit(chance, np.asarray(image) / 255)


def _static(chance: np.random.Generator) -> Grey:
    """Noise of pixels as large as 1 to 200 of a camera's."""
    side = int(WIDTH / 10 ** chance.uniform(0, 2.3))
    coarse = Image.fromarray(chance.integers(0, 256, (side, side), dtype=np.uint8))
    return np.asarray(coarse.resize((WIDTH, HEIGHT)), dtype=np.float64)


NOTHINGS: dict[str, Callable[[np.random.Generator], Grey]] = {
    "a face": _face,
    "a face in lines": _drawn_face,
    "text": _text,
    "wood": _wood,
    "a checkerboard": _checkerboard,
    "gravel": _gravel,
    "clouds": _clouds,
    "cloth": _cloth,
    "noise": _static,
}
