"""The job that ours and the peers are given, and what each prints when it has done it."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
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
    ended: float | None = None  # when, in seconds since 1970


@dataclass(frozen=True)
class Begun:
    """When a job began."""

    at: float = field(default_factory=time.time)  # seconds since 1970
    cpu: float = field(default_factory=lambda: cpu_seconds())  # noqa: PLW0108  # defined below; of this process and all it started


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of all that it, or they, started, as far as /proc tells."""
    parent, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            name, _, rest = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
            pid, fields = int(name.split()[0]), rest.split()
            parent[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))  # its own, and of those that ended
    ours = {os.getpid()}
    while more := {pid for pid, of in parent.items() if of in ours and pid not in ours}:
        ours |= more
    return sum(spent.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK") or time.process_time()


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
            t.datetime_complete.timestamp() if t.datetime_complete else None,
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


def results_in(trials: Iterable[Ran], begun: Begun) -> list[tuple[float, float]]:
    """Return when trials were complete, in seconds since the job began, and with which accuracy, the first first."""
    return sorted((t.ended - begun.at, t.accuracy) for t in trials if t.state == "complete" and t.ended is not None)


def tell(
    name: str, options: argparse.Namespace, seconds: float, trials: list[Ran], begun: Begun | None = None, **more: Any
) -> None:
    """Print how a job went, as the last line of the output: one line of JSON."""
    if begun is not None:
        more = {"cpu_seconds": cpu_seconds() - begun.cpu, "results": results_in(trials, begun), **more}
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
