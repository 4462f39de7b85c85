"""The fleets that benchmarks train."""

from collections.abc import Iterable

from model.data.samples import Samples
from model.fleet.fleet import Fleet
from studies.sweet_spot import article_network


def fleet_of(images: Samples, widths: Iterable[int], lr: float = 0.01) -> Fleet:
    """Return a fleet of networks of these widths, the first with seed 0, the next with 1."""
    fleet = Fleet(images, order_seed=0)
    for seed, width in enumerate(widths):
        fleet.add(article_network(width, seed), lr)
    return fleet
