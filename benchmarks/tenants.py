"""How much of the machine others took while a run was measured, and which runs are therefore measured again.

The rule, stated before anything is measured: a run is disturbed if the hypervisor (steal in /proc/stat) and processes
that are not the run's own, where they can be told apart, together took more than `LIMIT` of all cores' time during it,
or if the machine was slower beside it by more than `SLOWER` than at its fastest. That is told by a fixed product, just
before the run and just after it: another guest on the same physical core takes no time that the kernel counts. When all
rounds are done, each disturbed run is repeated, at most `REPEATS` times. Of a job's runs the least disturbed counts,
whatever it shows.
"""

import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

LIMIT = 0.05  # of all cores' time
SLOWER = 0.2  # of the fixed product's speed
REPEATS = 2
FLAGS = "avx2", "avx512f", "avx512_bf16", "amx_bf16"  # what decides how fast products are
TICK = os.sysconf("SC_CLK_TCK")  # of the kernel's clock, in a second
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Spent:
    """Seconds of all cores since the machine started; of this process and its children that have ended, `own`."""

    busy: float
    stolen: float
    idle: float
    own: float

    @staticmethod
    def now() -> "Spent":
        """Read them; Linux alone tells what others took, elsewhere there are no others."""
        own = sum(_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        path = Path("/proc/stat")
        return of_stat(path.read_text(encoding="utf-8"), own) if path.exists() else Spent(own, 0.0, 0.0, own)


def of_stat(text: str, own: float) -> Spent:
    """Read the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, in ticks."""
    user, nice, system, idle, wait, irq, soft, steal = (int(each) / TICK for each in text.split()[1:9])
    return Spent(user + nice + system + irq + soft, steal, idle + wait, own)


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def shares(before: Spent, after: Spent, told: float | None = 0.0) -> dict[str, float | None]:
    """Return which share of all cores' time went to the hypervisor, and to others.

    `told` is how many CPU seconds the run says that it took, all its processes together. None if it does not know: then
    nobody knows what others took, and steal alone says whether it was disturbed.
    """
    own = max(after.own - before.own, told or 0.0)
    busy, stolen = after.busy - before.busy, after.stolen - before.stolen
    everything = busy + stolen + after.idle - before.idle
    others = None if told is None else max(0.0, busy - own) / max(everything, TICK**-1)
    return {"stolen": stolen / max(everything, TICK**-1), "others": others}


def pace(seconds: float = 0.5) -> float:
    """Return how many products of a fixed shape the machine makes in a second, by the median of those it makes now."""
    inputs, weights, taken = torch.rand(1028, 785), torch.rand(785, 256), list[float]()
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(inputs, weights)
        taken.append(time.perf_counter() - start)
    return 1 / median(taken)


def watched(run: Callable[[], Line]) -> dict[str, Any]:
    """Run, and return what it told with what others took meanwhile, the load before, the lower of the machine's paces
    before and after, and the instruction set."""
    load, first, before = os.getloadavg()[0], pace(), Spent.now()
    line = dict(run())
    others = shares(before, Spent.now(), line.get("cpu_seconds", 0.0))
    return {**line, **others, "load": load, "pace": min(first, pace()), "instructions": instructions()}


def with_slowness(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return runs with how much slower than at its fastest the machine was beside each, where its pace is known."""
    paces = [line.get("pace") for line in lines]
    fastest = max((each for each in paces if each is not None), default=1.0)
    slower = [{} if each is None else {"slower": 1 - each / fastest} for each in paces]
    return [{**line, **each} for line, each in zip(lines, slower, strict=True)]


def taken(line: Line) -> float:
    """Return which share of all cores' time others had during a run, as far as is known; none where nobody looked."""
    return float(line.get("stolen", 0.0) + (line.get("others") or 0.0))


def disturbance(line: Line) -> float:
    """Return by how much a run was disturbed: the larger of others' share and of how much slower the machine was."""
    return max(taken(line), float(line.get("slower", 0.0)))


def disturbed(line: Line) -> bool:
    """Return whether a run is to be repeated."""
    return taken(line) > LIMIT or float(line.get("slower", 0.0)) > SLOWER


def least_disturbed(lines: Sequence[Line]) -> Line:
    """Return the run of a job that counts; of those that are equal the first."""
    return min(lines, key=disturbance)


def instructions() -> str:
    """Return which of `FLAGS` the processor has, as far as is known."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return ", ".join(flag for flag in FLAGS if flag in found)
