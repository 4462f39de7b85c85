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
from model.threads import using

SECONDS = 0.25  # that a look may take
LEAST = 3  # steps of each that a median needs


def bfloat16_gain(family: Family, params: Mapping[str, Any], samples: Samples, batch: int) -> float | None:
    """Return how many times as fast as in float32 networks of these parameters train in bfloat16 on a CPU.

    They train side by side, as many as share their products, a minibatch in each precision by turns, in this thread's
    processor time, which other programs do not lengthen. None on a GPU, whose kernels would be compiled first, where
    there is no such network, and where steps are too long for a look.
    """
    if samples.device.type != "cpu":
        return None
    few, both = samples.first(batch), get_args(Precision)
    try:
        fleets = {precision: _fleet(replace(family, precision=precision), params, few) for precision in both}
    except (NetworkError, torch.OutOfMemoryError):
        return None
    taken: dict[Precision, list[float]] = {precision: [] for precision in fleets}
    last, end = 0.0, time.perf_counter() + SECONDS
    with using(1):  # as where several fleets train
        while (start := time.perf_counter()) + last < end:
            for precision, fleet in fleets.items():
                before = time.thread_time()
                fleet.train_epoch()
                taken[precision].append(time.thread_time() - before)
            last = time.perf_counter() - start
    one, other = (each[1:] for each in taken.values())  # the first pays for choosing kernels
    return median(one) / median(other) if len(one) >= LEAST else None


def _fleet(family: Family, params: Mapping[str, Any], samples: Samples) -> Fleet:
    """Return a fleet whose epoch is a step."""
    fleet = Fleet(samples, 0, len(samples))
    network = family.build(params, 0)
    first = family.member(network, params, 0, samples.device)
    fleet.attach(first)
    for _ in range(1, SHARED_UP_TO // first.units):
        fleet.attach(family.member(network, params, 0, samples.device))
    return fleet
