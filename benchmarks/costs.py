"""Is what a network costs estimated well? The order in which fleets are served follows from it, so that none waits.

    python -m benchmarks.costs               writes its section of benchmarks/RESULTS.md

Networks of many kinds train two at once, a fleet and a thread each; the estimate is `cost` in units of the article's
first layer, the measure microseconds of a thread for a sample. What counts is how the quotient of the two varies.
"""

import argparse
from collections.abc import Iterator, Mapping
from statistics import median

from benchmarks import results
from benchmarks.fleets import one_in_each
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.fleet.family import Family, Trainer
from model.fleet.fleets import AT_ONCE, SHARED
from studies.built_in.cnn import network

IMAGES, EPOCHS = 8000, 2
BATCHES = (1028, 128)


def cases() -> Iterator[tuple[dict[str, float], Trainer]]:
    """Yield parameters of networks, and how each is trained."""
    for convolutions in (1, 2, 3):
        for channels in (4, 8, 16):
            for kernel in (3, 5):
                shape = {"convolutions": convolutions, "channels": channels, "kernel": kernel}
                yield {**shape, "dropout": 0.2}, "general"
    for units in (8, 25, 100, 256, 1024):
        yield {"convolutions": 0, "units": units}, "general"
        yield {"convolutions": 0, "units": units}, "fleet"


def measured(samples: Samples, batch: int, params: Mapping[str, float], trainer: Trainer) -> tuple[int, int, float]:
    """Return units, estimated cost of an epoch in a fleet of its own, and microseconds of a thread for a sample."""
    spent = one_in_each(Family(network, 784, 10), {**params, "lr": 0.001}, samples, batch, EPOCHS, trainer=trainer)
    threads = AT_ONCE  # each trains one of them
    return spent.member.units, SHARED + spent.member.cost, 1e6 * threads * spent.passed / len(samples)


def main() -> None:
    """Measure and write the section."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    samples = open_dataset("mnist").train.first(IMAGES)
    found = [
        (batch, params, trainer, *measured(samples, batch, params, trainer))
        for batch in BATCHES
        for params, trainer in cases()
    ]
    per_cost = median(us / cost for *_, cost, us in found)
    rows = [
        [
            ", ".join(f"{name} {value}" for name, value in params.items() if value and name != "dropout"),
            trainer,
            batch,
            units,
            cost,
            f"{us:.1f}",
            f"{us / cost / per_cost:.2f}",
        ]
        for batch, params, trainer, units, cost, us in found
    ]
    of_units = [us / (SHARED + units) for *_, units, _, us in found]
    of_cost = [us / cost for *_, cost, us in found]
    head = (
        "network",
        "trained as",
        "batch",
        "units",
        "cost",
        "us for a sample",
        "for a unit of cost, to the median",
    )
    told = [
        results.machine(),
        f"The dearest takes {max(of_cost) / min(of_cost):.1f} times as long for a unit of cost as the cheapest; by"
        f" arithmetic alone it would be {max(of_units) / min(of_units):.1f} times.",
        results.table(head, rows),
    ]
    results.write("costs", "\n\n".join(told))


if __name__ == "__main__":
    main()
