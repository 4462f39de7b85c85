"""How long does a GPU wait for sampler and SQL in a whole search? Training is a stand-in that takes an H100's time.

    python -m benchmarks.gpu_waits --rounds 5

The engine, the sampler, the pruner, Optuna and the databases are real; epochs only let time pass, and learning curves
are made up (`benchmarks/stand_in.py`). Scores and the recording of CUDA graphs take no time here. Each search is a
process of its own, which has loaded what `search.run` loads before its data. On a machine that others use as well, the
time that the process (and on PostgreSQL its session) stood in line for a core is counted by the kernel; without it is
about what an idle machine would take.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import optuna

from benchmarks import results
from benchmarks.clocked import Clocked
from benchmarks.faults import Postgres, execute
from benchmarks.stand_in import MadeUpFamily, Timed, engine_on_a_card
from search.store.storage import open_storage
from search.store.study import open_study
from search.training.engine import CAPACITY
from studies.sweet_spot import sweet_spot

TRIALS = 50
Line = Mapping[str, Any]


def queued(pid: int | str) -> float:
    """Return the seconds that a process's main thread has stood in line for a core; 0 where the kernel does not say."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return 0.0


def search(url: str, seed: int) -> Line:
    """Run a search; return how long it took, and for what."""
    start, cpu, waited = time.perf_counter(), time.process_time(), queued("self")
    stated = sweet_spot()
    spec = replace(stated, family=MadeUpFamily(stated.family.network, stated.family.inputs, stated.family.classes))
    store = Clocked(open_study(open_storage(url, create=True), spec, seed))
    store.set_budget(TRIALS)
    listener = Timed()
    engine_on_a_card(store, CAPACITY["cuda"], listener).search(lambda: False)
    seconds, cpu, waited = time.perf_counter() - start, time.process_time() - cpu, queued("self") - waited
    trials = store.study.trials
    return {
        "seconds": seconds,
        "cpu": cpu,
        "queued": waited + sum(queued(pid) for pid in sessions(url)),
        "card": listener.busy,
        "best": max(trial.value for trial in trials if trial.state.name == "COMPLETE"),
        "trials": [
            (trial.params["hidden_units"], trial.params["lr"], trial.last_step, trial.value) for trial in trials
        ],
        "sql": store.summary(),
    }


def sessions(url: str) -> list[int]:
    """Return the processes of a server that belong to this database's sessions, but for the one that asks."""
    if not url.startswith("postgresql"):
        return []
    asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in execute(url, asked)]


def report(found: Mapping[str, Sequence[Line]]) -> str:
    """Return the section."""

    def middle(lines: Sequence[Line], key: str) -> str:
        return f"{median(line[key] for line in lines):.1f}"

    rows = [
        [
            name,
            len(lines),
            middle(lines, "seconds"),
            f"{median(line['seconds'] - line['queued'] for line in lines):.1f}",
            middle(lines, "card"),
            middle(lines, "cpu"),
        ]
        for name, lines in found.items()
    ]
    head = (
        "database",
        "n",
        "wall time, s",
        "the same, not standing in line",
        "card at work, s",
        "CPU of the process, s",
    )
    calls = dict.fromkeys(call for lines in found.values() for call in lines[0]["sql"])
    costs = [[call, *(_cost(lines, call) for lines in found.values())] for call in calls]
    return "\n\n".join(
        [
            f"A search of {TRIALS} trials of 100 epochs before a stand-in for an H100, {CAPACITY['cuda']} units at a"
            " time; medians over seeds. Training is made up, all else is real.",
            results.machine("optuna", "sqlalchemy", "psycopg"),
            results.table(head, rows),
            results.table(["call of the store's", *(f"{name}: calls, ms each" for name in found)], costs),
        ]
    )


def _cost(lines: Sequence[Line], call: str) -> str:
    costs = [line["sql"][call] for line in lines if call in line["sql"]]
    return f"{median(n for n, _ in costs):.0f}, {median(1e3 * s / n for n, s in costs):.1f}" if costs else "none"


def rounds(count: int, only: Sequence[str]) -> dict[str, list[Line]]:
    """Run searches on both databases in turn, each in a process of its own."""
    found: dict[str, list[Line]] = {name: [] for name in only}
    with tempfile.TemporaryDirectory() as directory, Postgres.running(Path(directory)) as server:
        for seed in range(count):
            for name, lines in found.items():
                url = server.fresh() if name == "PostgreSQL" else f"sqlite:///{directory}/{seed}.db"
                command = [sys.executable, "-m", "benchmarks.gpu_waits", "--url", url, "--seed", str(seed)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                lines.append(json.loads(done.stdout.splitlines()[-1]))
                shown = {key: value for key, value in lines[-1].items() if key not in ("trials", "sql")}
                print(name, seed, shown, file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure on both databases, in turn, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="SQLite,PostgreSQL")
    parser.add_argument("--lines", type=Path, help="also write each search as a line of JSON")
    parser.add_argument("--url", help="run one search, and print its line")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.url:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        print(json.dumps(search(asked.url, asked.seed)))
        return
    found = rounds(asked.rounds, asked.only.split(","))
    if asked.lines:
        lines = [json.dumps({"name": name, **line}) for name, each in found.items() for line in each]
        asked.lines.write_text("\n".join(lines) + "\n", encoding="utf-8")
    results.write("gpu-waits", report(found))


if __name__ == "__main__":
    main()
