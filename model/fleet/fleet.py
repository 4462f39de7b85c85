"""Many MLPs trained side by side as one program, on shared minibatches.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. Every network is a `Member` with its own
learning rate, its own Adam state and its own age. How all of them take a step is a `Program`: by a library's products
on a CPU (`model/cpu/panels.py`), by kernels of our own on a GPU (`model/gpu/fused.py`).

A network's numbers do not depend, to the bit, on its neighbours or its place. On a CPU that rests on MKL's strict mode
(`model/__init__.py`), in which neither the address of a matrix nor the number of threads changes a product. Two rules
cover what the mode leaves open, since small products are other routines', which round differently: no product of the
first layer has fewer than `NARROWEST` columns (`model/network/first_layer.py`), and none is of a single image
(`model/cpu/panels.py`). On a GPU every kernel works in tiles of a fixed size.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from model.fleet.family import MLPS, Family, Program, mlp_member
from model.network.member import BaseMember, Member
from model.network.mlp import MLP
from model.seeds import derive

ARTICLE_BATCH = 1028  # as printed in the article


@dataclass
class Fleet:
    """Trains its members, an epoch at a time; they come and go between epochs."""

    images: Any  # the training set, `Images` or `Samples`
    order_seed: int  # with the clock, the order of every epoch
    batch: int = ARTICLE_BATCH
    clock: int = 0  # epochs trained so far
    number: int = 0  # among the fleets of one order seed
    family: Family = MLPS
    members: list[BaseMember] = field(default_factory=list, init=False)
    _program: Program | None = field(default=None, init=False)  # None when members have come or gone
    _ahead: tuple[int, Tensor] | None = field(default=None, init=False)  # a clock, and the order of the epoch after it

    @property
    def units(self) -> int:
        """Hidden units that train."""
        return sum(member.units for member in self.members)

    def add(self, model: MLP, lr: float) -> Member:
        """Take in an MLP with Adam at this learning rate; it trains from the next epoch on."""
        member = mlp_member(model, lr, self.images.device)
        self.attach(member)
        return member

    def attach(self, member: BaseMember) -> None:
        """Take in a network that left this or another fleet of the device; it goes on as if it had not been away."""
        self.members.append(member)
        self._program = None

    def detach(self, member: BaseMember) -> None:
        """Take a network out; the member keeps its weights and Adam's state, and may be attached again."""
        self.members.remove(member)
        member.copy_state()
        self._program = None

    def train_epoch(self) -> None:
        """Train every member for one epoch, ordered by seed and clock; update its age, loss and last batch."""
        if self._program is None:
            self._program = self.family.program(self.images.device)(self.members, self.images, self.batch)
        self._program.train(self._order(self.clock))
        self._ahead = (self.clock + 1, self._order(self.clock + 1))  # while a GPU trains
        figures = self._program.figures()  # the epoch's only synchronisation
        for member in self.members:
            member.loss, *last = figures[member.slot]
            member.last_batch = (last[0], last[1])
            member.record_epoch(self.number, self.clock, torch.get_num_threads())
        self.clock += 1

    def _order(self, clock: int) -> Tensor:
        if self._ahead is not None and self._ahead[0] == clock:
            return self._ahead[1]
        return epoch_order(len(self.images), self.order_seed, clock)


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the samples, int64 `(samples,)`, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)
