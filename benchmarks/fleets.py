"""The fleets that benchmarks train."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.data.samples import Samples
from model.fleet.family import Family, Trainer
from model.fleet.fleet import Fleet
from model.fleet.fleets import Fleets
from model.network.member import BaseMember
from studies.sweet_spot import article_network


@dataclass(frozen=True)
class Spent:
    """What an epoch of one of several equal networks took, in seconds."""

    passed: float
    computed: float  # by processors
    member: BaseMember  # one of them


def fleet_of(images: Samples, widths: Iterable[int], lr: float = 0.01) -> Fleet:
    """Return a fleet of networks of these widths, the first with seed 0, the next with 1."""
    fleet = Fleet(images, order_seed=0)
    for seed, width in enumerate(widths):
        fleet.add(article_network(width, seed), lr)
    return fleet


def one_in_each(
    family: Family,
    params: Mapping[str, Any],
    samples: Samples,
    batch: int,
    epochs: int,
    *,
    trainer: Trainer | None = None,
) -> Spent:
    """Train a network in each of a device's fleets at once, an epoch to warm up and then so many."""
    with Fleets(samples, 0, batch) as fleets:
        for seed, fleet in enumerate(fleets):
            member = family.member(family.build(params, seed), params, seed, samples.device, trainer)
            fleet.attach(member)
        for _ in fleets:
            fleets.train_next()
        trained = epochs * len(fleets)
        passed, computed = time.perf_counter(), time.process_time()
        for _ in range(trained):
            fleets.train_next()
        passed, computed = time.perf_counter() - passed, time.process_time() - computed
    return Spent(passed / trained, computed / trained, member)
