"""What do dropout, depth and activation cost a plain MLP in a fleet, and how does a fleet compare with the plain loop?

    python -m benchmarks.plain               writes its section of benchmarks/RESULTS.md

A processor's time, one thread, so that other programs matter less; the article's loop also by the time that passes with
all of the machine's cores, as its user waits. Every round measures every contender once, in turn.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks import results
from model.data.dataset import open_dataset
from model.data.mnist import FILES, provide
from model.data.samples import Samples
from model.fleet.family import Family, Trainer
from model.fleet.fleet import ARTICLE_BATCH, Fleet
from model.fleet.fleets import Fleets
from model.threads import using

AT_ONCE, LR = 16, 0.01
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
ARTICLE = {"widths": (25, 25)}
SHAPES: dict[str, Mapping[str, object]] = {
    "784-25-25-10, ReLU": ARTICLE,
    "with dropout 0.2 after both": {**ARTICLE, "dropout": 0.2},
    "one hidden layer": {"widths": (25,)},
    "three": {"widths": (25,) * 3},
    "four": {"widths": (25,) * 4},
    "GELU": {**ARTICLE, "activation": "gelu"},
    "SiLU": {**ARTICLE, "activation": "silu"},
    "tanh": {**ARTICLE, "activation": "tanh"},
}


@dataclass(frozen=True)
class Case:
    """Networks on data, for a fleet against the plain loop."""

    name: str
    data: str
    batch: int
    params: Mapping[str, object]


CASES = [
    Case("380 rows of 30 numbers, 30-16-2", "table", 64, {"widths": (16,)}),
    Case("digits, 64-32-32-10, dropout", "digits", 64, {"widths": (32, 32), "dropout": 0.2}),
    Case("10,000 of Fashion-MNIST, 784-32-32-10", "fashion-mnist", 128, {"widths": (32, 32)}),
    Case("the same, 784-256-256-10", "fashion-mnist", 128, {"widths": (256, 256)}),
    Case("the same, 784-32-32-10, dropout", "fashion-mnist", 1028, {"widths": (32, 32), "dropout": 0.2}),
]
COUNTS = (1, 2, 4, 8)
LOOPS = 3  # epochs of the article's loop that are measured


def mlp(
    widths: Sequence[int], inputs: int, classes: int, activation: str = "relu", dropout: float = 0.0
) -> nn.Sequential:
    """Return a plain MLP."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def fleet_of(
    samples: Samples, batch: int, params: Mapping[str, object], count: int, trainer: Trainer = "fleet"
) -> Fleet:
    """Return a fleet of equal networks that has trained an epoch to warm up."""
    family = Family(mlp, samples.values.shape[1], 1 + int(samples.targets.max()))
    fleet, given = Fleet(samples, 0, batch), {**params, "lr": LR}
    for seed in range(count):
        fleet.attach(family.member(family.build(given, seed), given, seed, samples.device, trainer))
    fleet.train_epoch()
    return fleet


