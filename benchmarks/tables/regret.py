"""Our sampler and pruner beside Optuna's, on recorded learning curves, at equal numbers of epochs.

    python -m benchmarks.tables.regret --seeds 20

On each table and seed ours has 30 trials, and each peer the epochs that those took. What a search has found is the
setting of its best complete trial, or, before there is one, of the trial that has shown most; its regret is what that
setting is worth less than the table's best. Every search appends a line to the results file; what is there is not
searched again. Seeds begin at 1,000: constants may be chosen on lower ones, and only on the tables in `TUNED`.
"""

import argparse
import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks import results
from benchmarks.rounds import measured
from benchmarks.tables.problems import PROBLEMS, TUNED
from benchmarks.tables.search import ABREAST, OURS, Contender, Search, ours, peers
from benchmarks.tables.table import Table
from search.verdict.statistics import mean_interval

FIRST_SEED, TRIALS = 1000, 30
SHARES = 1 / 3, 2 / 3, 1.0  # of the epochs at which regret is told
RIVAL = "TPE + successive halving"
DRAWS = 2000  # of the bootstrap
Line = Mapping[str, Any]


def searched(table: Table, contender: Contender, seed: int, **limit: int) -> list[tuple[int, float]]:
    """Search; return after each epoch which setting is the best so far, and what it has shown."""
    search = Search(table, contender, seed)
    return [(search.best[2], search.best[1]) for _ in search.take(**limit)]


def lines(name: str, seed: int, trials: int) -> list[Line]:
    """Search a table by everybody with one seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    table = Table.of(name)
    own = searched(table, ours(table), seed, trials=trials)
    found = {OURS: own}
    for peer, contender in peers(table).items():
        found[peer] = searched(table, contender, seed, epochs=len(own))
    return [{"table": name, "seed": seed, "contender": who, **_told(table, best)} for who, best in found.items()]


def _told(table: Table, best: Sequence[tuple[int, float]]) -> Line:
    at = [max(0, round(share * len(best)) - 1) for share in SHARES]
    regret = [round(100 * float(table.worth.max() - table.worth[best[k][0]]), 4) for k in at]
    return {"epochs": len(best), "regret": regret, "shown": best[-1][1]}


def measure(path: Path, seeds: int, trials: int, processes: int) -> Sequence[Line]:
    """Search what is missing and append it; return all lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(line["table"], line["seed"]) for line in measured(path)}
    recorded = [name for name in PROBLEMS if Table.path(name).exists()]
    jobs = product(range(FIRST_SEED, FIRST_SEED + seeds), recorded)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))  # several search at once
    missing = [(name, seed) for seed, name in jobs if (name, seed) not in done]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool, path.open("a") as file:
        for told in pool.map(partial(_job, trials), missing):
            file.write("".join(json.dumps({**line, "commit": results.commit()}) + "\n" for line in told))
            file.flush()
    return measured(path)


def _job(trials: int, job: tuple[str, int]) -> list[Line]:
    return lines(*job, trials)


def by_contender(lines: Sequence[Line], table: str, share: int = -1) -> dict[str, NDArray[np.float64]]:
    """Return each contender's regrets on a table, (seeds,), the same seeds for all."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for line in lines:
        if line["table"] == table:
            found[line["contender"]][line["seed"]] = line["regret"][share]
    return {who: np.array([regrets[seed] for seed in sorted(regrets)]) for who, regrets in found.items()}


def ranks(regrets: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the contenders' ranks, (contenders, seeds); those that are equal share theirs."""
    return np.asarray(rankdata(np.array(list(regrets.values())), axis=0))


def mean_ranks(tables: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each contender's mean rank over tables and, (2, contenders), its 95 % interval: seeds are drawn anew."""
    rng = np.random.default_rng(0)
    drawn = [
        np.mean([each[:, rng.integers(each.shape[1], size=each.shape[1])].mean(1) for each in tables], axis=0)
        for _ in range(DRAWS)
    ]
    return np.mean([each.mean(1) for each in tables], axis=0), np.quantile(drawn, (0.025, 0.975), axis=0)


def report(lines: Sequence[Line]) -> str:
    """Return the section."""
    tables = [name for name in PROBLEMS if any(line["table"] == name for line in lines)]
    if not tables:
        return results.MISSING
    held = [name for name in tables if name not in TUNED]
    return "\n\n".join(
        [
            f"{len(tables)} tables, recorded by `python -m benchmarks.tables.record`; ours has"
            f" {TRIALS} trials, {ABREAST[0]} side by side, and each peer as many epochs, {ABREAST[1]} trials side by"
            " side. All peers are Optuna's; GPSampler has Optuna's default pruner, the median. Regret: points of"
            " accuracy that the setting found is worth less than the table's best; what a setting is worth is the mean"
            " of its seeds' last epochs. Nothing was trained while searching, so the machine does not matter.",
            results.machine("optuna"),
            results.table(_HEAD, [row for name in tables for row in _rows(lines, name)]),
            f"Mean ranks of the five, 1 the best, by regret at the end, with 95 % intervals by the bootstrap over seeds"
            f" ({DRAWS} draws). Changes to sampler and pruner may be tried on {', '.join(TUNED)}, with other seeds, and"
            " not on the others.",
            results.table(*_rank_table(lines, {"all tables": tables, "tables for the report alone": held})),
        ]
    )


_HEAD = (
    "table",
    "contender",
    "seeds",
    "epochs",
    *(f"regret at {100 * share:.0f} %" for share in SHARES),
    f"less than {RIVAL}'s",
    "shown, %",
)


def _rows(lines: Sequence[Line], table: str) -> Iterator[list[str]]:
    final = by_contender(lines, table)
    for who, regrets in final.items():
        own = [line for line in lines if (line["table"], line["contender"]) == (table, who)]
        at = [f"{by_contender(lines, table, k)[who].mean():.2f}" for k in range(len(SHARES))]
        less = mean_interval(final[RIVAL] - regrets)
        bounds = less.bounds()
        text = f"{less.estimate:+.2f}" + (f" ({bounds[0]:+.2f} to {bounds[1]:+.2f})" if bounds else "")
        shown = 100 * np.mean([line["shown"] for line in own])
        epochs = f"{np.mean([line['epochs'] for line in own]):.0f}"
        yield [table, who, str(len(regrets)), epochs, *at, "" if who == RIVAL else text, f"{shown:.2f}"]


def _rank_table(lines: Sequence[Line], groups: Mapping[str, Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    names, columns = list(by_contender(lines, next(iter(groups.values()))[0])), []
    for tables in groups.values():
        found, (low, high) = mean_ranks([ranks(by_contender(lines, name)) for name in tables] or [np.ones((5, 1))])
        columns.append([f"{a:.2f} ({b:.2f} to {c:.2f})" for a, b, c in zip(found, low, high, strict=True)])
    return ["contender", *groups], [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]


def main() -> None:
    """Search what is missing, then write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("build/tables.jsonl"))
    asked = parser.parse_args()
    results.write("tables", report(measure(asked.results, asked.seeds, TRIALS, asked.processes)))


if __name__ == "__main__":
    main()
