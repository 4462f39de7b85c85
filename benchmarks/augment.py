"""What augmentation costs a model-epoch: the article's network at 25 and 256 units, in two fleets with a thread each.

    python -m benchmarks.augment               writes its section of benchmarks/RESULTS.md

Every round measures each case once, in turn; quoted are medians of the time that processors computed, which other
programs on the machine change least, and the ratio to no augmentation in the same round.
"""

import argparse
from collections.abc import Mapping, Sequence
from statistics import median

from torch import nn

from benchmarks import results
from benchmarks.fleets import one_in_each
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.fleet.family import Family
from model.general.augment import Augment

BATCH, EPOCHS, WIDTHS = 1028, 2, (25, 256)
CASES = {
    "none": Augment(),
    "shift, rotation, scale": Augment(shift=1, rotation=7, scale=0.1),
    "noise": Augment(noise=0.1),
    "all four": Augment(shift=1, rotation=7, scale=0.1, noise=0.1),
}


def network(units: int) -> nn.Module:
    """Return the article's network."""
    return nn.Sequential(nn.Linear(784, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 10))


def computed(samples: Samples, units: int, augment: Augment) -> float:
    """Train two networks at once, once to warm up; return a processor's milliseconds for a model-epoch."""
    family, params = Family(network, 784, 10, augment=augment, shape=(28, 28)), {"units": units, "lr": 0.01}
    return 1e3 * one_in_each(family, params, samples, BATCH, EPOCHS).computed


def measured(samples: Samples) -> dict[tuple[int, str], float]:
    """Measure every case once."""
    return {(units, name): computed(samples, units, each) for units in WIDTHS for name, each in CASES.items()}


def report(rounds: Sequence[Mapping[tuple[int, str], float]], images: int) -> str:
    """Return the section: a row for each width and case."""
    rows = [
        [
            f"{units} units, {name}",
            f"{median(each[units, name] for each in rounds):.0f}",
            results.ratio([each[units, name] / each[units, "none"] for each in rounds]),
        ]
        for units, name in rounds[0]
    ]
    return "\n\n".join(
        [
            f"A processor's ms for a model-epoch of {images:,} images, batch {BATCH}, two networks at once; medians of"
            f" {len(rounds)} rounds, the ratio's with its range.\nTrials whose augmentation differs share no pixels, so"
            " each pays for its own.",
            results.machine(),
            results.table(["network and augmentation", "computed", "of none"], rows),
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    samples = open_dataset("mnist").train
    results.write("augment", report([measured(samples) for _ in range(rounds)], len(samples)))


if __name__ == "__main__":
    main()
