"""What share of a search's wall time goes to SQL and sampler, on SQLite and on PostgreSQL?

    python -m benchmarks.sql_share --trials 50 --epochs 100

Real MNIST, the real engine; the time is taken around every call of the ledger's, so it holds the sampler, the pruner,
Optuna and the database. A shorter job has a larger share: a trial is claimed and told once, however long it trains.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.faults import Postgres
from benchmarks.peers.job import Outcome, asked, outcome
from benchmarks.rounds import measure


def share(ours: Outcome) -> float:
    """Return the share of wall time that was spent in the store."""
    return sum(seconds for _, seconds in ours["sql"].values()) / ours["seconds"]


def report(found: Mapping[str, Sequence[Outcome]]) -> str:
    """Return the section: a row for each database, then what each call costs."""
    first = next(iter(found.values()))[0]
    rows = [
        [name, len(runs), _median(r["seconds"] for r in runs), f"{100 * median(map(share, runs)):.1f} %"]
        for name, runs in found.items()
    ]
    methods = dict.fromkeys(method for runs in found.values() for method in runs[0]["sql"])
    calls = [[method, *(_cost(runs, method) for runs in found.values())] for method in methods]
    return "\n\n".join(
        [
            f"{first['trials']} trials of {first['epochs']} epochs; medians.",
            results.machine("optuna", "sqlalchemy", "psycopg"),
            results.table(["database", "n", "wall time, s", "SQL and sampler"], rows),
            results.table(["call of the ledger's", *(f"{name}: calls, ms each" for name in found)], calls),
        ]
    )


def _median(values: Any) -> str:
    return f"{median(values):.1f}"


def _cost(runs: Sequence[Outcome], method: str) -> str:
    costs = [run["sql"][method] for run in runs if method in run["sql"]]
    return f"{median(n for n, _ in costs):.0f}, {median(1e3 * s / n for n, s in costs):.1f}" if costs else "none"


def main() -> None:
    """Measure on both databases, in turn, and write the section."""
    options = asked(__doc__.splitlines()[0], rounds=1, only="SQLite,PostgreSQL", results="build/sql_share.jsonl")
    with tempfile.TemporaryDirectory() as directory, Postgres.running(Path(directory)) as server:

        def contenders(options: argparse.Namespace, seed: int) -> dict[str, Callable[[], Outcome]]:
            job = ("--trials", options.trials, "--epochs", options.epochs, "--seed", seed)
            return {
                "SQLite": lambda: outcome("ours", *job),
                "PostgreSQL": lambda: outcome("ours", *job, "--storage", server.fresh()),
            }

        lines = measure(options, Path(options.results), contenders)
    found = {name: [line for line in lines if line["name"] == name] for name in options.only.split(",")}
    results.write("sql-share", report({name: runs for name, runs in found.items() if runs}))


if __name__ == "__main__":
    main()
