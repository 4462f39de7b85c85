"""Rounds of measurements that take long: each appends a line to a file, and what is there is not measured again."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import results

Contenders = Callable[[argparse.Namespace, int], Mapping[str, Callable[[], Mapping[str, Any]]]]
"""What runs in a round, by name, for the options and a seed."""


def key(line: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes a measurement: two with the same one are the same."""
    return line["name"], line["seed"], line["trials"], line["epochs"]


def measured(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a results file, none if there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def in_turn(names: Sequence[str], turn: int) -> list[str]:
    """Return the names in another order each round, so that none always comes first."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def measure(options: argparse.Namespace, path: Path, everybody: Contenders) -> list[dict[str, Any]]:
    """Run what is missing of the rounds, and append it; return all lines of a job of this size.

    Raises `SystemExit` if the file holds what another commit did.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _check(options, path)
    done = {key(line) for line in measured(path)}
    wanted = [name for name in options.only.split(",") if name != "ray_tune" or importlib.util.find_spec("ray")]
    for turn in range(options.rounds):
        seed = options.seed + turn
        runs = everybody(options, seed)
        for name in in_turn(wanted, turn):
            job = {"name": name, "seed": seed, "trials": options.trials, "epochs": options.epochs}
            if key(job) not in done:
                line = {**runs[name](), **job, "commit": results.commit(), "machine": machine()}
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print({k: v for k, v in line.items() if k in ("name", "seed", "seconds", "best")}, file=sys.stderr)
    return [line for line in measured(path) if (line["trials"], line["epochs"]) == (options.trials, options.epochs)]


def _check(options: argparse.Namespace, path: Path) -> None:
    others = {line["commit"] for line in measured(path)} - {results.commit()}
    if others and options.rounds:
        sys.exit(f"error: {path} holds runs of commit {', '.join(others)}; remove it or name another with --results")


def machine() -> str:
    """Return what is measured on and with."""
    ray = ["ray"] if importlib.util.find_spec("ray") else []
    return results.machine("optuna", "sqlalchemy", *ray)
