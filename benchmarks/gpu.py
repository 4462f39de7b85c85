"""On a GPU: how long do 50 networks of 100 epochs train, and what is a full fleet's gain over one network alone?

    python -m benchmarks.gpu                   writes its section of benchmarks/RESULTS.md; needs CUDA

Training alone, without SQL and scores; batch 1028. Alone and together the steps are the same CUDA graphs.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from benchmarks import results
from model.data import Images, load
from model.fleet import Fleet
from model.mlp import MLPConfig, initialised
from search.engine import ROOM

TRIALS, EPOCHS, TOGETHER, WIDTH = 50, 100, 64, 25


def fleet(images: Images, widths: list[int]) -> Fleet:
    """Return a fleet of networks of these widths."""
    made = Fleet(images, order_seed=0)
    for seed, width in enumerate(widths):
        made.join(initialised(MLPConfig(width), seed), 0.01)
    return made


def seconds(images: Images, widths: list[int], epochs: int) -> float:
    """Return how long a fleet trains; two epochs before that record its graphs."""
    made = fleet(images, widths)
    for _ in range(2):
        made.train_epoch()
    return timed(lambda: [made.train_epoch() for _ in range(epochs)], images.pixels.device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until the device has done it all."""
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def search(images: Images) -> float:
    """Return how long 50 networks of the search's widths take for 100 epochs each, as many at once as there is room."""
    chance, total = random.Random(0), 0.0
    waiting = [round(4 * 64 ** chance.random()) for _ in range(TRIALS)]
    while waiting:
        crew: list[int] = []
        while waiting and sum(crew) < ROOM["cuda"]:
            crew.append(waiting.pop())
        made = fleet(images, crew)
        total += timed(lambda made=made: [made.train_epoch() for _ in range(EPOCHS)], images.pixels.device)  # type: ignore[misc]
    return total


def main() -> int:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        print("error: there is no CUDA device here", file=sys.stderr)
        return 2
    images = load(device="cuda").train
    found = [
        (seconds(images, [WIDTH], 10), seconds(images, [WIDTH] * TOGETHER, 10), search(images)) for _ in range(rounds)
    ]
    alone, together, whole = map(median, zip(*found, strict=True))
    rows = [
        ["one network alone, model-epochs per second", f"{10 / alone:.0f}"],
        [f"fleet of {TOGETHER}, model-epochs per second", f"{10 * TOGETHER / together:.0f}"],
        ["gain", f"{TOGETHER * alone / together:.1f} x"],
        [f"{TRIALS} networks of {EPOCHS} epochs, seconds of training", f"{whole:.2f}"],
    ]
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=True,
    )
    text = [
        f"{driver.stdout.strip()}; medians of {rounds} rounds.",
        results.machine(),
        results.table(["", "median"], rows),
    ]
    results.write("gpu", "\n\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
