"""Many MLPs trained side by side as one program, on shared minibatches.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. Units of all networks lie side by side,
so the first layer of all of them, 95 % of the arithmetic at 25 units, is one product (`model/pixels.py`). The small
layers run as batched products, a `Stack` for each padded width. Every network is a `Lane` with its own learning rate,
its own Adam state and its own age.

The first layer's activations are `(batch, units)`; those above it `(units, batch)`, a network each.

A network's numbers do not depend, to the bit, on its neighbours or its place. Three rules keep that so, each found by
measurement (MKL on AVX2): units start on a multiple of `ALIGN`; a stack of small networks never has fewer than two
slots, a stack of large ones always has one; every minibatch, what is left for the last one too, is an even number of
images (1028, and 656 or 376 of MNIST), since an odd one puts logits at addresses where MKL rounds differently. A
fourth, for the first layer, is in `model/pixels.py` (`NARROWEST`).
"""

from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from model.data import Images
from model.lane import CLASSES, Lane, padded_weights
from model.mlp import MLP
from model.pixels import Panel, Products, panels, products
from model.replay import Record, Replay, Step, cuda_graph
from model.seeds import derive

BATCHED_UP_TO = 64  # padded widths up to here share a stack; wider ones fill the machine alone
ARTICLE_BATCH = 1028  # as printed in the article


@dataclass
class Stack:
    """The small layers of all networks of one padded width `p`, in `k` slots."""

    units: int  # p
    start: int  # of slot 0 among all units of the first layer
    stride: int  # units from slot to slot: p, or the way to the spare ones for a second slot that nobody has
    slots: slice  # of the logits, k of them
    values: list[Tensor]  # w2 (k, p, p), b2 (k, p, 1), w3 (k, 10, p), b3 (k, 10, 1)
    grads: list[Tensor]  # the same shapes


@dataclass
class Buffers:
    """Work space for one batch size, reused by every step: fresh large temporaries would cost page faults."""

    first: Tensor  # (batch, units + BATCHED_UP_TO) first hidden layer, and the spare units
    second: list[Tensor]  # (k, p, batch) second hidden layer, a stack each
    logits: Tensor  # (slots, 10, batch)
    d_first: Tensor  # gradients, of the same shapes
    d_second: list[Tensor]
    d_own: list[Tensor]  # (k, batch, p) of the first hidden layer before ReLU's mask, a stack each
    d_logits: Tensor


@dataclass
class Fleet:
    """Trains whoever has joined, an epoch at a time; join and leave between epochs."""

    images: Images  # the training set
    order_seed: int  # with the clock, the order of every epoch
    batch: int = ARTICLE_BATCH
    clock: int = 0  # epochs trained so far
    number: int = 0  # among the fleets of one order seed
    lanes: list[Lane] = field(default_factory=list, init=False)
    record: Record | None = field(init=False)  # how a step is recorded to be played back, if at all
    _panels: list[Panel] = field(default_factory=list, init=False)
    _stacks: list[Stack] = field(default_factory=list, init=False)
    _buffers: dict[int, Buffers] = field(default_factory=dict, init=False)
    _replays: dict[int, Replay] = field(default_factory=dict, init=False)
    _packed: bool = field(default=False, init=False)
    _slots: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.record = cuda_graph if self.images.pixels.device.type == "cuda" else None

    @property
    def units(self) -> int:
        """Rows in use."""
        return sum(lane.units for lane in self.lanes)

    def join(self, model: MLP, lr: float) -> Lane:
        """Take in a network with Adam at this learning rate; it trains from the next epoch on."""
        device = self.images.pixels.device
        values = [value.to(device) for value in padded_weights(model)]
        grads, moments, squares = ([torch.zeros_like(value) for value in values] for _ in range(3))
        steps = torch.zeros((), device=device)
        lane = Lane(model.config, lr, values, grads, moments, squares, steps)
        self.rejoin(lane)
        return lane

    def rejoin(self, lane: Lane) -> None:
        """Take in a network that left this or another fleet of the device; it goes on as if it had not been away."""
        self.lanes.append(lane)
        self._packed = False

    def leave(self, lane: Lane) -> None:
        """Free the network's room; the lane keeps its weights, and may rejoin."""
        self.lanes.remove(lane)
        lane.values = [value.clone() for value in lane.values]
        self._packed = False

    @torch.no_grad()
    def train_epoch(self) -> None:
        """Train every lane for one epoch, ordered by seed and clock; update its age, loss and last batch."""
        if not self._packed:
            self._pack()
        device, n = self.images.pixels.device, len(self.images)
        losses = torch.zeros(self._slots, device=device)
        for index in epoch_order(n, self.order_seed, self.clock).to(device).split(self.batch):  # type: ignore[no-untyped-call]
            batch_losses = self._trainer(len(index))(index)
            losses += batch_losses * (len(index) / n)
        correct = (self._buffers[len(index)].logits.argmax(1) == self.images.labels[index]).float().mean(1)
        self._grow_older(torch.stack([losses, correct, batch_losses]).tolist())  # the epoch's only synchronisation
        self.clock += 1

    def _grow_older(self, figures: list[list[float]]) -> None:
        for lane in self.lanes:
            lane.loss, *last = (row[lane.slot] for row in figures)
            lane.last_batch = (last[0], last[1])
            lane.grow_older(self.number, self.clock, torch.get_num_threads())

    def _trainer(self, batch: int) -> Step:
        """Return what trains a minibatch of this size: the step, played back where launches would take the time."""
        if self.record is None:
            return self._step
        return self._replays.setdefault(batch, Replay(self._step, self.record))

    def _step(self, index: Tensor) -> Tensor:
        """Train one minibatch; return each slot's mean loss before the update, `(slots,)`."""
        buffers = self._buffers_for(len(index))
        inputs = products(self.images, index)
        self._forward(buffers, inputs)
        losses = _loss_and_gradient(buffers, self.images.labels[index])
        self._backward(buffers, inputs)
        for lane in self.lanes:
            lane.update()
        return losses

    def _forward(self, buffers: Buffers, inputs: Products) -> None:
        for panel in self._panels:
            torch.clamp_min(inputs.of_weights(panel.collect()), 0, out=buffers.first[:, panel.units])
        for stack, second in zip(self._stacks, buffers.second, strict=True):
            w2, b2, w3, b3 = stack.values
            torch.baddbmm(b2, w2, _stacked(buffers.first, stack).mT, out=second).relu_()
            torch.baddbmm(b3, w3, second, out=buffers.logits[stack.slots])

    def _backward(self, buffers: Buffers, inputs: Products) -> None:
        for stack, second, d_second, d_own in zip(
            self._stacks, buffers.second, buffers.d_second, buffers.d_own, strict=True
        ):
            (w2, _, w3, _), (g_w2, g_b2, g_w3, g_b3) = stack.values, stack.grads
            d_logits, first = buffers.d_logits[stack.slots], _stacked(buffers.first, stack)
            torch.bmm(d_logits, second.mT, out=g_w3)
            torch.sum(d_logits, 2, keepdim=True, out=g_b3)
            _masked(torch.bmm(w3.mT, d_logits, out=d_second), second, d_second)
            torch.bmm(d_second, first, out=g_w2)
            torch.sum(d_second, 2, keepdim=True, out=g_b2)
            _masked(torch.bmm(d_second.mT, w2, out=d_own), first, _stacked(buffers.d_first, stack))
        for panel in self._panels:
            panel.spread(inputs.of_gradient(buffers.d_first[:, panel.units].contiguous()))

    def _pack(self) -> None:
        """Lay all lanes side by side, narrow ones first; only weights move, Adam's state stays with its lane."""
        device, total = self.images.pixels.device, self.units
        self._stacks, self._buffers, self._replays, self._slots = [], {}, {}, 0
        placed: list[tuple[int, Lane]] = []
        start = 0
        for members in _groups(self.lanes):
            stack = _new_stack(members, start, total, self._slots, device)
            for i, lane in enumerate(members):
                _settle(lane, stack, i)
                placed.append((start + i * lane.units, lane))
            self._stacks.append(stack)
            start, self._slots = start + len(members) * stack.units, stack.slots.stop
        self._panels = panels(placed, total, device)
        self._packed = True

    def _buffers_for(self, batch: int) -> Buffers:
        if batch not in self._buffers:
            self._buffers[batch] = _new_buffers(batch, self.units, self._slots, self._stacks, self.images.pixels.device)
        return self._buffers[batch]


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the samples, int64 `(samples,)`, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)


