"""What does one epoch of one network cost: in the article's loop, alone on resident tensors, and in a fleet?

    python -m benchmarks.model_epoch           writes its section of benchmarks/RESULTS.md (make bench)

Width 25, batch 1028, all 60,000 images, fp32. Every round measures every contender once, in turn, so that a busy moment
of the machine meets all of them; quoted are medians over rounds and ratios of medians. Beside them stand plain matrix
products (SGEMM) of the two large shapes of the fleet, in the same rounds: the floor of a program that multiplies them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks import results
from benchmarks.fleets import fleet_of
from benchmarks.results import machine
from model.data.dataset import open_dataset
from model.data.mnist import FILES, provide
from model.data.samples import Samples
from model.fleet.fleet import ARTICLE_BATCH
from model.network.member import CLASSES, INPUTS
from studies.sweet_spot import article_network

WIDTH, LR = 25, 0.02
FLEETS = (8, 16, 32)


@dataclass(frozen=True)
class Contender:
    """One way to train, and how many networks an epoch of it trains."""

    name: str
    models: int
    epoch: Callable[[], object]


def article_loop(directory: Path) -> Callable[[], object]:
    """Return an epoch as the article trains it: DataLoader, ToTensor, Adam as it comes."""
    data = datasets.MNIST(str(directory), train=True, transform=transforms.ToTensor())
    loader = DataLoader(data, batch_size=ARTICLE_BATCH, shuffle=True)
    model = article_network(WIDTH, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def epoch() -> None:
        for pixels, labels in loader:
            loss = nn.functional.cross_entropy(model(pixels.flatten(1)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def resident_loop(images: Samples) -> Callable[[], object]:
    """Return an epoch of one network on resident tensors with fused Adam: what a careful user writes."""
    model = article_network(WIDTH, 0).to(images.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    scaled = images.pixels.float().div_(255)

    def epoch() -> None:
        order = torch.randperm(len(images), device=scaled.device)
        for start in range(0, len(images), ARTICLE_BATCH):
            index = order[start : start + ARTICLE_BATCH]
            loss = nn.functional.cross_entropy(model(scaled[index]), images.targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def multiplied_share(images: Samples) -> float:
    """Return the share of the first layer's inputs that a fleet multiplies on a CPU: the others are zero."""
    often, seldom = images.lit.often, images.lit.seldom
    return (often.numel() + int(seldom.nnz)) / (len(images) * (INPUTS + 1))


def products(images: Samples, count: int) -> Callable[[], object]:
    """Return an epoch's worth of two plain products of the fleet's first layer and nothing else."""
    rows, k = count * WIDTH, INPUTS + 1
    weights, inputs = torch.rand(rows, k), torch.rand(ARTICLE_BATCH, k)
    outputs, gradient = torch.empty(rows, ARTICLE_BATCH), torch.empty(rows, k)

    def epoch() -> None:
        for _ in range(round(len(images) / ARTICLE_BATCH)):
            torch.mm(weights, inputs.T, out=outputs)
            torch.mm(outputs, inputs, out=gradient)

    return epoch


def arithmetic(images: Samples, count: int) -> tuple[float, float]:
    """Return the floating-point operations of a fleet's epoch with every pixel: of its first layer, and of all."""
    wide, p = 4.0 * count * WIDTH * (INPUTS + 1) * len(images), WIDTH
    return wide, wide + 6.0 * count * (p * p + CLASSES * p) * len(images)


def contenders(directory: Path, images: Samples) -> list[Contender]:
    """Return all that is compared."""
    fleets = [Contender(f"fleet of {n}", n, fleet_of(images, [WIDTH] * n, LR).train_epoch) for n in FLEETS]
    floor = [Contender(f"plain products of {n}", n, products(images, n)) for n in FLEETS]
    return [
        Contender("the article's loop", 1, article_loop(directory)),
        Contender("one network, resident tensors, fused Adam", 1, resident_loop(images)),
        *fleets,
        *floor,
    ]


def measure(who: list[Contender], rounds: int) -> dict[str, float]:
    """Return each contender's median seconds for a model-epoch; the first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {c.name: [] for c in who}
    for turn in range(rounds + 1):
        for contender in who:
            start = time.perf_counter()
            contender.epoch()
            if turn:
                seconds[contender.name].append((time.perf_counter() - start) / contender.models)
    return {name: median(values) for name, values in seconds.items()}


def report(times: dict[str, float], rounds: int, images: Samples) -> str:
    """Return the tables in Markdown: what a model-epoch costs, and how near the fleets come to the machine's limit."""
    article, alone, *_ = times.values()
    rows = [[name, f"{t * 1e3:.1f}", f"{article / t:.1f} x", f"{alone / t:.2f} x"] for name, t in times.items()]
    head = ["contender", "ms per model-epoch", "the article's loop costs", "one resident network costs"]
    return "\n\n".join(
        [
            f"Width 25, batch 1028, 60,000 images, fp32;\nmedians of {rounds} rounds, each contender once a round.",
            machine(),
            results.table(head, rows),
            f"The plain products are those of all 785 inputs and {WIDTH} units for each network: what a fleet\n"
            "that multiplied by every zero could not fall below. A fleet multiplies"
            f" {100 * multiplied_share(images):.0f} % of the inputs, and\n"
            "skips the others, which are zero. Its rate with the zeros counted is what to hold against SGEMM's;\n"
            "beside it is the arithmetic that it did. Both count all its products.",
            results.table(
                ["fleet of", "GFLOP/s, zeros counted", "SGEMM, same shapes", "of SGEMM", "GFLOP/s done"],
                [_rate(times, count, images) for count in FLEETS],
            ),
        ]
    )


def _rate(times: dict[str, float], count: int, images: Samples) -> list[object]:
    wide, every = arithmetic(images, count)
    fleet, floor = (count * times[name] for name in (f"fleet of {count}", f"plain products of {count}"))
    done = every - wide * (1 - multiplied_share(images))
    counted, limit = every / fleet / 1e9, wide / floor / 1e9
    return [count, f"{counted:.1f}", f"{limit:.1f}", f"{100 * counted / limit:.0f} %", f"{done / fleet / 1e9:.1f}"]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    source = provide()
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in FILES:
            (raw / file).symlink_to(source / file)
        images = open_dataset("mnist", directory=source).full
        times = measure(contenders(Path(name), images), rounds)
    results.write("model-epoch", report(times, rounds, images))


if __name__ == "__main__":
    main()
