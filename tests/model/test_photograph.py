"""A digit on a photograph is what its own pixels are to a network, and what shows no single digit is refused.

Digits and seeds are such that nothing was chosen on them; `benchmarks.photographs` measures the same on more.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from benchmarks.photographs import PLAIN, Digit, picture, plainly_named, read, trained, without_one
from model.data.digit import read_digit
from model.data.samples import Parts
from model.errors import PictureError
from search.predict import seen
from tests.support.photographs import HEIGHT, KINDS, WIDTH, photograph

FIRST, SEED = 9000, 9000
COUNT, LEAST = 40, 37
WEAK = {"pencil in shadow": 34}  # where a shadow's edge crosses so faint a line, the paper's light is not to be told
OTHERS, REFUSED = 12, 11


@pytest.fixture(scope="module")
def network(mnist: Parts) -> nn.Module:
    """A network that names most digits rightly."""
    return trained(mnist)


@pytest.fixture(scope="module")
def digits(mnist: Parts, network: nn.Module) -> list[tuple[Digit, int]]:
    """Digits that the network names rightly from their own pixels, so that only the reading is tested."""
    return plainly_named(network, mnist.test.take(torch.arange(FIRST, len(mnist.test))), COUNT)[0]


@pytest.mark.parametrize("kind", [PLAIN, *KINDS])
def test_a_photographed_digit_is_named_as_its_own_pixels_are(
    kind: str, digits: list[tuple[Digit, int]], network: nn.Module
) -> None:
    pictures = (picture(digit, kind, (SEED, len(kind), k)) for k, (digit, _) in enumerate(digits))
    named = [read(network, image) for image in pictures]
    assert sum(name == label for name, (_, label) in zip(named, digits, strict=True)) >= WEAK.get(kind, LEAST)


@pytest.mark.parametrize("kind", list(without_one([])))
def test_what_shows_no_single_digit_is_refused(kind: str, digits: list[tuple[Digit, int]], network: nn.Module) -> None:
    draw = without_one(digits)[kind]
    answers = [read(network, draw(k, np.random.default_rng((SEED, 100, k)))) for k in range(OTHERS)]
    assert answers.count(None) >= REFUSED


@pytest.mark.parametrize("word", ["if", "no", "10", "seven"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_word_in_a_drawing_is_refused_in_one_line(word: str, dark: bool, tmp_path: Path) -> None:
    image = Image.new("L", (300, 200), 0 if dark else 255)
    ImageDraw.Draw(image).text((40, 60), word, 255 if dark else 0, ImageFont.load_default(60))
    image.save(tmp_path / "word.png")
    with pytest.raises(PictureError, match="shows no single digit: there is more than one mark"):
        read_digit(tmp_path / "word.png")


def test_a_photograph_says_that_it_was_read_as_one(digits: list[tuple[Digit, int]], tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    path.write_bytes(photograph([digits[0][0]], np.random.default_rng(SEED)))
    assert read_digit(path).polarity == "a photograph of ink on paper"


@pytest.mark.parametrize("letter", ["A", "S"])
def test_a_lone_letter_is_a_mark_like_a_digit_and_is_not_refused(letter: str, tmp_path: Path) -> None:
    """The limit of these rules: only a network that has seen letters could tell."""
    image = Image.new("L", (WIDTH, HEIGHT), 210)
    ImageDraw.Draw(image).text((400, 200), letter, 60, ImageFont.load_default(300))
    image.save(tmp_path / "letter.png")
    assert read_digit(tmp_path / "letter.png").pixels.max() == 255


@pytest.mark.parametrize(("where", "belongs"), [("above", True), ("far above", False), ("beside", False)])
def test_a_stroke_that_does_not_touch_belongs_to_the_digit_below_it_alone(
    where: str, belongs: bool, tmp_path: Path
) -> None:
    """As the bar of a 5 does."""
    image = Image.new("L", (WIDTH, HEIGHT), 210)
    draw, bar = ImageDraw.Draw(image), {"above": (400, 250), "far above": (400, 150), "beside": (610, 400)}[where]
    draw.arc((400, 300, 600, 600), 180, 90, 60, 40)
    draw.rectangle((*bar, bar[0] + 150, bar[1] + 30), 60)
    image.save(tmp_path / "five.png")
    if belongs:
        columns = (read_digit(tmp_path / "five.png").pixels.view(28, 28) > 127).any(0).sum()
        assert columns == pytest.approx(20 * 200 / 350, abs=1)  # all 20 rows are for both, not for the arc's 300 alone
    else:
        with pytest.raises(PictureError, match="more than one mark"):
            read_digit(tmp_path / "five.png")


def test_what_the_network_saw_is_drawn_in_ascii(digits: list[tuple[Digit, int]], tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    path.write_bytes(photograph([digits[0][0]], np.random.default_rng(0)))
    lines = seen(read_digit(path))
    assert len(lines) == 14
    assert "".join(lines).isascii()
    assert "@" in "".join(lines)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (10, 1000), (1000, 10), (2, 3), (1, 50), (50, 1), (17, 17)])
def test_a_picture_without_noise_or_of_hardly_any_pixels_is_refused(shape: tuple[int, int], tmp_path: Path) -> None:
    down, right = np.mgrid[0 : shape[0], 0 : shape[1]]
    for brightness in (down / down.max() if shape[0] > 1 else right / right.max(), (right > shape[1] / 2) + 0 * down):
        Image.fromarray((brightness * 255).astype(np.uint8)).save(tmp_path / "picture.png")
        with pytest.raises(PictureError, match="shows no"):
            read_digit(tmp_path / "picture.png")
