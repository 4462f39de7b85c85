"""On a GPU: what do fleets gain there, how long do 50 networks train, and how long does a whole search take?

    python -m benchmarks.gpu                   writes its two sections of benchmarks/RESULTS.md; needs CUDA
    python -m benchmarks.gpu --searches 0      training alone
    python -m benchmarks.gpu --rounds 0        searches alone

Training alone is without SQL and scores; batch 1028, 50,000 images. Alone and together the steps are the same kernels
in the same kind of CUDA graph. The plain loop is what a careful user writes: resident tensors, fused Adam. A search is
that of `benchmarks.whole_job`, each in a process of its own; the script's threads take turns at Python, so it is run
with one and with two.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from benchmarks import results
from benchmarks.fleets import fleet_of
from benchmarks.model_epoch import resident_loop
from benchmarks.peers.job import Outcome, outcome
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.fleet.fleet import ARTICLE_BATCH, program_on
from model.network.member import INPUTS
from search.training.engine import CAPACITY
from studies.sweet_spot import epoch_flops

TRIALS, EPOCHS, TOGETHER, WIDTH = 50, 100, 64, 25
JOBS = (1, 2)  # trials at a time, of the script


def seconds(epoch: Callable[[], object], epochs: int) -> float:
    """Return the seconds until the device has trained so many epochs; two before that compile and record."""
    for _ in range(2):
        epoch()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(epochs):
        epoch()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def together(images: Samples, widths: Sequence[int], epochs: int) -> float:
    """Return how long a fleet of these widths trains."""
    return seconds(fleet_of(images, widths).train_epoch, epochs)


def worker_pools(widths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return who trains together, if as many do as there is room for."""
    made: list[list[int]] = []
    for width in widths:
        if not made or sum(made[-1]) >= capacity:
            made.append([])
        made[-1].append(width)
    return made


def product_rate(units: int, repeats: int = 50) -> float:
    """Return FLOP per second of PyTorch's plain float32 product of a minibatch and so many units."""
    pixels, weights = torch.rand(ARTICLE_BATCH, INPUTS + 1).cuda(), torch.rand(INPUTS + 1, units).cuda()
    out = torch.empty(ARTICLE_BATCH, units).cuda()
    took = seconds(lambda: torch.mm(pixels, weights, out=out), repeats)
    return 2 * ARTICLE_BATCH * (INPUTS + 1) * units * repeats / took


def training(images: Samples, rounds: int) -> str:
    """Measure training alone; return what was found."""
    chance = random.Random(0)
    widths = [round(4 * 64 ** chance.random()) for _ in range(TRIALS)]  # as a search draws them
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, value in (
            ("plain", seconds(resident_loop(images), 3) / 3),
            ("alone", together(images, [WIDTH], 10) / 10),
            ("fleet", together(images, [WIDTH] * TOGETHER, 10) / 10),
            ("all", together(images, widths, EPOCHS)),
            (
                "crews",
                sum(together(images, worker_pool, EPOCHS) for worker_pool in worker_pools(widths, CAPACITY["cuda"])),
            ),
            ("rate", product_rate(sum(widths))),
        ):
            found.setdefault(name, []).append(value)
    of = {name: median(values) for name, values in found.items()}
    flops = EPOCHS * sum(epoch_flops(width, len(images)) for width in widths)
    rows = [
        [f"plain loop, width {WIDTH}: model-epochs per second", f"{1 / of['plain']:.0f}"],
        [f"a fleet of one, width {WIDTH}: model-epochs per second", f"{1 / of['alone']:.0f}"],
        [f"a fleet of {TOGETHER}: model-epochs per second", f"{TOGETHER / of['fleet']:.0f}"],
        ["gain over a fleet of one, same kernels and graphs", f"{TOGETHER * of['alone'] / of['fleet']:.1f} x"],
        ["gain over the plain loop", f"{TOGETHER * of['plain'] / of['fleet']:.0f} x"],
        [f"{TRIALS} networks of {EPOCHS} epochs, all at once: seconds", f"{of['all']:.2f}"],
        [f"the same, {CAPACITY['cuda']} units at a time: seconds", f"{of['crews']:.2f}"],
        ["arithmetic, all at once: TFLOP/s", f"{flops / of['all'] / 1e12:.1f}"],
        ["PyTorch's float32 product of the first layer's shape: TFLOP/s", f"{of['rate'] / 1e12:.1f}"],
    ]
    about = f"Training alone, medians of {rounds} rounds. The {TRIALS} have {sum(widths)} units, 4 to 256 each."
    return f"{about}\n\n{results.table(['', 'median'], rows)}"


def searches(rounds: int) -> str:
    """Run whole searches, ours and the script's; return what was found."""
    programs = [("ours", "ours", ()), *((f"script, {n} at a time", "peers.optuna_tuned", ("--jobs", n)) for n in JOBS)]
    outcome("ours", "--trials", 2, "--epochs", 3)  # compiles the kernels, which stay in Triton's cache
    found: dict[str, list[Outcome]] = {}
    for seed in range(rounds):
        for name, module, options in programs:
            run = outcome(module, "--seed", seed, *options)
            found.setdefault(name, []).append(run)
            print(f"{name}, seed {seed}: {run['seconds']:.1f} s, {run['best']}", file=sys.stderr, flush=True)
    rows = [
        [
            name,
            f"{median(run['seconds'] for run in runs):.1f}",
            f"{100 * median(run['best'] for run in runs):.2f} %",
            str(round(median(sum(width * epochs for width, epochs in run["runs"]) for run in runs))),
        ]
        for name, runs in found.items()
    ]
    about = f"A whole search of {TRIALS} trials, SQLite, medians of {rounds} seeds. Kernels were compiled before."
    return f"{about}\n\n{results.table(['', 'seconds', 'best on validation', 'units x epochs'], rows)}"


def main() -> int:
    """Measure and write the sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--searches", type=int, default=3, help="rounds of whole searches")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: there is no CUDA device here", file=sys.stderr)
        return 2
    card = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=True,
    )
    program = program_on(torch.device("cuda")).__name__
    text = f"{card.stdout.strip()} (card, driver); trained by `{program}`.\n\n{results.machine('optuna')}"
    if options.rounds:
        results.write("gpu", f"{text}\n\n{training(open_dataset('mnist', 'cuda').train, options.rounds)}")
    if options.searches:
        results.write("gpu-search", f"{text}\n\n{searches(options.searches)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