def _settle(lane: Lane, stack: Stack, i: int) -> None:
    """Move a lane's small layers and their gradients to slot `i` of a stack; the first layer's stay with it."""
    small = [value[i] for value in stack.values]
    for place, value in zip(small, lane.values[1:], strict=True):
        place.copy_(value)
    lane.values[1:], lane.grads[1:] = small, [grad[i] for grad in stack.grads]
    lane.slot = stack.slots.start + i


def _groups(lanes: list[Lane]) -> list[list[Lane]]:
    """Return who shares a stack."""
    groups: list[list[Lane]] = []
    for units, same in groupby(sorted(lanes, key=lambda lane: lane.units), key=lambda lane: lane.units):
        members = list(same)
        groups += [members] if units <= BATCHED_UP_TO else [[lane] for lane in members]
    return groups


def _new_stack(members: list[Lane], start: int, spare: int, slot: int, device: torch.device) -> Stack:
    """Make a stack that starts at a unit; a small network alone gets a second slot, whose units are the spare ones.

    Many may use those: nobody reads what is written there.
    """
    p = members[0].units
    lonely = len(members) == 1 and p <= BATCHED_UP_TO
    k = 2 if lonely else len(members)
    shapes = [(k, p, p), (k, p, 1), (k, CLASSES, p), (k, CLASSES, 1)]
    values, grads = ([torch.zeros(shape, device=device) for shape in shapes] for _ in range(2))
    return Stack(p, start, spare - start if lonely else p, slice(slot, slot + k), values, grads)


def _new_buffers(batch: int, units: int, slots: int, stacks: list[Stack], device: torch.device) -> Buffers:
    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device=device)

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, device=device)

    return Buffers(
        first=zeros(batch, units + BATCHED_UP_TO),
        second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        logits=empty(slots, CLASSES, batch),
        d_first=zeros(batch, units + BATCHED_UP_TO),
        d_second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        d_own=[empty(s.slots.stop - s.slots.start, batch, s.units) for s in stacks],
        d_logits=empty(slots, CLASSES, batch),
    )


def _stacked(wide: Tensor, stack: Stack) -> Tensor:
    """View a stack's units of `(batch, units)` as `(k, batch, p)`."""
    k, (batch, width) = stack.slots.stop - stack.slots.start, wide.shape
    return wide.as_strided((k, batch, stack.units), (stack.stride, width, 1), stack.start)


def _masked(gradient: Tensor, activation: Tensor, out: Tensor) -> None:
    """Copy the gradient, with zero for every unit that ReLU had cut off."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=out)


def _loss_and_gradient(buffers: Buffers, labels: Tensor) -> Tensor:
    """Fill the gradient of the mean cross-entropy with respect to the logits; return each slot's loss, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = (labels == torch.arange(CLASSES, device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(len(labels))
    return log_p.mul_(target).sum((1, 2)).neg_() / len(labels)
