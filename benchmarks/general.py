"""What does an epoch of a small network cost when any network may be trained: in our fleets, and in a plain script?

    python -m benchmarks.general               writes its section of benchmarks/RESULTS.md

Two trials at once: ours in two fleets with a thread each, the peer's (`benchmarks.peers.networks`) in two threads or in
two processes. Every round measures every contender once, in turn; quoted are medians over rounds. Beside the time that
passed stands what processors computed: where other programs run, it says more.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks import results
from benchmarks.fleets import one_in_each
from benchmarks.peers.job import outcome
from benchmarks.peers.networks import DROPOUT, IMAGES, KINDS, LR, data
from model.data.samples import Samples
from model.fleet.family import Family

CASES = {
    ("mlp", 128): 20,
    ("mlp", 1028): 20,
    ("cnn", 128): 3,
    ("wide cnn", 1028): 3,
}  # network and batch, and epochs that are measured
PEERS = {
    "plain script, two threads": ("threads", 0),
    "plain script, two processes": ("processes", 0),
    "plain script, two threads, channels last": ("threads", 1),
    "plain script, two processes, channels last": ("processes", 1),
}
Found = Mapping[str, float]
"""Milliseconds of a model-epoch: `passed`, and `computed`."""


def ours(kind: str, batch: int, epochs: int) -> Found:
    """Train two networks at once, once to warm up, and return what a model-epoch cost."""
    function, units = KINDS[kind]
    family, params = Family(function, 784, 10), {"units": units, "dropout": DROPOUT, "lr": LR}
    spent = one_in_each(family, params, Samples(*data()), batch, epochs)
    return {"passed": 1e3 * spent.passed, "computed": 1e3 * spent.computed}


def measured(kind: str, batch: int, epochs: int) -> dict[str, Found]:
    """Measure every contender once."""
    found = {"ours, two fleets": ours(kind, batch, epochs)}
    for name, (split, last) in PEERS.items():
        if "cnn" in kind or not last:
            options = {"kind": kind, "batch": batch, "epochs": epochs, "split": split, "channels_last": last}
            words = [word for option, value in options.items() for word in (f"--{option}", value)]
            found[name] = outcome("peers.networks", *words)
    return found


def report(rounds: Mapping[tuple[str, int], Sequence[Mapping[str, Found]]]) -> str:
    """Return the section: a row for each contender at each case."""
    rows = []
    for (kind, batch), found in rounds.items():
        for name in found[0]:
            columns = [[each[name][column] for each in found] for column in ("passed", "computed")]
            ratios = [each[name]["passed"] / each["ours, two fleets"]["passed"] for each in found]
            rows.append(
                [f"{kind}, {batch}: {name}", *(f"{median(each):.1f}" for each in columns), results.ratio(ratios)]
            )
    count = len(next(iter(rounds.values())))
    return "\n\n".join(
        [
            f"ms for a model-epoch of {IMAGES:,} images, two networks at once; medians of {count} rounds, the ratio's"
            " with its range.\n"
            "mlp: 784-32-32-10 with dropout; cnn: convolutions of 8 and 16 channels,"
            " dropout, a linear layer; wide cnn: of 16 and 32.",
            results.machine(),
            f"Load at the end: {os.getloadavg()[1]:.0f}. Where it is above two, other programs ran, and `computed` says"
            " more than `passed`.",
            results.table(["network, batch: who", "passed", "computed", "takes as long as ours"], rows),
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    found: dict[tuple[str, int], list[dict[str, Found]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for (kind, batch), epochs in CASES.items():
            found[kind, batch].append(measured(kind, batch, epochs))
    results.write("general", report(found))


if __name__ == "__main__":
    main()
