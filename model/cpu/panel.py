"""Networks side by side: the layers of several as one program, forward and backward, written out by hand.

The first layers of a panel's networks are one product (`model/network/first_layer.py`). Their small layers run as
batched products, a `Stack` for each width. On a CPU a wide network has a panel of its own, and narrow ones share as
many as they need; where there is neither a CPU nor `model/gpu/fused.py`, all share one.

The first layer's activations are `(batch, units)`; those above it `(units, batch)`, a network each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import torch
from torch import Tensor

from model.network.first_layer import NARROWEST, Products
from model.network.member import CLASSES, INPUTS, Member

BATCHED_UP_TO = 64  # widths up to here share a stack; wider ones fill the machine alone
SHARED_UP_TO = 128  # units of a panel that several share on a CPU: as many as keep a core's peak and its cache


@dataclass
class Stack:
    """The small layers of `k` networks of one width `p`, a slot each."""

    members: list[Member]
    start: int  # of slot 0 among the panel's units
    slots: slice  # of the logits, k of them
    values: list[Tensor]  # w2 (k, p, p), b2 (k, p, 1), w3 (k, 10, p), b3 (k, 10, 1)
    grads: list[Tensor]  # the same shapes

    def of_panel(self, first: Tensor) -> Tensor:
        """View its networks' units of `(batch, units)` as `(k, batch, p)`."""
        p = self.members[0].units
        return first.as_strided((len(self.members), len(first), p), (p, first.stride(0), 1), self.start)


@dataclass
class StackBuffers:
    """A stack's work space for one batch size."""

    second: Tensor  # (k, p, batch) second hidden layer
    d_second: Tensor  # gradients
    d_own: Tensor  # (k, batch, p) of the first hidden layer before ReLU's mask


@dataclass
class PanelBuffers:
    """A panel's work space for one batch size, reused by every step: fresh large temporaries would cost page faults."""

    first: Tensor  # (batch, n) first hidden layer, the latest
    d_first: Tensor  # its gradient
    stacks: list[StackBuffers]


@dataclass
class Panel:
    """Networks whose first layers, of `n` units together, are one product."""

    stacks: list[Stack]
    weights: Tensor  # (785, n) of the first layers: a network's own if it has all of the panel, else a copy
    gradient: Tensor = field(init=False)  # theirs, (785, n)

    def twin(self) -> "Panel":
        """Return one of the same networks, which has gradients of its own: those of another part of a minibatch."""
        stacks = [replace(stack, grads=[torch.zeros_like(grad) for grad in stack.grads]) for stack in self.stacks]
        return Panel(stacks, self.weights)

    @property
    def members(self) -> list[Member]:
        """Its networks, from unit 0 on."""
        return [member for stack in self.stacks for member in stack.members]

    def buffers(self, batch: int) -> PanelBuffers:
        """Make its work space."""
        first, d_first = self.weights.new_empty(0), self.weights.new_zeros(batch, self.weights.shape[1])
        return PanelBuffers(first, d_first, [_stack_buffers(stack, d_first) for stack in self.stacks])

    def collect(self) -> None:
        """Copy the first layers' weights side by side, as they are before a step."""
        if not self._alone:
            for member, place in self._places():
                self.weights[:, place].copy_(member.values[0])

    def forward(self, inputs: Products, buffers: PanelBuffers, logits: Tensor) -> None:
        """Fill its slots of the logits, `(slots, 10, batch)`, by the weights that were collected."""
        buffers.first = inputs.of_weights(self.weights).clamp_min_(0)
        for stack, work in zip(self.stacks, buffers.stacks, strict=True):
            w2, b2, w3, b3 = stack.values
            torch.baddbmm(b2, w2, stack.of_panel(buffers.first).mT, out=work.second).relu_()
            torch.baddbmm(b3, w3, work.second, out=logits[stack.slots])

    def backward(self, inputs: Products, buffers: PanelBuffers, d_logits: Tensor) -> None:
        """Work out its gradients from that of the logits, `(slots, 10, batch)`."""
        for stack, work in zip(self.stacks, buffers.stacks, strict=True):
            (w2, _, w3, _), (g_w2, g_b2, g_w3, g_b3) = stack.values, stack.grads
            d_own, second, d_second = d_logits[stack.slots], work.second, work.d_second
            torch.bmm(d_own, second.mT, out=g_w3)
            torch.sum(d_own, 2, keepdim=True, out=g_b3)
            _masked(torch.bmm(w3.mT, d_own, out=d_second), second, d_second)
            torch.bmm(d_second, stack.of_panel(buffers.first), out=g_w2)
            torch.sum(d_second, 2, keepdim=True, out=g_b2)
            torch.bmm(d_second.mT, w2, out=work.d_own)
            first, d_first = stack.of_panel(buffers.first), stack.of_panel(buffers.d_first)
            _masked(work.d_own, first, d_first)
        self.gradient = inputs.of_gradient(buffers.d_first)

    def add(self, twin: "Panel") -> None:
        """Add a twin's gradients to its own."""
        self.gradient += twin.gradient
        for stack, other in zip(self.stacks, twin.stacks, strict=True):
            torch._foreach_add_(stack.grads, other.grads)

    def spread(self) -> None:
        """Hand each network its part of the first layers' gradient; that of the others lies where it should."""
        for member, place in self._places():
            if self._alone:
                member.grads[0] = self.gradient
            else:
                member.grads[0].copy_(self.gradient[:, place])

    @property
    def _alone(self) -> bool:
        return self.weights is self.stacks[0].members[0].values[0]

    def _places(self) -> Iterator[tuple[Member, slice]]:
        start = 0
        for member in self.members:
            yield member, slice(start, start + member.units)
            start += member.units


