"""Does a trial cost more in SQL when the study has thousands? Claim, reports and the end, at 50 and at 5,000 trials.

    python -m benchmarks.scaling

The real store, without training: a stand-in for the engine claims a trial, reports a made-up accuracy at the rungs,
and completes or prunes it with as many figures as a real trial has.
"""

import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import optuna

from benchmarks import results
from benchmarks.clocked import Clocked
from benchmarks.faults import Postgres, store_at
from benchmarks.fill import FIGURES, fill, made_up
from benchmarks.peers.job import asked
from studies.sweet_spot import STUDY

UNBOUNDED = 10**9


def one_trial(store: Any, chance: random.Random, train: Callable[[optuna.Trial], object] = lambda _trial: None) -> bool:
    """Claim a trial, train it from report to report, end it; False if there is none to be had.

    The pruner is asked at rungs alone, as by the engine, or at every report where there are none.
    """
    trial = store.acquire()
    if trial is None:
        return False
    for epoch in store.spec.report_epochs:
        train(trial)
        value = made_up(trial.params["hidden_units"], trial.params["lr"], epoch, chance)
        store.report(trial, value, epoch)
        judged = epoch < store.spec.epochs and (not store.spec.rungs or epoch in store.spec.rungs)
        if judged and store.should_prune(trial):
            store.prune(trial, FIGURES)
            return True
    store.complete(trial, value, FIGURES)
    return True


def measure(url: str, sizes: Sequence[int], trials: int) -> Iterator[Clocked]:
    """Yield, for each size of the study, what the next trials cost a worker that has just started."""
    chance = random.Random(0)
    store = store_at(url, STUDY.epochs)
    store.set_budget(UNBOUNDED)
    for size in sizes:
        fill(store, size, chance)
        worker = Clocked(store_at(url, STUDY.epochs))
        one_trial(worker, chance)  # the first reads the whole study, once for each worker
        worker.seconds.clear()
        for _ in range(trials):
            one_trial(worker, chance)
        yield worker


def cost(worker: Clocked, reports: float, asks: float) -> dict[str, float]:
    """Return the milliseconds of a trial, by its parts, with so many reports and questions to the pruner."""
    ends = [*worker.seconds.get("complete", []), *worker.seconds.get("prune", [])]
    ms = {
        "acquire": median(worker.seconds["acquire"]),
        "reports": reports * median(worker.seconds["report"]),
        "pruner": asks * median(worker.seconds["should_prune"]),
        "end": median(ends),
    }
    return {name: 1e3 * seconds for name, seconds in {**ms, "trial": sum(ms.values())}.items()}


def mean_calls(workers: Sequence[Clocked], name: str) -> float:
    """Return how many calls of a method a trial made, over all that were measured."""
    return sum(len(w.seconds[name]) for w in workers) / sum(len(w.seconds["acquire"]) for w in workers)


def report(found: Mapping[str, Mapping[int, Mapping[str, float]]], trials: int, calls: tuple[float, float]) -> str:
    """Return the section: a row for each database and size; calls: reports and questions of a trial."""
    rows = []
    for database, sizes in found.items():
        first = next(iter(sizes.values()))["trial"]
        rows += [
            [f"{database}, {size:,} trials", *(f"{ms:.1f}" for ms in at.values()), f"{at['trial'] / first:.2f} x"]
            for size, at in sizes.items()
        ]
    return "\n\n".join(
        [
            f"Milliseconds of a trial with {calls[0]:.1f} reports, at {calls[1]:.1f} of which the pruner is asked,"
            f" medians over {trials} trials of one worker.",
            results.machine("optuna", "sqlalchemy", "psycopg"),
            results.table(["study", "acquire", "reports", "pruner", "end", "trial", "against the smallest"], rows),
        ]
    )


def main() -> None:
    """Measure on both databases and write the section."""
    options = asked(__doc__.splitlines()[0], sizes="50,5000", measured=30)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as directory, Postgres.running(Path(directory) / "postgres") as server:
        urls = {"SQLite": f"sqlite:///{directory}/study.db", "PostgreSQL": server.fresh()}
        start = time.perf_counter()
        workers = {name: list(measure(url, sizes, options.measured)) for name, url in urls.items()}
        print(f"{time.perf_counter() - start:.0f} s")
    everybody = list(itertools.chain.from_iterable(workers.values()))
    calls = mean_calls(everybody, "report"), mean_calls(everybody, "should_prune")
    costs = {
        name: {size: cost(worker, *calls) for size, worker in zip(sizes, each, strict=True)}
        for name, each in workers.items()
    }
    results.write("scaling", report(costs, options.measured, calls))


if __name__ == "__main__":
    main()
