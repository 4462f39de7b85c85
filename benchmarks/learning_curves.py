"""Learning curves of MNIST, measured once, and what a trial of any width and learning rate would show by them.

Rules of a search differ by less than two searches do, so they are compared over hundreds of simulated searches whose
trials follow these curves: a smooth mean through all that was measured, and the scatter of a measured trial around it.
"""

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from benchmarks.faults import PROCESSES
from model.data import load
from model.fleet import Fleet
from model.mlp import MLPConfig, initialised
from model.training import evaluate

EPOCHS = (3, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
BROAD = (  # trials, widths, learning rates, epochs: many short ones everywhere, long ones where searches go
    (16, (30, 256), (8e-4, 1.2e-2), 100),
    (50, (4, 256), (1e-4, 1e-1), 10),
    (40, (40, 256), (5e-4, 1.5e-2), 10),
    (8, (8, 256), (3e-4, 3e-2), 30),
)
WIDE = ((9, (140, 256), (2e-3, 1.2e-2), 100),)  # where they end up, and all that tells winners apart is
DESIGNS = (BROAD, BROAD, WIDE, WIDE)  # a part each, trained by a process with one thread
ROOM = 256
SMOOTHING = 0.3  # of 0.1 to 30, what predicts a trial left out best
LIKE = 12  # full trials that count as like another: wide ones with a high learning rate scatter more
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A trial: validation accuracy by epoch, as far as it went."""

    width: int
    lr: float
    accuracy: Mapping[int, float]


def curves(path: Path) -> list[Curve]:
    """Return the measured curves, measuring them if there is no such file; that takes half an hour."""
    if not path.exists():
        with ProcessPoolExecutor(2, PROCESSES) as pool:
            found = [curve for part in pool.map(measure, range(1, len(DESIGNS) + 1)) for curve in part]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(asdict(curve))}\n" for curve in found), encoding="utf-8")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Curve(x["width"], x["lr"], {int(epoch): y for epoch, y in x["accuracy"].items()}) for x in lines]


def of_jobs(lines: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """Return the full trials of `benchmarks.whole_job`, from its lines; each setting once."""
    shown = {(width, lr): accuracy for line in lines for width, lr, accuracy in line.get("curves", ())}
    found = [Curve(*setting, {int(epoch): y for epoch, y in each.items()}) for setting, each in shown.items()]
    return [curve for curve in found if curve.accuracy.keys() >= set(EPOCHS)]


def measure(part: int) -> list[Curve]:
    """Train a part's trials, each from a seed of its own."""
    torch.set_num_threads(1)
    data, jobs = load(), design(part)
    fleet, lanes, found = Fleet(data.train, part), [], []
    for k in range(len(jobs) + 1):
        while lanes and (fleet.units >= ROOM or k == len(jobs)):
            fleet.train_epoch()
            for lane, epochs, accuracy in list(lanes):
                if lane.age in EPOCHS:
                    accuracy[lane.age] = evaluate(lane.network(), data.validation).accuracy
                if lane.age == epochs or not math.isfinite(lane.loss):
                    fleet.leave(lane)
                    lanes.remove((lane, epochs, accuracy))
                    found.append(Curve(lane.config.hidden_units, lane.lr, accuracy))
        if k < len(jobs):
            width, lr, epochs = jobs[k]
            lanes.append((fleet.join(initialised(MLPConfig(width), part * 1000 + k), lr), epochs, {}))
    return found


def design(part: int) -> list[tuple[int, float, int]]:
    """Return width, learning rate and epochs of a part's trials, in the order in which they train."""
    chance = random.Random(100 + part)

    def between(low: float, high: float) -> float:
        return math.exp(chance.uniform(math.log(low), math.log(high)))

    jobs = [
        (round(between(*widths)), between(*lrs), epochs)
        for n, widths, lrs, epochs in DESIGNS[part - 1]
        for _ in range(n)
    ]
    chance.shuffle(jobs)
    return jobs[::-1]


class Surrogate:
    """What a trial of any width and learning rate shows at `EPOCHS`: the logarithm of its error, mean and scatter.

    The mean is a smoothed thin plate through the measured trials, the scatter theirs around one through all others.
    Those of up to 10 epochs cover the space; where no longer ones were measured, it is as much worse as it is at 10
    epochs.
    """

    def __init__(self, measured: Sequence[Curve]) -> None:
        known = [[c for c in measured if c.accuracy.get(epoch, 0.0) > 0.3] for epoch in EPOCHS]  # not the diverged
        self._means: list[RBFInterpolator] = []
        residuals: list[dict[int, float]] = []
        for epoch, those in zip(EPOCHS, known, strict=True):
            x = np.array([_place(c.width, c.lr) for c in those])
            y = np.array([math.log(1 - c.accuracy[epoch]) for c in those])
            self._means.append(_mean(x, y))
            others = ~np.eye(len(y), dtype=bool)  # a mean that knows a trial is too close to it
            left_out = [y[k] - _mean(x[others[k]], y[others[k]])(x[k : k + 1])[0] for k in range(len(y))]
            residuals.append({id(c): r for c, r in zip(those, left_out, strict=True)})
        full = [c for c in measured if all(id(c) in residual for residual in residuals)]
        self._places = np.array([_place(c.width, c.lr) for c in full])
        self._scatter = np.array([[residual[id(c)] for residual in residuals] for c in full])

    def _log_errors(self, width: int, lr: float) -> Vector:
        here = np.array([_place(width, lr)])
        near = np.array([_place(max(width, 25), min(max(lr, 8e-4), 1e-2))])  # where long trials were measured
        early = [mean(here)[0] for mean in self._means[:2]]
        worse = early[1] - self._means[1](near)[0]
        return np.array([*early, *(worse + mean(near)[0] for mean in self._means[2:])])

    def expected(self, width: int, lr: float) -> float:
        """Return the accuracy of a full trial in the mean."""
        return float(1 - np.exp(self._log_errors(width, lr)[-1]))

    def draw(self, width: int, lr: float, chance: np.random.Generator) -> dict[int, float]:
        """Return a trial's accuracy by epoch, of 10,000 images: the mean, and the scatter of a full trial like it."""
        distance = np.square(self._places - _place(width, lr)).sum(1)
        scatter = self._scatter[chance.choice(np.argsort(distance)[:LIKE])]
        errors = np.exp(self._log_errors(width, lr) + scatter)
        return dict(zip(EPOCHS, np.round(1 - errors, 4).tolist(), strict=True))


def _mean(x: Vector, y: Vector) -> RBFInterpolator:
    return RBFInterpolator(x, y, kernel="thin_plate_spline", smoothing=SMOOTHING)


def _place(width: int, lr: float) -> tuple[float, float]:
    return 2 * math.log(width / 32) / math.log(8), (math.log10(lr) + 2.5) / 0.75