def article_loop(directory: Path) -> Callable[[], object]:
    """Return an epoch of a network with dropout as the article trains: DataLoader, ToTensor, Adam as it comes."""
    data = datasets.MNIST(str(directory), train=True, transform=transforms.ToTensor())
    loader = DataLoader(torch.utils.data.Subset(data, range(50_000)), batch_size=ARTICLE_BATCH, shuffle=True)
    model = mlp((25, 25), 784, 10, dropout=0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def epoch() -> None:
        for pixels, labels in loader:
            loss = nn.functional.cross_entropy(model(pixels.flatten(1)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def computed(epoch: Callable[[], object]) -> float:
    """Return the processor's milliseconds that an epoch takes."""
    start = time.process_time()
    epoch()
    return 1e3 * (time.process_time() - start)


def shapes(rounds: int, loop: Callable[[], object]) -> str:
    """Measure what dropout, depth and activation cost, and return the table."""
    train = open_dataset("mnist").train
    fleets = {name: fleet_of(train, ARTICLE_BATCH, params, AT_ONCE) for name, params in SHAPES.items()}
    found: dict[str, list[float]] = {name: [] for name in [*fleets, "the article's loop, with dropout"]}
    for turn in range(rounds):
        for name, fleet in fleets.items():
            found[name].append(computed(fleet.train_epoch) / AT_ONCE)
        if turn < LOOPS:  # it takes as long as all fleets together
            found["the article's loop, with dropout"].append(computed(loop))
    first = found["784-25-25-10, ReLU"]
    rows = [[name, f"{median(ms):.1f}", _against(ms, first)] for name, ms in found.items()]
    return results.table(["a fleet of 16, 25 units in each layer", "ms for a model-epoch", "against the first"], rows)


def passed(loop: Callable[[], object]) -> str:
    """Measure 16 networks with dropout in each fleet, a fleet a core, beside the loop as torch runs it by itself."""
    samples, params = open_dataset("mnist").train, {**SHAPES["with dropout 0.2 after both"], "lr": LR}
    family = Family(mlp, 784, 10)
    ours, theirs = [], []
    with using(os.cpu_count() or 1), Fleets(samples, 0, ARTICLE_BATCH) as fleets:
        for seed, fleet in enumerate(AT_ONCE * list(fleets)):
            fleet.attach(family.member(family.build(params, seed), params, seed, samples.device))
        epochs = 5 * len(fleets)  # of all networks in a fleet
        for turn in range(1 + LOOPS):
            mine = elapsed(lambda: [fleets.train_next() for _ in range(epochs)]) / epochs / AT_ONCE
            with fleets.at_rest():
                other = elapsed(loop)
            if turn:  # the first warms up
                ours.append(mine)
                theirs.append(other)
    line = f"{median(ours):.1f} ms pass for a model-epoch with dropout, 16 networks in each of {len(fleets)} fleets; "
    return f"{line}{median(theirs):.1f} ms by the article's loop: {_against(theirs, ours)}."


def elapsed(work: Callable[[], object]) -> float:
    """Return the milliseconds that pass."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def _against(ms: Sequence[float], first: Sequence[float]) -> str:
    return results.ratio([a / b for a, b in zip(ms, first, strict=False)])


def _table(rows: int = 380, columns: int = 30) -> Samples:
    generator = torch.Generator().manual_seed(0)
    return Samples(torch.randn(rows, columns, generator=generator), torch.randint(2, (rows,), generator=generator))


def against_the_loop(rounds: int) -> str:
    """Measure fleets against the general trainer, and return the table."""
    rows = []
    for case in CASES:
        samples = _table() if case.data == "table" else open_dataset(case.data).train.first(10_000)
        cells = []
        for count in COUNTS:
            ours, loop = (fleet_of(samples, case.batch, case.params, count, way) for way in ("fleet", "general"))
            pairs = [(computed(ours.train_epoch), computed(loop.train_epoch)) for _ in range(rounds)]
            ratio = median(theirs / own for own, theirs in pairs)
            cells.append(f"{median(own for own, _ in pairs) / count:.1f}, {ratio:.2f} x")
        rows.append([f"{case.name}; batch {case.batch}", *cells])
    return results.table(["ms for a model-epoch; the plain loop takes", *(f"{n} at once" for n in COUNTS)], rows)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in FILES:
            (raw / file).symlink_to(provide() / file)
        loop = article_loop(Path(folder))
        table, line = shapes(rounds, loop), passed(loop)
    texts = [
        f"A processor's milliseconds, one thread; medians of {rounds} rounds (of the article's loop, {LOOPS}), ratios"
        " with their range.\n50,000 images of MNIST, batch 1028.",
        results.machine(),
        table,
        f"The same on all of {os.cpu_count()} cores: {line}",
        "The same networks by the general trainer, PyTorch's plain loop, one after the other:",
        against_the_loop(rounds),
    ]
    results.write("plain", "\n\n".join(texts))


if __name__ == "__main__":
    main()
