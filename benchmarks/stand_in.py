"""A card that is not there: networks whose curves are made up, and epochs that take the time they took on a real one.

All but the training is real: the engine, the sampler, the pruner, Optuna and the database.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from model.data.samples import Parts, Samples
from model.fleet.family import Family, Scored
from model.fleet.fleet import Fleet, epoch_order
from model.fleet.fleets import Fleets
from model.network.member import BaseMember
from model.seeds import derive
from search.training.engine import Engine

IMAGES = 50_000  # whose order is drawn for each epoch, as in a real fleet
LEAST, BASE, EACH = 5.2e-3, 3.9e-3, 4.4e-6  # seconds of an epoch: at least, and by units; see `epoch_seconds`
NOWHERE = torch.device(
    "meta"
)  # neither a CPU, so that a single fleet trains, as on a card, nor one that needs a driver


def epoch_seconds(units: int) -> float:
    """Return how long a fleet's epoch took on an H100 (benchmarks/RESULTS.md, "On a GPU").

    That is 5.2 ms for 25 units, 10.9 ms for 1,600 and 20.1 ms for 3,710; a line through the latter two.
    """
    return max(LEAST, BASE + EACH * units)


def expected_error(width: int, lr: float, epoch: int) -> float:
    """Return the error of the article's network on validation data, about as it was measured at 25, 100, 256 units."""
    best = 0.017 + 0.8 / width
    rate = math.log10(lr / 0.006) + 0.25 * math.log10(width / 64)  # wide networks want low rates
    slow = 2.5 * (0.006 / lr) ** 0.5
    return min(0.9, best * (1 + 0.35 * rate**2) * (1 + slow / epoch))


class MadeUp(nn.Module):
    """A network that knows how well it does."""

    def __init__(self, params: Mapping[str, Any], seed: int, epoch: int) -> None:
        super().__init__()
        self.params, self.seed, self.epoch = params, seed, epoch

    def error(self) -> float:
        """Return its error on validation data, with the luck of its seed and the noise of this epoch."""
        luck = np.random.default_rng(self.seed).normal(0, 0.05)
        noise = np.random.default_rng(derive(self.seed, self.epoch)).normal(0, 0.07)
        known = expected_error(self.params["hidden_units"], self.params["lr"], max(1, self.epoch))
        return min(0.9, known * math.exp(luck + noise))


@dataclass(eq=False, kw_only=True)
class MadeUpMember(BaseMember):
    """Its place in a fleet."""

    params: Mapping[str, Any]
    seed: int
    trainer: ClassVar[str] = "fleet"

    @property
    def units(self) -> int:
        """Its width."""
        return int(self.params["hidden_units"])

    @property
    def cost(self) -> int:
        """What its place in a fleet's order follows from."""
        return self.units

    @property
    def parameters(self) -> int:
        """As many as the article's network has."""
        return self.units * (784 + self.units + 10)

    def copy_state(self) -> None:
        """There is none."""

    def network(self) -> nn.Module:
        """Return a network of its age."""
        return MadeUp(self.params, self.seed, self.epochs_trained)


class MadeUpFamily(Family):
    """Networks with made-up curves."""

    def build(self, params: Mapping[str, Any], seed: int) -> nn.Module:
        """Return an untrained one."""
        return MadeUp(params, seed, 0)

    def member(  # it needs no device
        self, _network: nn.Module, params: Mapping[str, Any], seed: int, *_: Any
    ) -> BaseMember:
        """Return its place in a fleet."""
        return MadeUpMember(params=params, seed=seed)

    def score(self, network: nn.Module, samples: Samples) -> Scored:  # noqa: ARG002
        """Return what it says of itself."""
        assert isinstance(network, MadeUp)
        error = network.error()
        return Scored(1 - error, 4 * error)


class CardFleet(Fleet):
    """A fleet whose epochs only take time."""

    def train_epoch(self) -> None:
        """Let the time pass that a card would take, and the members grow older."""
        end = time.perf_counter() + epoch_seconds(self.units)
        epoch_order(IMAGES, self.order_seed, self.clock + 1)
        time.sleep(max(0.0, end - time.perf_counter()))
        for member in self.members:
            member.loss = 0.1
            member.record_epoch(self.number, self.clock, 1)
        self.clock += 1


class CardFleets(Fleets):
    """The fleets of a card."""

    def fleet(self, number: int, clock: int = 0) -> Fleet:
        """Make one of them."""
        return CardFleet(self.images, self.order_seed, self.batch, clock, number)


class Timed:
    """A listener that adds up how long a card would have been at work, and shows nothing."""

    def __init__(self) -> None:
        self.busy = 0.0

    def started(self, run: Any) -> None:
        """A trial began."""

    def trained(self, runs: list[Any]) -> None:
        """An epoch was trained."""
        self.busy += epoch_seconds(sum(run.member.units for run in runs))

    def ended(self, run: Any, state: str) -> None:
        """A trial ended."""


def nothing() -> Parts:
    """Return data that nobody looks at."""
    pixels, targets = (torch.zeros(1, device=NOWHERE, dtype=kind) for kind in (torch.uint8, torch.int64))
    none = Samples(pixels[:, None], targets)
    return Parts(none, none, lambda: none, lambda: none)


def engine_on_a_card(store: Any, capacity: int, listener: Any) -> Engine:
    """Return the real engine, before a card that is not there; the store's family must be a `MadeUpFamily`."""
    engine = Engine(store, nothing(), capacity, listener)
    engine.fleets = CardFleets(engine.train_set, derive(store.seed, "order"), store.spec.batch, engine._score_all)
    return engine
