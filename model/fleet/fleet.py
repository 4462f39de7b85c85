"""Many networks trained side by side, on shared minibatches: plain MLPs as one program, others one after the other.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. Every network is a member with its own
optimizer, that one's state and its own age. How they take a step is a `Program`: by a library's products for plain MLPs
(`model/cpu/panels.py`), by kernels of our own for the article's on a GPU (`model/gpu/fused.py`), and for any others by
PyTorch's plain loop (`model/general/sequential.py`).

A network's numbers do not depend, to the bit, on its neighbours or its place. On a CPU that rests on MKL's strict mode
(`model/__init__.py`), in which the address of a matrix does not change a product. Rules cover what the mode leaves
open, since small products are other routines', which round differently: no product of the first layer has fewer than
`NARROWEST` columns (`model/network/first_layer.py`), and none is of a single sample or, where networks share it, by
more than one thread (`model/cpu/panels.py`). On a GPU every kernel works in tiles of a fixed size.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from subprocess import CalledProcessError
from typing import Protocol

import torch
from torch import Tensor, nn

from model.cpu.panels import Panels
from model.data.samples import Samples
from model.errors import first_line
from model.general.member import GeneralMember
from model.general.memory import memory_errors
from model.general.sequential import Sequential
from model.network.arithmetic import ROUNDED
from model.network.member import BaseMember, Member, plain_member
from model.network.plain import recognised
from model.network.update import Rule
from model.network.way import WAYS, choose_way
from model.seeds import derive

ARTICLE_BATCH = 1028  # as printed in the article
_log = logging.getLogger(__name__)


class Program(Protocol):
    """Trains some members for as long as they are the same; each has a slot."""

    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`; a GPU may be at it still when this returns."""

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, each sample's before its own update, and accuracy and mean
        loss on its last minibatch."""


@dataclass
class Fleet:
    """Trains its members, an epoch at a time; they come and go between epochs."""

    images: Samples  # the training set
    order_seed: int  # with the clock, the order of every epoch
    batch: int = ARTICLE_BATCH
    clock: int = 0  # epochs trained so far
    number: int = 0  # among the fleets of one order seed
    members: list[BaseMember] = field(default_factory=list, init=False)
    _programs: list[tuple[Program, Sequence[BaseMember]]] | None = field(default=None, init=False)  # None when members
    # have come or gone
    _ahead: tuple[int, Tensor] | None = field(default=None, init=False)  # a clock, and the order of the epoch after it

    @property
    def units(self) -> int:
        """Hidden units that train."""
        return sum(member.units for member in self.members)

    @property
    def cost(self) -> int:
        """What an epoch takes of the device's time, in units, beside what it takes in any fleet."""
        return sum(member.cost for member in self.members)

    def add(self, model: nn.Module, lr: float) -> Member:
        """Take in an MLP with Adam at this learning rate; it trains from the next epoch on."""
        member = mlp_member(model, lr, self.images.device)
        self.attach(member)
        return member

    def attach(self, member: BaseMember) -> None:
        """Take in a network that left this or another fleet of the device; it goes on as if it had not been away.

        One that has no way to multiply yet is given that of this machine.
        """
        if isinstance(member, Member) and not member.way:
            member.way = choose_way(member.precision, self.images, self.batch)
        self.members.append(member)
        self._programs = None

    def detach(self, member: BaseMember) -> None:
        """Take a network out; the member keeps its weights and Adam's state, and may be attached again."""
        self.members.remove(member)
        member.copy_state()
        self._programs = None

    def train_epoch(self) -> None:
        """Train every member for one epoch, ordered by seed and clock; update its age, loss and last batch.

        Raises `torch.OutOfMemoryError` where memory is at an end, on a CPU too.
        """
        with memory_errors():
            if self._programs is None:
                self._programs = list(programs(self.members, self.images, self.batch))
            order = self._order(self.clock)
            for program, _ in self._programs:
                program.train(order)
        self._ahead = (self.clock + 1, self._order(self.clock + 1))  # while a GPU trains
        for program, members in self._programs:
            figures = program.figures()  # the epoch's only synchronisation
            for member in members:
                member.loss, *last = figures[member.slot]
                member.last_batch = (last[0], last[1])
                member.record_epoch(self.number, self.clock, torch.get_num_threads())
        self.clock += 1

    def _order(self, clock: int) -> Tensor:
        if self._ahead is not None and self._ahead[0] == clock:
            return self._ahead[1]
        return epoch_order(len(self.images), self.order_seed, clock)


def mlp_member(model: nn.Module, lr: float, device: torch.device) -> Member:
    """Return an MLP with Adam at this learning rate, on the device."""
    config = recognised(model)
    assert config is not None
    return plain_member(model, config, Rule(lr), "cross_entropy", device)


def programs(
    members: Sequence[BaseMember], samples: Samples, batch: int
) -> Iterator[tuple[Program, Sequence[BaseMember]]]:
    """Yield what trains these members, and whom of them."""
    plain, make = [member for member in members if isinstance(member, Member)], program_on(samples.device)
    by_kernels = [member for member in plain if make is not Panels and _is_for_kernels(member)]
    for _, same in groupby(sorted(by_kernels, key=_precision), key=_precision):
        alike = list(same)
        yield make(alike, samples, batch), alike
    rest = sorted((member for member in plain if member not in by_kernels), key=_kind)
    for _, same in groupby(rest, key=_kind):
        alike = list(same)
        yield Panels(alike, samples, batch), alike
    others = [member for member in members if isinstance(member, GeneralMember)]
    if others:
        yield Sequential(others, samples, batch), others


def _precision(member: Member) -> str:
    return member.precision


def _kind(member: Member) -> tuple[str, str]:
    """Return what the members of a program have in common."""
    return member.criterion, member.way


def _is_for_kernels(member: Member) -> bool:
    """Whether a member is the article's network, trains as the article does, but for the width and the rate, and has
    units for its precision."""
    trains = (member.criterion, member.rule) == ("cross_entropy", Rule(member.rule.lr))
    return member.config.is_the_articles and trains and WAYS[member.way].arithmetic is not ROUNDED


def program_on(device: torch.device) -> Callable[[Sequence[Member], Samples, int], Program]:
    """Return what trains a fleet of the article's networks on a device."""
    return (_fused() if device.type == "cuda" else None) or Panels


@cache
def _fused() -> Callable[[Sequence[Member], Samples, int], Program] | None:
    """Return what trains a fleet on a GPU, or None, with a warning, where its kernels cannot be compiled."""
    try:
        from model.gpu.fused import Fused, ready  # noqa: PLC0415  # Triton is not there where there is no GPU

        ready()
    except (ImportError, OSError, RuntimeError, CalledProcessError) as error:
        why = first_line(error)
        _log.warning("the GPU's kernels cannot be compiled (%s): training goes on without, and is slower", why)
        return None
    return Fused


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the samples, int64 `(samples,)`, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)
