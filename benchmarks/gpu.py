"""On a GPU: how long do 50 networks of 100 epochs train, and what is a full fleet's gain over one network alone?

    python -m benchmarks.gpu                   writes its section of benchmarks/RESULTS.md; needs CUDA

Training alone, without SQL and scores; batch 1028. Alone and together the steps are the same CUDA graphs.
"""

import argparse
import random
import subprocess
import sys
import time
from statistics import median

import torch

from benchmarks import results
from benchmarks.fleets import fleet_of
from model.data import Images, load
from model.fleet import Fleet
from search.engine import ROOM

TRIALS, EPOCHS, TOGETHER, WIDTH = 50, 100, 64, 25


def seconds(images: Images, widths: list[int], epochs: int) -> float:
    """Return how long a fleet trains; two epochs before that record its graphs."""
    fleet = fleet_of(images, widths)
    timed(fleet, 2)
    return timed(fleet, epochs)


def timed(fleet: Fleet, epochs: int) -> float:
    """Return the seconds until the device has trained so many epochs."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(epochs):
        fleet.train_epoch()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def search(images: Images) -> float:
    """Return how long 50 networks of the search's widths take for 100 epochs each, as many at once as there is room."""
    chance, total = random.Random(0), 0.0
    waiting = [round(4 * 64 ** chance.random()) for _ in range(TRIALS)]
    while waiting:
        crew: list[int] = []
        while waiting and sum(crew) < ROOM["cuda"]:
            crew.append(waiting.pop())
        total += timed(fleet_of(images, crew), EPOCHS)
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
