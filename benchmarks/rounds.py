"""Rounds of measurements that take long: each appends a line to a file, and what is there is not measured again."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.tenants import REPEATS, disturbed, least_disturbed, watched, with_slowness

Contenders = Callable[[argparse.Namespace, int], Mapping[str, Callable[[], Mapping[str, Any]]]]
"""What runs in a round, by name, for the options and a seed."""
Watch = Callable[[Callable[[], Mapping[str, Any]]], Mapping[str, Any]]
"""Runs one of them, and returns what it told and what others took of the machine meanwhile."""


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes a measurement: two with the same one are the same."""
    return line["name"], line["seed"], line["trials"], line["epochs"]


def measured(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a results file, none if there is no file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return with_slowness([json.loads(line) for line in text.splitlines()])


def in_turn(names: Sequence[str], turn: int) -> list[str]:
    """Return the names in another order each round, so that none always comes first."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def measure(
    options: argparse.Namespace, path: Path, everybody: Contenders, watch: Watch = watched
) -> list[dict[str, Any]]:
    """Run what is missing of the rounds, then what others disturbed, and append it; return the lines that count.

    They are those of jobs of this size, of each job the least disturbed (`benchmarks.tenants` has the rule). Raises
    `SystemExit` if the file holds what another commit did.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _check(options, path)
    wanted = [name for name in options.only.split(",") if name != "ray_tune" or importlib.util.find_spec("ray")]
    for repeat in range(1 + REPEATS):
        for turn in range(options.rounds):
            seed = options.seed + turn
            runs = everybody(options, seed)
            for name in in_turn(wanted, turn):
                job = {"name": name, "seed": seed, "trials": options.trials, "epochs": options.epochs}
                if _wanted([line for line in measured(path) if key(line) == key(job)], repeat):
                    _append(path, {**watch(runs[name]), **job, "commit": results.commit(), "machine": machine()})
    return counting(measured(path), options.trials, options.epochs)


def counting(lines: Sequence[dict[str, Any]], trials: int, epochs: int) -> list[dict[str, Any]]:
    """Return the lines of jobs of this size, and of the runs of one job and contender the least disturbed alone."""
    runs: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for k, line in enumerate(lines):
        if (line["trials"], line["epochs"]) == (trials, epochs):
            runs.setdefault(key(line) if "stolen" in line else (k,), []).append(line)
    return [dict(least_disturbed(each)) for each in runs.values()]


def _wanted(runs: Sequence[dict[str, Any]], repeat: int) -> bool:
    """Return whether a job is to be run: at first where it was not, and again where others disturbed all its runs."""
    return not runs or (len(runs) <= repeat and all(map(disturbed, runs)))


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    told = ("name", "seed", "seconds", "best", "stolen", "others")
    print({k: v for k, v in line.items() if k in told}, file=sys.stderr)


def _check(options: argparse.Namespace, path: Path) -> None:
    others = {line["commit"] for line in measured(path)} - {results.commit()}
    if others and options.rounds:
        sys.exit(f"error: {path} holds runs of commit {', '.join(others)}; remove it or name another with --results")


def machine() -> str:
    """Return what is measured on and with."""
    ray = ["ray"] if importlib.util.find_spec("ray") else []
    return results.machine("optuna", "sqlalchemy", *ray)
