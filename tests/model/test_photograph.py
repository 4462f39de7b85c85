"""A digit on a photograph is what its own pixels are to a network, and what shows no single digit is refused."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.data.digit import read_digit
from model.data.mnist import Mnist
from model.errors import PictureError
from model.fleet.fleet import Fleet
from model.network.mlp import MLP, MLPConfig, initialised
from search.predict import seen
from tests.support.photographs import HEIGHT, KINDS, WIDTH, photograph

COUNT, LEAST = 40, 37


@pytest.fixture(scope="module")
def network(mnist: Mnist) -> MLP:
    """A network that names most digits rightly."""
    fleet = Fleet(mnist.train, 0)
    member = fleet.add(initialised(MLPConfig(128), 0), 3e-3)
    for _ in range(6):
        fleet.train_epoch()
    return member.network()


def named(network: MLP, pixels: torch.Tensor) -> int:
    with torch.no_grad():
        return int(network(pixels.float() / 255).argmax())


def digits(mnist: Mnist, network: MLP) -> list[tuple[np.ndarray, int]]:
    """Test digits that the network names rightly from their own pixels, so that only the reading is tested."""
    pixels, labels = mnist.test.pixels[:400], mnist.test.labels[:400]
    right = [k for k in range(len(labels)) if named(network, pixels[k : k + 1]) == int(labels[k])]
    return [(pixels[k].view(28, 28).numpy(), int(labels[k])) for k in right[:COUNT]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_photographed_digit_is_named_as_its_own_pixels_are(
    kind: str, mnist: Mnist, network: MLP, tmp_path: Path
) -> None:
    chance, right = np.random.default_rng(KINDS.index(kind)), 0
    for digit, label in digits(mnist, network):
        path = tmp_path / "photograph.jpg"
        path.write_bytes(photograph([digit], chance, kind))
        with suppress(PictureError):  # refused is not right
            found = read_digit(path)
            assert found.polarity == "a photograph of ink on paper"
            right += named(network, found.pixels) == label
    assert right >= LEAST


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 2])
def test_no_digit_and_two_are_refused(kind: str, count: int, mnist: Mnist, tmp_path: Path) -> None:
    chance = np.random.default_rng(count)
    for k in range(3):
        path = tmp_path / "photograph.jpg"
        two = [mnist.test.pixels[2 * k + i].view(28, 28).numpy() for i in range(count)]
        path.write_bytes(photograph(two, chance, kind))
        with pytest.raises(PictureError, match="shows no single digit"):
            read_digit(path)


def test_what_the_network_saw_is_drawn_in_ascii(mnist: Mnist, tmp_path: Path) -> None:
    path = tmp_path / "photograph.jpg"
    path.write_bytes(photograph([mnist.test.pixels[0].view(28, 28).numpy()], np.random.default_rng(0)))
    lines = seen(read_digit(path))
    assert len(lines) == 14
    assert "".join(lines).isascii()
    assert "@" in "".join(lines)


def test_noise_and_blurred_blobs_are_refused(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for side in (8, 40, 800):
        noise = Image.fromarray(chance.integers(0, 255, (side, side), dtype=np.uint8)).resize((WIDTH, HEIGHT))
        file = io.BytesIO()
        noise.save(file, "PNG")
        (tmp_path / "noise.png").write_bytes(file.getvalue())
        with pytest.raises(PictureError):
            read_digit(tmp_path / "noise.png")
