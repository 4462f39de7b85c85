"""How many workers does one PostgreSQL bear? Workers by the hundred whose training is a sleep.

    python -m benchmarks.scale                          all of it, twenty minutes; goes on where it stopped
    python -m benchmarks.scale --only 'ours 8,ours 64'  some of it

The workers are processes, the store, the sampler, the pruner and PostgreSQL are real; only the training between two
reports is a sleep. A setting is a way to the database, a number of workers, and a number of trials stored before.
"""

import argparse
import itertools
import json
import multiprocessing.connection
import random
import socket
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import psutil

from benchmarks import results
from benchmarks.crowd import Job, Watch, proxy_at, start_workers
from benchmarks.faults import Postgres, audit, execute_outside, store_at
from benchmarks.fill import fill
from benchmarks.peers.job import asked
from benchmarks.rounds import measured
from benchmarks.scale_table import report
from search.store.study import StudyStore
from studies.sweet_spot import STUDY

WAYS = {"ours": (False, False), "optuna": (True, False), "optuna-proxy": (True, True), "ours-proxy": (False, True)}
SETTINGS = (
    "ours 1,ours 8,ours 64,ours 1 5000,ours 8 5000,optuna 64,optuna-proxy 64,ours-proxy 64,"
    "ours 128,optuna-proxy 128,ours-proxy 128"  # 256 of ours need more than 24 GiB
)
CONNECTIONS = 400  # what PostgreSQL is told to allow; its default, 100, is too few for 128 workers
STARTING = 200.0  # seconds until all workers must be ready


@dataclass(frozen=True)
class Setting:
    """What is measured at once."""

    way: str
    workers: int
    stored: int = 0  # finished trials that the study has before

    @classmethod
    def read(cls, text: str) -> "Setting":
        """Read `WAY WORKERS [STORED]`."""
        way, *numbers = text.split()
        return cls(way, *map(int, numbers))

    def __str__(self) -> str:
        return f"{self.way} {self.workers}" + (f" {self.stored}" if self.stored else "")


def measure(server: Postgres, setting: Setting, trials: int, pause: float, limit: float) -> dict[str, Any]:
    """Let the workers do so many trials of a study of their own, or as many as the limit allows; return what that took.

    Raises `RuntimeError` if the study does not have exactly as many trials as it was to have.
    """
    url = server.fresh()
    store = prepare(url, setting.stored, trials)
    plain, proxied = WAYS[setting.way]
    job = Job(url, trials, setting.workers, pause, plain, _free_port() if proxied else None)
    with tempfile.TemporaryDirectory() as told, proxy_at(url, job.proxy) as proxy:
        watch = Watch(url, postmaster(server), proxy)
        starting = run(job, watch, Path(told), store, limit)
        lines = [json.loads(path.read_text(encoding="utf-8")) for path in Path(told).iterdir()]
    if plain:  # no budget is kept: only that no trial is left open is checked
        store.set_budget(store.counts().finished)
    wrong = audit(store.study.get_trials(deepcopy=False), store.budget())
    if len(lines) != setting.workers or any(wrong.values()):
        raise RuntimeError(f"{setting}: {len(lines)} of {setting.workers} workers ended well, and {wrong}")
    done = store.counts().finished - setting.stored
    return {**summary(lines, watch), "done": done, "starting": starting, "pause": pause}


def prepare(url: str, stored: int, trials: int) -> StudyStore:
    """Make a study with so many finished trials that is to have as many more."""
    store = store_at(url, STUDY.epochs)
    store.set_budget(stored + trials)
    if stored:
        fill(store, stored, random.Random(0))
    return store


def run(job: Job, watch: Watch, told: Path, store: StudyStore, limit: float) -> float:
    """Let the workers start, then open the gate and watch; return how long starting took."""
    start = time.perf_counter()
    workers, gate, left = start_workers(job, told)
    gate.wait(STARTING)
    starting = time.perf_counter() - start
    with watch.watching():
        gate.wait(STARTING)
        wait(workers, limit)
        shorten(store, job, left)
        for worker in workers:
            worker.join()
    return starting


