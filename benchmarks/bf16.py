"""What bfloat16 costs and gains: the first layer's products and a model-epoch in every way, and accuracy in pairs.

    python -m benchmarks.bf16       writes its section of benchmarks/RESULTS.md; machines with AMX have one of their own

The times are processor time of one thread, in rounds in which every way has its turn, so that what else runs on the
machine disturbs all alike. From them follows the rule in `model/network/way.py`.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import get_args

import torch

from benchmarks import results
from benchmarks.rounds import in_turn
from model.data.dataset import open_dataset
from model.data.samples import Parts, Samples
from model.fleet.fleet import ARTICLE_BATCH, Fleet
from model.network.arithmetic import Precision
from model.network.first_layer import products
from model.network.member import INPUTS
from model.network.scoring import evaluate
from model.network.way import WAYS, choose_way, has_units
from model.threads import using
from studies.sweet_spot import sweet_spot

CPU = torch.device("cpu")
WIDTHS = (25, 100, 256)
UNITS = 256  # of a fleet at most: its networks
POINTS = ((25, 0.02, 120), (100, 0.005, 30), (256, 0.002, 12))  # width, learning rate, seeds: the narrower, the noisier
BEFORE = "float32 lit"  # what all others are compared with
Jobs = Callable[[Samples, int], Mapping[str, Callable[[], object]]]
"""By way, on images and for a width."""
Times = Mapping[str, Sequence[float]]


def ways() -> list[str]:
    """Return the ways that this machine can take: without units for bfloat16 its products take 50 times as long."""
    return [name for name in WAYS if has_units(CPU) or not name.startswith("bfloat16")]


def timed(jobs: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Return the seconds of each job in each round, all in turn, in another order each round; the first is left out."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name in in_turn(list(jobs), turn):
            start = time.thread_time()
            jobs[name]()
            taken[name].append(time.thread_time() - start)
    return {name: each[1:] for name, each in taken.items()}


def first_layer(images: Samples, width: int) -> Mapping[str, Callable[[], object]]:
    """Return the first layer's products, both, of a minibatch that is fetched, in every way."""
    index = torch.arange(ARTICLE_BATCH)
    weights, gradient = torch.randn(INPUTS + 1, width), torch.randn(ARTICLE_BATCH, width)

    def job(way: str) -> Callable[[], object]:
        made = products(images, index, WAYS[way])
        return lambda: (made.of_weights(weights), made.of_gradient(gradient))

    return {way: job(way) for way in ways()}


def model_epochs(images: Samples, width: int) -> Mapping[str, Callable[[], object]]:
    """Return an epoch of a fleet of this width in every way."""
    return {way: fleet_of(images, width, 0.002, max(1, UNITS // width), way).train_epoch for way in ways()}


def fleet_of(images: Samples, width: int, lr: float, networks: int, way: str) -> Fleet:
    """Return a fleet of the article's networks, from seed 0 on."""
    precision: Precision = "float32" if way.startswith("float32") else "bfloat16"
    family, params = replace(sweet_spot().family, precision=precision), {"hidden_units": width, "lr": lr}
    fleet = Fleet(images, order_seed=0)
    for seed in range(networks):
        member = family.member(family.build(params, seed), params, seed, CPU)
        member.way = way
        fleet.attach(member)
    return fleet


def rows(jobs: Jobs, images: Samples, rounds: int, each: str) -> list[list[object]]:
    """Return a row for each width and way: the median in ms, and how many times as fast as before, with the range."""
    found: list[list[object]] = []
    for width in WIDTHS:
        taken = timed(jobs(images, width), rounds)
        units = max(1, UNITS // width) * width if each == "unit" else 1
        for way, seconds in taken.items():
            faster = [before / now for before, now in zip(taken[BEFORE], seconds, strict=True)]
            cells = [f"{1e3 * median(seconds) / units:.3f}", "" if way == BEFORE else results.ratio(faster)]
            found.append([f"{width} units, {way}", *cells])
    return found


def accuracies(data: Parts, point: tuple[int, float, int], epochs: int, precision: Precision) -> list[float]:
    """Return the validation accuracy of each seed."""
    fleet = fleet_of(data.train, *point, choose_way(precision, data.train, ARTICLE_BATCH))
    for _ in range(epochs):
        fleet.train_epoch()
    return [evaluate(member.network(), data.validation).accuracy for member in fleet.members]


def compared(data: Parts, epochs: int) -> list[list[object]]:
    """Return a row for each width and learning rate: both means, and the paired difference with its 95 % interval."""
    found: list[list[object]] = []
    for point in POINTS:
        width, lr, seeds = point
        plain, short = (accuracies(data, point, epochs, precision) for precision in get_args(Precision))
        means = (f"{100 * fmean(each):.2f} %" for each in (plain, short))
        found.append([f"{width} units, lr {lr}, {seeds} seeds", *means, results.difference(short, plain)])
    return found


def report(found: Sequence[list[list[object]]], asked: argparse.Namespace) -> str:
    """Return the section, of the rows of its three tables."""
    units = "with" if has_units(CPU) else "without"
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    made, fleets, pairs = found
    return "\n\n".join(
        [
            f"{results.machine()} A CPU {units} units for bfloat16. One thread's processor time, medians, in brackets"
            f" the range over the rounds; load {load} at the end, of other programs too.",
            "`lit` leaves out what is dark, `all` does not; `rounded` is bfloat16 by products of float32, for machines"
            " without units.",
            f"The first layer's two products of a minibatch of {ARTICLE_BATCH}, n = {asked.rounds}:",
            results.table(["", "ms", f"as fast as {BEFORE}"], made),
            f"A whole model-epoch of 50,000 images, {UNITS} units side by side at most, n = {asked.fleets}:",
            results.table(["", "ms a unit", f"as fast as {BEFORE}"], fleets),
            f"Validation accuracy after {asked.epochs} epochs, the same seeds both ways, paired t intervals. "
            "At 25 units a first look at 40 of the seeds left -0.06 to +0.14 open:",
            results.table(["", "float32", "bfloat16", "difference, points (95 % interval)"], pairs),
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="of products")
    parser.add_argument("--fleets", type=int, default=7, help="rounds of model-epochs")
    parser.add_argument("--epochs", type=int, default=10, help="for accuracy")
    asked = parser.parse_args()
    data = open_dataset("mnist")
    with using(1):
        found = (
            rows(first_layer, data.train, asked.rounds, "product"),
            rows(model_epochs, data.train, asked.fleets, "unit"),
        )
    results.write(results.of_this_machine("bf16"), report([*found, compared(data, asked.epochs)], asked))


if __name__ == "__main__":
    main()
