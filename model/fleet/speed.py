"""How much faster one precision trains than the other on this machine, by a short look."""

import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Any, get_args

import torch

from model.cpu.panel import SHARED_UP_TO
from model.data.samples import Samples
from model.errors import NetworkError
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from model.network.arithmetic import Precision
from model.network.member import FLOPS_OF_A_UNIT, Member
from model.threads import using

SECONDS = 0.2  # that a look may take
LEAST = 3  # steps of each that a median needs
STEP = 1_500_000_000  # floating-point operations of a step at most: 30 ms on a slow core


def bfloat16_gain(family: Family, params: Mapping[str, Any], samples: Samples, batch: int) -> float | None:
    """Return how many times as fast as in float32 networks of these parameters train in bfloat16 on a CPU.

    They train side by side, as many as share their products, a minibatch in each precision by turns, in this thread's
    processor time, which other programs do not lengthen. None on a GPU, whose kernels would be compiled first, where
    there is no such network, and where steps are too long for a look.
    """
    if samples.device.type != "cpu":
        return None
    try:
        fleets = [_fleet(replace(family, precision=each), params, samples, batch) for each in get_args(Precision)]
    except (NetworkError, torch.OutOfMemoryError):
        return None
    known = [fleet for fleet in fleets if fleet is not None]
    return _compared(*known) if len(known) == len(fleets) else None


def _compared(one: Fleet, other: Fleet) -> float | None:
    """Train both for a moment, and return how many times as long an epoch of the one takes as one of the other."""
    taken: list[tuple[float, float]] = []
    last, end = 0.0, time.perf_counter() + SECONDS
    with using(1):  # as where several fleets train
        while (start := time.perf_counter()) + last < end:
            taken.append((_seconds(one), _seconds(other)))
            last = time.perf_counter() - start
    ours, theirs = zip(*taken[1:], strict=True) if len(taken) > LEAST else ((), ())  # the first chooses kernels
    return median(ours) / median(theirs) if ours else None


def _seconds(fleet: Fleet) -> float:
    start = time.thread_time()
    fleet.train_epoch()
    return time.thread_time() - start


def _fleet(family: Family, params: Mapping[str, Any], samples: Samples, batch: int) -> Fleet | None:
    """Return a fleet whose epoch is one short step, None where there is none.

    Any network but a plain MLP, whose way could be another then, is looked at on fewer samples if need be.
    """
    network = family.build(params, 0)
    first = family.member(network, params, 0, samples.device)
    count = min(batch, STEP // (max(first.units, SHARED_UP_TO) * FLOPS_OF_A_UNIT), len(samples))
    if count < (min(batch, len(samples)) if isinstance(first, Member) else 2):
        return None
    fleet = Fleet(samples.first(count), 0, count)
    fleet.attach(first)
    for _ in range(1, SHARED_UP_TO // first.units):
        fleet.attach(family.member(network, params, 0, samples.device))
    return fleet
