"""The whole job, ours and the peers, in turn: 50 trials in the same space, halved from 3 epochs on, of the same split.

    python -m benchmarks.whole_job --rounds 5                          the full job; takes hours on 2 cores
    python -m benchmarks.whole_job --rounds 1 --trials 50 --epochs 10  a quick look
    python -m benchmarks.whole_job --rounds 0                          writes the section from what was measured

Ours samples and halves by what trials would reach (`studies/`), the peers by Optuna's TPE and asynchronous successive
halving, a third at each of their rungs (`benchmarks/peers/job.py`). A round is one seed. Every run is a process of its
own and appends a line to the results file; what is there is not measured again, so the command goes on where it was
interrupted. Wall time begins when data and libraries are loaded. Machines with AMX have a section of their own.

Others' share of the machine, and how fast it is, are measured beside each run. By the rule of `benchmarks.tenants`,
stated before, a run that others disturbed by more than 5 % of all cores' time, or beside which the machine was slower
by more than 20 %, is repeated when all rounds are done, at most twice, and of a job's runs the least disturbed counts.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import results
from benchmarks.peers.job import asked, outcome
from benchmarks.rounds import measure
from benchmarks.whole_job_table import report
from model.fleet.fleet import ARTICLE_BATCH

WIDTHS = "8,25,80,250"  # at which the example's epochs are measured, to extrapolate
UNITS = 512  # rows of the wide product whose rate is the arithmetic's limit


def sgemm_rate(repeats: int = 60) -> float:
    """Return FLOP per second of plain products of the fleet's own two shapes, the best of some blocks."""
    weights, inputs = torch.rand(UNITS, 785), torch.rand(ARTICLE_BATCH, 785)
    outputs, gradient = torch.empty(UNITS, ARTICLE_BATCH), torch.empty(UNITS, 785)
    flops, best = 4 * UNITS * 785 * ARTICLE_BATCH * repeats, 0.0
    for _ in range(6):
        start = time.perf_counter()
        for _ in range(repeats):
            torch.mm(weights, inputs.T, out=outputs)
            torch.mm(outputs, inputs, out=gradient)
        best = max(best, flops / (time.perf_counter() - start))
    return best


def contenders(options: argparse.Namespace, seed: int) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what runs in a round."""
    job = ("--trials", options.trials, "--epochs", options.epochs, "--seed", seed)
    return {
        "sgemm": lambda: {"flops_per_second": sgemm_rate()},
        "ours": lambda: outcome("ours", *job),
        "ours_bfloat16": lambda: outcome("ours", *job, "--precision", "bfloat16"),
        "optuna_tuned": lambda: outcome("peers.optuna_tuned", *job),
        "ray_tune": lambda: outcome("peers.ray_tune", *job),
        "optuna_example": lambda: outcome("peers.optuna_example", *job, "--widths", WIDTHS),
    }


def main() -> None:
    """Measure what is missing, then write the section."""
    everybody = ",".join(contenders(argparse.Namespace(trials=0, epochs=0), 0))
    options = asked(__doc__.splitlines()[0], rounds=5, only=everybody, results="build/whole_job.jsonl")
    lines = measure(options, Path(options.results), contenders)
    results.write(results.of_this_machine("whole-job"), report(lines))


if __name__ == "__main__":
    main()
