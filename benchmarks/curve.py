"""What does a model-epoch cost as fleets grow, and as networks get wider? The plot behind the fleet's size.

    python -m benchmarks.curve                 writes its section of benchmarks/RESULTS.md, and benchmarks/curve.png

Batch 1028, the 50,000 images of the search, fp32. Each point is a fleet of networks of one width. Every round measures
every point once; quoted are medians.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
from matplotlib.figure import Figure

from benchmarks import results
from benchmarks.fleets import fleet_of
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.fleet.fleet import ARTICLE_BATCH
from search.training.engine import CAPACITY

WIDTHS = (10, 25, 50, 100, 250)
UNITS = (1, 256, 512, 1024, 2048)  # rows that a fleet fills at most; 1: a fleet of one
BATCHES = 10  # minibatches of an epoch that are measured
PICTURE = Path(__file__).parent / "curve.png"

Points = Mapping[tuple[int, int], float]
"""Seconds of a model-epoch by width and number of networks."""


def by_units(width: int) -> list[int]:
    """Return how many networks of this width a fleet of each size holds, one at least."""
    return [max(1, units // width) for units in UNITS]


def sizes(width: int) -> list[int]:
    """Return the fleets of networks of this width to measure, in networks."""
    return sorted(set(by_units(width)))


def measure(images: Samples, rounds: int) -> Points:
    """Return the median seconds of a model-epoch at every point."""
    part = images.take(torch.arange(BATCHES * ARTICLE_BATCH))
    fleets = {(width, count): fleet_of(part, [width] * count) for width in WIDTHS for count in sizes(width)}
    seconds: dict[tuple[int, int], list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        for (width, count), fleet in fleets.items():
            start = time.perf_counter()
            fleet.train_epoch()
            if turn:  # the first round warms up
                seconds[width, count].append((time.perf_counter() - start) / count)
    return {point: median(found) * len(images) / len(part) for point, found in seconds.items()}


def report(points: Points, rounds: int) -> str:
    """Return the section: what a model-epoch costs for each width, by the rows that the fleet may fill."""
    rows = []
    for width in WIDTHS:
        costs = {count: points[width, count] for count in sizes(width)}
        best = min(costs.values())
        cells = [f"{n}: {1e3 * costs[n]:.0f} ms, {costs[n] / best:.2f} x" for n in by_units(width)]
        rows.append([width, *cells])
    head = ["units of a network", *("alone" if units == 1 else f"{units} rows" for units in UNITS)]
    return "\n\n".join(
        [
            f"A model-epoch of 50,000 images, batch 1028, fp32; measured on {BATCHES} minibatches,\n"
            f"medians of {rounds} rounds. Each cell: networks in the fleet, what one of them costs, and that as a\n"
            f"multiple of the width's cheapest. The search's fleets have {CAPACITY['cpu']} rows on a CPU.",
            results.machine(),
            results.table(head, rows),
            "![cost of a model-epoch by fleet size and width](curve.png)",
        ]
    )


def draw(points: Points) -> None:
    """Write the plot: cost against fleet size, a line for each width, and the search's own size."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for width in WIDTHS:
        counts = sizes(width)
        label = f"{width} units"
        axes.plot([n * width for n in counts], [1e3 * points[width, n] for n in counts], "o-", label=label)
    axes.axvline(CAPACITY["cpu"], color="grey", linestyle=":", label=f"the search's fleets, {CAPACITY['cpu']} rows")
    axes.set(xscale="log", yscale="log", xlabel="hidden units of the fleet", ylabel="ms per model-epoch")
    axes.legend()
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    """Measure, draw and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    points = measure(open_dataset("mnist").train, rounds)
    draw(points)
    results.write("curve", report(points, rounds))


if __name__ == "__main__":
    main()
