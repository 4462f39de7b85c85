"""What does MKL's strict mode cost, by which a trial's bits depend on nothing beside it, and what does it keep?

    python -m benchmarks.strict

One fleet, one thread, 50,000 images, batch 1028, in a process of its own for each mode and round. MKL reads its mode
from the environment once, and `model/__init__.py` sets the strict one, so the process for "unset" takes that out again.
Measured is the processor's time: other programs take less part in that than in the clock's. And counted is how many
products of small matrices have other bits with several threads than with one.
"""

import argparse
import ctypes
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks import results
from benchmarks.fleets import fleet_of
from benchmarks.rounds import in_turn
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.threads import using

EPOCHS = 2
CASES = ([25] * 16, [100] * 4, [256] * 2)
UNSET = "unset"
MODES = (UNSET, "AUTO,STRICT", "AVX2,STRICT", "AVX512,STRICT")
CHILD = "import model, os; {} from benchmarks.strict import child; child()"
BRANCHES = {1: "off", 2: "AUTO", 3: "COMPATIBLE", 9: "AVX", 10: "AVX2", 12: "AVX512", 14: "AVX512_E1"}  # mkl_types.h
STRICT = 0x10000
SHAPES = tuple(
    itertools.product(
        (1, 2, 3, 5, 10, 16, 25, 64, 256, 785),  # rows
        (2, 5, 16, 25, 64, 256, 514, 1028),  # of what is summed up
        (1, 2, 16, 25, 33, 188, 514, 1028),  # columns
        (False, True),  # whether the left matrix lies transposed
        (False, True),  # the right one
    )
)
THREADS = (2, 8)
Found = Mapping[str, Sequence[float | str]]


def child() -> None:
    """Print ms for a unit and epoch of each case, how many products have other bits, and the mode that MKL is in."""
    torch.set_num_threads(1)
    images = open_dataset("mnist").train
    print(json.dumps([*(1e3 * seconds(images, case) for case in CASES), *other_bits(), chosen()]))


def other_bits() -> list[int]:
    """Return how many products of `SHAPES` have other bits than with one thread, for each number of threads."""
    generator, found = torch.Generator().manual_seed(0), dict.fromkeys(THREADS, 0)
    for rows, inner, columns, left_lies, right_lies in SHAPES:
        left = torch.randn((inner, rows) if left_lies else (rows, inner), generator=generator)
        right = torch.randn((columns, inner) if right_lies else (inner, columns), generator=generator)
        factors = left.T if left_lies else left, right.T if right_lies else right
        with using(1):
            alone = torch.mm(*factors)
        for threads in THREADS:
            with using(threads):
                found[threads] += not torch.equal(torch.mm(*factors), alone)
    return list(found.values())


def seconds(images: Samples, widths: Sequence[int]) -> float:
    """Return the seconds of the processor for a unit and epoch."""
    fleet = fleet_of(images, widths)
    fleet.train_epoch()
    start = time.process_time()
    for _ in range(EPOCHS):
        fleet.train_epoch()
    return (time.process_time() - start) / EPOCHS / fleet.units


def chosen() -> str:
    """Return the mode that MKL says it is in, "unknown" where it cannot be asked."""
    try:
        ask = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).mkl_serv_cbwr_get
    except (AttributeError, OSError):
        return "unknown"
    said = ask(-1)
    branch = BRANCHES.get(said & 0xFFFF, str(said & 0xFFFF))
    return f"{branch},STRICT" if said & STRICT else branch


def measured(mode: str) -> list[float | str]:
    """Measure in a process of its own."""
    forget = "os.environ.pop('MKL_CBWR', None);" if mode == UNSET else ""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MKL_CBWR": mode}
    command = [sys.executable, "-c", CHILD.format(forget)]
    printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return list(json.loads(printed))


def report(found: Sequence[Found], before: float, after: float) -> str:
    """Return the section, from what each round found by mode and the machine's load averages."""
    head = ["MKL_CBWR", "MKL is in", *(f"{len(case)} x {case[0]} units" for case in CASES)]
    head += [f"other bits with {threads} threads" for threads in THREADS]
    rows = [
        [
            mode,
            found[0][mode][-1],
            *(_cell(found, mode, i) for i in range(len(CASES))),
            *(max(int(turn[mode][len(CASES) + i]) for turn in found) for i in range(len(THREADS))),
        ]
        for mode in MODES
    ]
    said = (
        f"Processor's ms for a unit and epoch of 50,000 images, one fleet, one thread; medians of {len(found)} rounds,"
    )
    return "\n\n".join(
        [
            f"{said} and multiples of unset in the same round, with range. "
            f"The machine's load was {before:.1f} before and {after:.1f} after.",
            f"And how many of {len(SHAPES):,} products, of small matrices most, have other bits with several threads"
            " than with one: so products that networks share are one thread's.",
            results.machine(),
            results.table(head, rows),
        ]
    )


def _cell(found: Sequence[Found], mode: str, i: int) -> str:
    ours, unset = ([float(turn[each][i]) for turn in found] for each in (mode, UNSET))
    ratio = results.ratio([mine / plain for mine, plain in zip(ours, unset, strict=True)])
    return f"{median(ours):.2f}" if mode == UNSET else f"{median(ours):.2f}, {ratio}"


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds, before = parser.parse_args().rounds, _load()
    found = [{mode: measured(mode) for mode in in_turn(MODES, turn)} for turn in range(rounds)]
    results.write("strict", report(found, before, _load()))


def _load() -> float:
    return os.getloadavg()[0]


if __name__ == "__main__":
    main()
