"""What does one epoch of one network cost: in the article's loop, alone on resident tensors, and in a fleet?

    python -m benchmarks.model_epoch           writes its section of benchmarks/RESULTS.md (make bench)

Width 25, batch 1028, all 60,000 images, fp32. Every round measures every contender once, in turn, so that a busy moment
of the machine meets all of them; quoted are medians over rounds and ratios of medians. Beside them stands the rate of
plain matrix products (SGEMM) of the fleet's own shapes, measured in the same rounds: no program can be faster.
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
from benchmarks.results import machine
from model.data import FILES, Images, load, provide
from model.fleet import ARTICLE_BATCH, Fleet
from model.mlp import MLPConfig, initialised

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
    model = initialised(MLPConfig(WIDTH), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def epoch() -> None:
        for pixels, labels in loader:
            loss = nn.functional.cross_entropy(model(pixels.flatten(1)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def resident_loop(images: Images) -> Callable[[], object]:
    """Return an epoch of one network on resident tensors with fused Adam: what a careful user writes."""
    model = initialised(MLPConfig(WIDTH), 0).to(images.pixels.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    scaled = images.pixels.float().div_(255)

    def epoch() -> None:
        order = torch.randperm(len(images), device=scaled.device)
        for start in range(0, len(images), ARTICLE_BATCH):
            index = order[start : start + ARTICLE_BATCH]
            loss = nn.functional.cross_entropy(model(scaled[index]), images.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def fleet_epoch(images: Images, count: int) -> Callable[[], object]:
    """Return an epoch of a fleet."""
    fleet = Fleet(images, order_seed=0)
    for seed in range(count):
        fleet.join(initialised(MLPConfig(WIDTH), seed), LR)
    return fleet.train_epoch


def products(images: Images, count: int) -> Callable[[], object]:
    """Return an epoch's worth of the fleet's two wide products and nothing else."""
    rows, steps = count * 32, len(images) / ARTICLE_BATCH
    weights, inputs = torch.rand(rows, 785), torch.rand(ARTICLE_BATCH, 785)
    outputs, gradient = torch.empty(rows, ARTICLE_BATCH), torch.empty(rows, 785)

    def epoch() -> None:
        for _ in range(round(steps)):
            torch.mm(weights, inputs.T, out=outputs)
            torch.mm(outputs, inputs, out=gradient)

    return epoch


def contenders(directory: Path, images: Images) -> list[Contender]:
    """Return all that is compared."""
    fleets = [Contender(f"fleet of {n}", n, fleet_epoch(images, n)) for n in FLEETS]
    floor = [Contender(f"its wide products alone, {n}", n, products(images, n)) for n in FLEETS]
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


def report(times: dict[str, float], rounds: int) -> str:
    """Return the table in Markdown."""
    article, alone, *_ = times.values()
    lines = [
        "Width 25, batch 1028, 60,000 images, fp32;",
        f"medians of {rounds} rounds, each contender once a round.",
        "",
        machine(),
        "",
        "| contender | ms per model-epoch | the article's loop costs | one resident network costs |",
        "|---|--:|--:|--:|",
        *(f"| {name} | {t * 1e3:.1f} | {article / t:.1f} x | {alone / t:.1f} x |" for name, t in times.items()),
    ]
    return "\n".join(lines) + "\n"


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
        times = measure(contenders(Path(name), load(source).full), rounds)
    results.write("model-epoch", report(times, rounds))


if __name__ == "__main__":
    main()
