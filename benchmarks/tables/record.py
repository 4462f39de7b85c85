"""Train every setting of a problem's grid, by fleets of our own, and keep how many rows were wrong after each epoch.

python -m benchmarks.tables.record                  what is not there yet; a minute or some for each
python -m benchmarks.tables.record digits-cnn       one anew
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.tables.problems import PROBLEMS, Problem
from benchmarks.tables.table import Table, grid
from model.data.samples import Samples
from model.fleet.family import Family
from model.fleet.fleets import Fleets
from model.network.member import BaseMember
from model.seeds import derive
from search.training.engine import CAPACITY


def family_of(problem: Problem, train: Samples) -> Family:
    """Return how a problem's networks are trained."""
    return Family(problem.network, train.values.shape[1], problem.classes, problem.optimizer)


def settings(problem: Problem) -> list[Mapping[str, Any]]:
    """Return the settings of the grid, the last parameter's values first to change."""
    return [dict(zip(problem.axes, values, strict=True)) for values in product(*grid(problem.axes))]


@torch.no_grad()
def wrong(member: BaseMember, inputs: torch.Tensor, targets: torch.Tensor) -> int:
    """Return how many rows a network names wrongly."""
    return int((member.network().eval()(inputs).argmax(1) != targets).sum())


def trained(
    problem: Problem, settings: Sequence[Mapping[str, Any]], train: Samples, score: Samples
) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield setting, seed and epoch, from 0, with how many rows were wrong."""
    family, training = family_of(problem, train), dict[BaseMember, tuple[int, int]]()
    inputs = score.inputs
    waiting = list(product(range(len(settings)), range(problem.seeds)))[::-1]
    with Fleets(train, derive(0, problem.name), problem.batch) as fleets:
        while waiting or training:
            while waiting and (fleet := fleets.least_loaded(CAPACITY["cpu"])) is not None:
                place, seed = waiting.pop()
                params, init = settings[place], derive(seed, problem.name, place)
                member = family.member(family.build(params, init), params, init, train.device)
                fleet.attach(member)
                training[member] = place, seed
            fleet, _ = fleets.train_next()
            for member in tuple(fleet.members):
                yield (*training[member], member.epochs_trained - 1), wrong(member, inputs, score.targets)
                if member.epochs_trained == problem.epochs:
                    fleet.detach(member)
                    del training[member]


def record(problem: Problem, path: Path) -> NDArray[np.uint16]:
    """Train a problem's grid and write its table."""
    (train, score), every = problem.parts(), settings(problem)
    found = np.zeros((len(every), problem.seeds, problem.epochs), np.uint16)
    for place, count in trained(problem, every, train, score):
        found[place] = count
    np.savez_compressed(path, wrong=found, rows=np.array(len(score)))
    return found


def main() -> None:
    """Record the tables named, or those that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*PROBLEMS, []], help="problems; by default those not recorded yet")
    asked = parser.parse_args().names
    for name, problem in PROBLEMS.items():
        path = Table.path(name)
        if name in asked or not (asked or path.exists()):
            found = record(problem, path)
            print(f"{name}: {found.shape} curves, least wrong {found.min()}, {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