def panels(members: Sequence[Member], device: torch.device) -> list[Panel]:
    """Lay networks side by side, narrow ones first; small layers move to their slots, all else stays where it is."""
    most = SHARED_UP_TO if device.type == "cpu" else sum(member.units for member in members)
    made: list[Panel] = []
    slot = 0
    for groups in _shared(_groups(members, most), most):
        stacks, start = [], 0
        for group in groups:
            stacks.append(_stack(group, start, slot, device))
            start, slot = start + len(group) * group[0].units, stacks[-1].slots.stop
        own = groups[0][0].values[0]
        alone = own.shape[1] == start and start >= NARROWEST
        made.append(Panel(stacks, own if alone else torch.zeros(INPUTS + 1, max(start, NARROWEST), device=device)))
    return made


def _groups(members: Sequence[Member], most: int) -> Iterator[list[Member]]:
    """Return who shares a stack, narrow ones first."""
    for units, same in groupby(sorted(members, key=lambda member: member.units), key=lambda member: member.units):
        alike, size = list(same), most // units if units <= BATCHED_UP_TO else 1
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def _shared(groups: Iterator[list[Member]], most: int) -> Iterator[list[list[Member]]]:
    """Return which stacks share a panel."""
    sharing: list[list[Member]] = []
    for group in groups:
        if sharing and sum(len(one) * one[0].units for one in [*sharing, group]) > most:
            yield sharing
            sharing = []
        sharing.append(group)
    yield sharing


def _stack(members: list[Member], start: int, slot: int, device: torch.device) -> Stack:
    """Make a stack, and move its networks' small layers and their gradients there; the first layers' stay with them."""
    p, k = members[0].units, len(members)
    shapes = [(k, p, p), (k, p, 1), (k, CLASSES, p), (k, CLASSES, 1)]
    values, grads = ([torch.zeros(shape, device=device) for shape in shapes] for _ in range(2))
    for i, member in enumerate(members):
        small = [value[i] for value in values]
        for place, value in zip(small, member.values[1:], strict=True):
            place.copy_(value)
        member.values[1:], member.grads[1:] = small, [grad[i] for grad in grads]
        member.slot = slot + i
    return Stack(members, start, slice(slot, slot + k), values, grads)


def _stack_buffers(stack: Stack, d_first: Tensor) -> StackBuffers:
    """Make a stack's work space; a network that has the panel for itself has its gradient masked where it is."""
    (k, p, _), (batch, units) = stack.values[0].shape, d_first.shape
    second, d_second = (d_first.new_empty(k, p, batch) for _ in range(2))
    alone = (k, p) == (1, units)
    return StackBuffers(second, d_second, d_first[None] if alone else d_first.new_empty(k, batch, p))


def _masked(gradient: Tensor, activation: Tensor, out: Tensor) -> None:
    """Copy the gradient, with zero for every unit that ReLU had cut off."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=out)
