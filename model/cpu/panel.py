"""Networks side by side: the first layers of several as one product, the layers above them as batched ones.

The first layers of a panel's networks are one product (`model/network/first_layer.py`). Their small layers run as
batched products, a `Stack` for each shape. On a CPU a wide network has a panel of its own, and narrow ones share as
many as they need. On CUDA each has one of its own, since cuBLAS chooses how to round by the shape of a product; on any
other device all of an activation share one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from model.cpu.stack import Stack, StackBuffers
from model.network.activation import relu_gradient
from model.network.arithmetic import FLOAT32, Arithmetic
from model.network.first_layer import NARROWEST, Products
from model.network.member import Member

BATCHED_UP_TO = 64  # widths up to here share a stack; wider ones fill the machine alone
SHARED_UP_TO = 128  # units of a panel that several share on a CPU: as many as keep a core's peak and its cache


@dataclass
class PanelBuffers:
    """A panel's work space for one batch size, reused by every step: fresh large temporaries would cost page faults."""

    first: Tensor  # (batch, n) what the first layers make, the latest
    d_first: Tensor  # its gradient
    stacks: list[StackBuffers]


@dataclass
class Panel:
    """Networks of one activation whose first layers, of `n` units together, are one product."""

    stacks: list[Stack]
    weights: Tensor  # (inputs + 1, n) of the first layers: a network's own if it has all of the panel, else a copy
    gradient: Tensor = field(init=False)  # theirs, (inputs + 1, n)

    def twin(self) -> "Panel":
        """Return one of the same networks, which has gradients of its own: those of another part of a minibatch."""
        stacks = [
            replace(stack, grads=[(torch.zeros_like(w), torch.zeros_like(b)) for w, b in stack.grads])
            for stack in self.stacks
        ]
        return Panel(stacks, self.weights)

    @property
    def members(self) -> list[Member]:
        """Its networks, from unit 0 on."""
        return [member for stack in self.stacks for member in stack.members]

    def buffers(self, batch: int) -> PanelBuffers:
        """Make its work space."""
        first, d_first = self.weights.new_empty(0), self.weights.new_zeros(batch, self.weights.shape[1])
        return PanelBuffers(first, d_first, [stack.buffers(d_first) for stack in self.stacks])

    def collect(self) -> None:
        """Copy the first layers' weights side by side, as they are before a step."""
        if not self._alone:
            for member, place in self._places():
                self.weights[:, place].copy_(member.values[0])

    def forward(self, inputs: Products, buffers: PanelBuffers, outputs: Tensor, rows: slice) -> None:
        """Fill its slots of the outputs, `(slots, outputs, batch)`, by the weights that were collected.

        rows: of the minibatch, which these samples are.
        """
        buffers.first = inputs.of_weights(self.weights)
        if self._cuts:
            buffers.first.clamp_min_(0)
        for stack, work in zip(self.stacks, buffers.stacks, strict=True):
            stack.forward(buffers.first, work, outputs[stack.slots], rows)

    def backward(self, inputs: Products, buffers: PanelBuffers, d_outputs: Tensor, rows: slice) -> None:
        """Work out its gradients from that of the outputs, `(slots, outputs, batch)`."""
        for stack, work in zip(self.stacks, buffers.stacks, strict=True):
            stack.backward(work, d_outputs[stack.slots], buffers.d_first, rows)
        if self._cuts:
            relu_gradient(
                buffers.d_first, buffers.first, buffers.d_first
            )  # at once: by parts it takes ten times as long
        self.gradient = inputs.of_gradient(buffers.d_first)

    def add(self, twin: "Panel") -> None:
        """Add a twin's gradients to its own."""
        self.gradient += twin.gradient
        for stack, other in zip(self.stacks, twin.stacks, strict=True):
            ours, theirs = ([grad for pair in each.grads for grad in pair] for each in (stack, other))
            torch._foreach_add_(ours, theirs)

    def spread(self) -> None:
        """Hand each network its part of the first layers' gradient; that of the others lies where it should."""
        for member, place in self._places():
            if self._alone:
                member.grads[0] = self.gradient
            else:
                member.grads[0].copy_(self.gradient[:, place])

    @property
    def is_of_one(self) -> bool:
        """Whether its network has it alone in any company, so that a product's shape is always the same."""
        return self.weights.shape[1] >= SHARED_UP_TO and len(self.members) == 1

    @property
    def _cuts(self) -> bool:
        """Whether its activation is ReLU, which cuts the first layers of all its networks at once."""
        return self.stacks[0].is_cut

    @property
    def _alone(self) -> bool:
        return self.weights is self.stacks[0].members[0].values[0]

    def _places(self) -> Iterator[tuple[Member, slice]]:
        start = 0
        for member in self.members:
            width = _width(member)
            yield member, slice(start, start + width)
            start += width


def panels(members: Sequence[Member], device: torch.device, arithmetic: Arithmetic = FLOAT32) -> list[Panel]:
    """Lay networks side by side, narrow ones first; small layers move to their slots, all else stays where it is."""
    most = {"cpu": SHARED_UP_TO, "cuda": 0}.get(device.type, sum(map(_width, members)))
    made: list[Panel] = []
    slot = 0
    for groups in _shared(_groups(members, most), most):
        stacks, start = [], 0
        for group in groups:
            own = arithmetic if max(group[0].config.hidden) > BATCHED_UP_TO else FLOAT32  # rounding costs more there
            stacks.append(_stack(group, start, slot, device, own))
            start, slot = start + len(group) * _width(group[0]), stacks[-1].slots.stop
        first = groups[0][0].values[0]
        alone = first.shape[1] == start and start >= NARROWEST
        made.append(Panel(stacks, first if alone else torch.zeros(len(first), max(start, NARROWEST), device=device)))
    return made


def _width(member: Member) -> int:
    return member.config.hidden[0]


def _shape(member: Member) -> tuple[Any, ...]:
    """Return what members of a stack have in common."""
    return member.config.activation, member.config.hidden, [rate > 0 for rate in member.config.dropout]


def _groups(members: Sequence[Member], most: int) -> Iterator[list[Member]]:
    """Return who shares a stack, narrow ones first."""
    for (_, hidden, _), same in groupby(sorted(members, key=_shape), key=_shape):
        alike, size = list(same), max(1, most // hidden[0]) if max(hidden) <= BATCHED_UP_TO else 1
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def _shared(groups: Iterator[list[Member]], most: int) -> Iterator[list[list[Member]]]:
    """Return which stacks share a panel."""
    sharing: list[list[Member]] = []
    for group in groups:
        units = sum(len(one) * _width(one[0]) for one in [*sharing, group])
        if sharing and (units > most or sharing[0][0].config.activation != group[0].config.activation):
            yield sharing
            sharing = []
        sharing.append(group)
    yield sharing


def _stack(members: list[Member], start: int, slot: int, device: torch.device, arithmetic: Arithmetic) -> Stack:
    """Make a stack, and move its networks' small layers and their gradients there; the first layers' stay with them."""
    shapes = [(len(members), *value.shape) for value in members[0].values[1:]]
    values, grads = ([torch.zeros(shape, device=device) for shape in shapes] for _ in range(2))
    for i, member in enumerate(members):
        small = [value[i] for value in values]
        for place, value in zip(small, member.values[1:], strict=True):
            place.copy_(value)
        member.values[1:], member.grads[1:] = small, [grad[i] for grad in grads]
        member.slot = slot + i
    own, theirs = (list(zip(each[::2], each[1::2], strict=True)) for each in (values, grads))
    return Stack(members, start, slice(slot, slot + len(members)), own, theirs, arithmetic)
