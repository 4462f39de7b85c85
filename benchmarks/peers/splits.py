"""How should a peer share out the cores: one network on all of them, or one on each?

    python -m benchmarks.peers.splits

Measures the median milliseconds per model-epoch at some widths for one network at a time on two threads, for two Python
threads with a network each (Optuna's `n_jobs=2`), and for two processes with a network each (as Ray does it).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context
from statistics import median

import torch

from benchmarks import results
from benchmarks.peers.job import asked
from benchmarks.peers.resident import Data, resident, train

data: Callable[[], Data] = cache(resident)


def train_alone(width: int, epochs: int, threads: int) -> None:
    """Train one network on so many threads."""
    torch.set_num_threads(threads)
    list(train(width, 0.002, epochs, data()))


def seconds(pool: Executor, width: int, epochs: int, threads: int, networks: int = 2) -> float:
    """Return what a model-epoch costs when a pool trains two networks."""
    start = time.perf_counter()
    for training in [pool.submit(train_alone, width, epochs, threads) for _ in range(networks)]:
        training.result()
    return (time.perf_counter() - start) / networks / epochs


def report(machine: str, splits: Sequence[str], table: Mapping[int, Sequence[float]], rounds: int) -> str:
    """Return the section: a row for each width, a column for each split."""
    rows = [[width, *(f"{ms:.0f}" for ms in each)] for width, each in table.items()]
    about = f"Milliseconds per model-epoch of 50,000 images, resident tensors, fused Adam; medians of {rounds} rounds."
    return "\n\n".join([about, machine, results.table(["width", *splits], rows)])


def main() -> None:
    """Measure every split in turn, round after round; the first warms up and is not counted."""
    options = asked("Ways to share out two cores.", rounds=5, widths="25,80,200")
    machine = results.machine()  # before any split changes the number of threads
    processes = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two, processes:
        splits = {"1 x 2 threads": (one, 2), "2 x 1 thread": (two, 1), "2 processes x 1 thread": (processes, 1)}
        table = {}
        for width in map(int, options.widths.split(",")):
            rounds = [
                {name: seconds(pool, width, 2, threads) for name, (pool, threads) in splits.items()}
                for _ in range(options.rounds + 1)
            ]
            table[width] = [median(1e3 * r[name] for r in rounds[1:]) for name in splits]
    results.write("splits", report(machine, list(splits), table, options.rounds))


if __name__ == "__main__":
    main()
