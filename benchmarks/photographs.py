"""Of photographs of digits, how many are named rightly, and of pictures without one, how many are refused?

    python -m benchmarks.photographs                 on digits and seeds that nothing was chosen on
    python -m benchmarks.photographs --set tuning    on those that the rules may be chosen on; writes nothing

Each picture is drawn from its own seed. Digits that the network does not name rightly by MNIST's own pixels are left
out: the reading is measured, and not the network.
"""

import argparse
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest
from torch import nn

from benchmarks import results
from model.data.dataset import open_dataset
from model.data.digit import read_digit
from model.data.samples import Parts, Samples
from model.errors import PictureError
from model.fleet.fleet import Fleet
from studies.sweet_spot import article_network
from tests.support.photographs import KINDS, NOTHINGS, no_digit, photograph

UNITS, LR, EPOCHS = 64, 0.003, 8
PLAIN, EMPTY, TWO = "MNIST's own pixels, as a PNG", "an empty sheet", "two digits"
Digit = NDArray[np.uint8]  # (28, 28)


@dataclass(frozen=True)
class Set:
    """Which digits are photographed, and how pictures are seeded."""

    test: bool  # of the test images, else of the validation images
    first: int
    seed: int


SETS = {"tuning": Set(False, 0, 1), "fresh": Set(True, 8000, 20_261_129)}


def trained(data: Parts) -> nn.Module:
    """Return a network that names most digits rightly."""
    fleet = Fleet(data.train, 0)
    member = fleet.add(article_network(UNITS, 0), LR)
    for _ in range(EPOCHS):
        fleet.train_epoch()
    return member.network()


@torch.no_grad()
def named(network: nn.Module, pixels: torch.Tensor) -> list[int]:
    """Return the digits that a network sees in images, uint8 (n, 784)."""
    return network(pixels.float() / 255).argmax(1).tolist()


def plainly_named(network: nn.Module, images: Samples, count: int) -> tuple[list[tuple[Digit, int]], int]:
    """Return the first digits, with labels, that are named rightly by their own pixels; and how many were left out."""
    right = (torch.tensor(named(network, images.pixels)) == images.targets).nonzero().flatten()[:count].tolist()
    digits = [(images.pixels[k].view(28, 28).numpy(), int(images.targets[k])) for k in right]
    return digits, right[-1] + 1 - len(right)


def read(network: nn.Module, image: bytes) -> int | None:
    """Return the digit that a picture is said to show, or none where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        path.write_bytes(image)
        try:
            return named(network, read_digit(path).pixels)[0]
        except PictureError:
            return None


def said_of_digits(network: nn.Module, digits: Sequence[tuple[Digit, int]], kind: str, seed: int) -> Counter[str]:
    """Return how many photographs of digits are named "rightly", "wrongly", or "refused"."""
    said: Counter[str] = Counter()
    for k, (digit, label) in enumerate(digits):
        answer = read(network, picture(digit, kind, (seed, [PLAIN, *KINDS].index(kind), k)))
        said["refused" if answer is None else "rightly" if answer == label else "wrongly"] += 1
    return said


def picture(digit: Digit, kind: str, seed: tuple[int, ...]) -> bytes:
    """Return a digit's photograph, or the digit itself."""
    if kind != PLAIN:
        return photograph([digit], np.random.default_rng(seed), kind)
    file = io.BytesIO()
    Image.fromarray(digit).save(file, "PNG")
    return file.getvalue()


def without_one(digits: Sequence[tuple[Digit, int]]) -> dict[str, Callable[[int, np.random.Generator], bytes]]:
    """Return what draws the pictures without a single digit, by kind."""

    def sheet(count: int) -> Callable[[int, np.random.Generator], bytes]:
        return lambda k, chance: photograph(
            [digits[(k + i) % len(digits)][0] for i in range(count)], chance, KINDS[k % len(KINDS)]
        )

    others = {name: lambda _, chance, name=name: no_digit(name, chance) for name in NOTHINGS}
    return {**others, EMPTY: sheet(0), TWO: sheet(2)}


def main() -> None:
    """Measure, and write the section of the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=SETS, default="fresh")
    parser.add_argument("--digits", type=int, default=200, help="photographs of each kind")
    parser.add_argument("--others", type=int, default=100, help="pictures without a digit, of each kind")
    asked = parser.parse_args()
    chosen, data = SETS[asked.set], open_dataset("mnist")
    network, images = trained(data), data.test if chosen.test else data.validation
    rows = torch.arange(chosen.first, len(images))
    digits, excluded = plainly_named(network, images.take(rows), asked.digits)
    named_rows = [
        [kind, *_counts(said_of_digits(network, digits, kind, chosen.seed), len(digits))] for kind in [PLAIN, *KINDS]
    ]
    refused_rows = []
    for place, (kind, draw) in enumerate(without_one(digits).items()):
        chances = [np.random.default_rng((chosen.seed, len(KINDS) + 1 + place, k)) for k in range(asked.others)]
        refused = sum(read(network, draw(k, chance)) is None for k, chance in enumerate(chances))
        refused_rows.append([kind, asked.others, refused, _share(refused, asked.others)])
    text = report(chosen, named_rows, refused_rows, excluded)
    if asked.set == "fresh":
        results.write("photographs", text)
    else:
        print(text)


def _counts(said: Counter[str], count: int) -> list[object]:
    return [count, said["rightly"], said["wrongly"], said["refused"], _share(said["rightly"], count)]


def _share(k: int, n: int) -> str:
    """Return a share in percent, with its 95 % interval (Wilson)."""
    low, high = binomtest(k, n).proportion_ci(method="wilson")
    return f"{100 * k / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def report(
    chosen: Set, named_rows: Sequence[Sequence[object]], refused_rows: Sequence[Sequence[object]], excluded: int
) -> str:
    """Return the two tables."""
    return "\n\n".join(
        [
            f"{'Test' if chosen.test else 'Validation'} digits from number {chosen.first} on, seed {chosen.seed}; "
            f"{UNITS} units, lr {LR}, {EPOCHS} epochs. {excluded} digits among these, named wrongly by MNIST's own "
            "pixels, are left out. 95 % intervals by Wilson.",
            results.machine("pillow", "scipy"),
            results.table(
                ["a digit on paper", "pictures", "named rightly", "wrongly", "refused", "rightly, %"], named_rows
            ),
            results.table(["no single digit", "pictures", "refused", "refused, %"], refused_rows),
        ]
    )


if __name__ == "__main__":
    main()
