"""Do two fleets with a thread each get more done than one fleet with both threads?

    python -m benchmarks.abreast

The same networks, 50,000 images, batch 1028: in one fleet with all threads, and in the fleets that a search trains, as
many networks in each as it comes, the emptiest first. Every round measures both. Compared is the time for a unit and
epoch, since fleets of unequal size do not train as many epochs.
"""

import argparse
import time
from collections.abc import Sequence
from statistics import median

from benchmarks import results
from benchmarks.fleets import fleet_of
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.fleet.fleets import Fleets
from studies.sweet_spot import article_network

EPOCHS = 4
CASES = ([25] * 16, [100] * 4, [249] * 2, [232, 116, 104, 32, 32], [249, 144, 144])


def together(images: Samples, widths: Sequence[int]) -> float:
    """Return the seconds for a unit and epoch in one fleet."""
    fleet = fleet_of(images, widths)
    fleet.train_epoch()
    start = time.perf_counter()
    for _ in range(EPOCHS):
        fleet.train_epoch()
    return (time.perf_counter() - start) / EPOCHS / fleet.units


def abreast(images: Samples, widths: Sequence[int]) -> float:
    """Return the seconds for a unit and epoch in fleets that each have a share of the threads."""
    with Fleets(images, 0) as fleets:
        for seed, width in enumerate(widths):
            fleet = min(fleets, key=lambda fleet: fleet.units)
            fleet.add(article_network(width, seed), 0.01)
        for _ in range(len(fleets)):  # the first epochs pay for page faults
            fleets.train_next()
        done, start = 0, time.perf_counter()
        for _ in range(EPOCHS * len(fleets)):
            fleet, _ = fleets.train_next()
            done += fleet.units
        return (time.perf_counter() - start) / done


def report(found: Sequence[Sequence[tuple[float, float]]]) -> str:
    """Return the section: a row for each case, from its pairs of seconds, a pair each round."""
    rows = []
    for widths, pairs in zip(CASES, found, strict=True):
        one, several = (f"{1e3 * median(column):.2f}" for column in zip(*pairs, strict=True))
        gain = results.ratio([first / second for first, second in pairs])
        rows.append([", ".join(map(str, widths)), one, several, gain])
    return "\n\n".join(
        [
            f"ms for a unit and epoch of 50,000 images; medians of {len(found[0])} rounds, the gain's with its range.",
            results.machine(),
            results.table(["networks of so many units", "one fleet", "two fleets", "gain"], rows),
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    images = open_dataset("mnist").train
    found = [[(together(images, case), abreast(images, case)) for case in CASES] for _ in range(rounds)]
    results.write("abreast", report(list(zip(*found, strict=True))))


if __name__ == "__main__":
    main()
