"""The job that ours and the peers are given, and what each prints when it has done it."""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler

from model import ENVIRONMENT
from studies.spec import report_epochs

FIRST_RUNG, FACTOR = 3, 3  # of the peers' successive halving
Outcome = Mapping[str, Any]
"""What a program told of its job."""


@dataclass(frozen=True)
class Ran:
    """A trial that ended."""

    width: int
    lr: float
    epochs: int
    accuracy: float  # on validation, when it ended
    state: str  # complete, pruned or failed
    by_epoch: Mapping[int, float] = field(default_factory=dict)  # accuracy at each report, where it is known


def asked(about: str, arguments: list[str] | None = None, **defaults: Any) -> argparse.Namespace:
    """Parse the options that every program of the comparison has; `defaults` add to them, all are numbers or text."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in {"trials": 50, "epochs": 100, "seed": 0, **defaults}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"[{default}]")
    return parser.parse_args(arguments)


def ran(trials: Iterable[optuna.trial.FrozenTrial]) -> list[Ran]:
    """Return what became of an Optuna study's finished trials."""
    return [
        Ran(
            t.params["hidden_units"],
            t.params["lr"],
            t.last_step or 0,
            t.value or 0.0,
            t.state.name.lower(),
            t.intermediate_values,
        )
        for t in trials
        if t.state.is_finished()
    ]


def optunas_sampler(seed: int) -> TPESampler:
    """Return what a peer samples with: Optuna's own TPE, told to keep away from trials that still train."""
    return TPESampler(seed=seed, constant_liar=True)


def optunas_pruner() -> SuccessiveHalvingPruner:
    """Return what a peer prunes with: Optuna's own asynchronous successive halving, at 3, 9, 27 and 81 epochs."""
    return SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=FACTOR, min_early_stopping_rate=0)


def reports(epochs: int) -> set[int]:
    """Return the epochs at which a peer's trial reports: as everywhere, and at its own pruner's rungs, so that it is
    stopped there and not later."""
    return {*report_epochs(epochs), *own_rungs(epochs)}


def own_rungs(epochs: int) -> list[int]:
    """Return the epochs at which a peer's pruner decides."""
    return [*takewhile(lambda rung: rung < epochs, (FIRST_RUNG * FACTOR**k for k in count()))]


def tell(name: str, options: argparse.Namespace, seconds: float, trials: list[Ran], **more: Any) -> None:
    """Print how a job went, as the last line of the output: one line of JSON."""
    states = Counter(trial.state for trial in trials)
    complete = [trial for trial in trials if trial.state == "complete"]
    winner = max(complete, key=lambda trial: trial.accuracy, default=None)
    result = {
        "name": name,
        **vars(options),
        "seconds": seconds,
        "complete": states["complete"],
        "pruned": states["pruned"],
        "failed": states["failed"],
        "best": winner and winner.accuracy,
        "winner": winner and [winner.width, winner.lr],
        "runs": [(trial.width, trial.epochs) for trial in trials],
        "curves": [(trial.width, trial.lr, trial.by_epoch) for trial in trials if trial.by_epoch],
        **more,
    }
    print(json.dumps(result), flush=True)


def outcome(module: str, *options: object) -> dict[str, Any]:
    """Run a program of the comparison in a process of its own; return what it told in its last line.

    How threads wait is for each program to say: `model` sets it for ours, peers have the libraries' defaults.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))