def wait(workers: Sequence[BaseProcess], seconds: float) -> None:
    """Wait until the first worker has ended, or so long."""
    multiprocessing.connection.wait([worker.sentinel for worker in workers], timeout=seconds)


def shorten(store: StudyStore, job: Job, left: Any) -> None:
    """Let the workers begin no more than one trial each, which is a budget like any other: it must come out exact."""

    def lower(attrs: dict[str, Any], finished: int) -> dict[str, int]:
        return {"budget": min(attrs["budget"], finished + job.workers)}  # as many as may be running by now

    if job.plain:
        with left.get_lock():
            left.value = min(left.value, 0)
    else:
        store.storage.amend(store.study._study_id, lower)


def summary(lines: list[dict[str, Any]], watch: Watch) -> dict[str, Any]:
    """Boil down what the workers wrote; rates are of the time in which none had run out of trials."""
    begin, end = max(line["begin"] for line in lines), min(line["left"] for line in lines)
    calls = calls_of(lines)
    within = {name: sum(begin <= at <= end for at, _ in each) for name, each in calls.items()}
    return {
        "seconds": end - begin,
        "trials_per_second": within.get("end", 0) / (end - begin),
        "calls_per_second": sum(within.values()) / (end - begin),
        "latency": {name: quantiles([s for at, s in each if at <= end]) for name, each in calls.items()},
        "cpu": {
            "workers": sum(line["cpu"] for line in lines),
            "postgres": watch.seconds(proxy=False),
            "proxy": watch.seconds(proxy=True),
        },
        "statements": sum(line.get("statements", 0) for line in lines),
        "commits": sum(line.get("commits", 0) for line in lines),
        "sessions": dict(watch.sessions),
        "looks": watch.looks,
        "connections": watch.connections,
        "wall": watch.wall,
        "idle": watch.idle,
        "cores": psutil.cpu_count(),
    }


def calls_of(lines: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Return by name the end and the seconds of every call; `end` is the end of a trial, in either way."""
    calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, each in itertools.chain.from_iterable(line["calls"].items() for line in lines):
        calls["end" if name in ("complete", "prune") else name] += map(tuple, each)
    return calls


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return the number of calls, their median and their 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"n": 0}
    last = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"n": len(ordered), "median": 1e3 * median(ordered), "p95": 1e3 * last}


def postmaster(server: Postgres) -> int:
    """Return the process id of the server."""
    return int((Path(server.server.pgdata) / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def missing(options: argparse.Namespace, path: Path) -> Iterator[Setting]:
    """Yield the settings that are asked for and that the file of results does not have."""
    done = {line["name"] for line in measured(path)}
    yield from (setting for text in options.only.split(",") if str(setting := Setting.read(text)) not in done)


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing and write the section."""
    about = __doc__.splitlines()[0]
    options = asked(about, arguments, only=SETTINGS, trials=1000, limit=40.0, pause=1.0, results="build/scale.jsonl")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = Path(options.results)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, Postgres.running(Path(directory)) as server:
        execute_outside(server.url(), f"ALTER SYSTEM SET max_connections = {CONNECTIONS}")
        server.stop()
        server.start()
        for setting in missing(options, path):
            trials = max(setting.workers, options.trials)
            try:
                line = {"name": str(setting), **measure(server, setting, trials, options.pause, options.limit)}
            except threading.BrokenBarrierError:
                print(f"{setting}: not all workers were ready in {STARTING:.0f} s; left out", file=sys.stderr)
                continue
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**line, "machine": results.machine("optuna", "sqlalchemy", "psycopg")}) + "\n")
            print(line, file=sys.stderr)
    results.write("scale", report(measured(path)))


if __name__ == "__main__":
    main()
