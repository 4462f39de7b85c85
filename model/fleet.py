"""Many MLPs trained side by side as one program, on shared minibatches.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. Units of all networks lie side by side
as the rows of one matrix, so the first layer of all of them, 95 % of the arithmetic at 25 units, is one wide product.
The small layers run as batched products, a `Stack` for each padded width. Every network is a `Lane` with its own
learning rate, its own Adam state and its own age.

Activations are `(units, batch)`, so a network's rows are contiguous whatever its neighbours; the bias of the first
layer is the 785th column of its weights, against a constant 1 in the input.

A network's numbers do not depend, to the bit, on its neighbours or its place. Four rules keep that so, each found by
measurement (MKL on AVX2): rows start on a multiple of `ALIGN`; no product is narrower than `MIN_UNITS` rows; a stack
of small networks never has fewer than two slots, a stack of large ones always has one; every minibatch, what is left
for the last one too, is an even number of images (1028, and 656 or 376 of MNIST), since an odd one puts logits at
addresses where MKL rounds differently.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from model.data import Images
from model.lane import CLASSES, INPUTS, Lane, padded_weights
from model.mlp import MLP
from model.pixels import BIAS, MOST, Lit, lit
from model.replay import Record, Replay, Step, cuda_graph
from model.seeds import derive

MIN_UNITS = 256  # the wide product is never narrower: below it MKL may pick another kernel, with other rounding
BATCHED_UP_TO = 64  # padded widths up to here share a stack; wider ones fill the machine alone
ARTICLE_BATCH = 1028  # as printed in the article


@dataclass
class Stack:
    """The small layers of all networks of one padded width `p`, in `k` slots."""

    units: int  # p
    row: int  # of the wide first layer, where slot 0 starts
    stride: int  # rows from slot to slot: p, or the way to the spare rows for a second slot that nobody has
    slots: slice  # of the logits, k of them
    values: list[Tensor]  # w2 (k, p, p), b2 (k, p, 1), w3 (k, 10, p), b3 (k, 10, 1)
    grads: list[Tensor]  # the same shapes


@dataclass
class Buffers:
    """Work space for one batch size, reused by every step: fresh large temporaries would cost page faults."""

    pixels: Tensor  # (batch, 784) uint8
    inputs: Tensor  # (batch, 786) uint8, the last columns 255, which stands for 1, and 0
    bright: Tensor  # (batch * K,) uint8, flat, the K columns of it that this minibatch needs
    lit: Tensor  # (batch * K,) the same as fractions
    first: Tensor  # (units + BATCHED_UP_TO, batch) first hidden layer, and the spare rows
    second: list[Tensor]  # (k, p, batch) second hidden layer, a stack each
    logits: Tensor  # (slots, 10, batch)
    d_first: Tensor  # gradients, of the same shapes
    d_second: list[Tensor]
    d_logits: Tensor


@dataclass
class Fleet:
    """Trains whoever has joined, an epoch at a time; join and leave between epochs."""

    images: Images  # the training set
    order_seed: int  # with the clock, the order of every epoch
    batch: int = ARTICLE_BATCH
    clock: int = 0  # epochs trained so far
    lanes: list[Lane] = field(default_factory=list, init=False)
    record: Record | None = field(init=False)  # how a step is recorded to be played back, if at all
    _stacks: list[Stack] = field(default_factory=list, init=False)
    _buffers: dict[int, Buffers] = field(default_factory=dict, init=False)
    _replays: dict[int, Replay] = field(default_factory=dict, init=False)
    _packed: bool = field(default=False, init=False)
    _slots: int = field(default=0, init=False)
    _wide: Tensor = field(init=False)  # (units, 785) first layer of all lanes
    _wide_grad: Tensor = field(init=False)
    _lit: Tensor = field(init=False)  # (units * K,) flat, the columns of it that this minibatch needs
    _lit_grad: Tensor = field(init=False)

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
        lane = Lane(model.config, self.clock, lr, values, grads, moments, squares, steps)
        self.lanes.append(lane)
        self._packed = False
        return lane

    def leave(self, lane: Lane) -> None:
        """Free the network's room; the lane keeps its weights."""
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
            lane.age += 1

    def _trainer(self, batch: int) -> Step:
        """Return what trains a minibatch of this size: the step, played back where launches would take the time."""
        if self.record is None:
            return self._step
        return self._replays.setdefault(batch, Replay(self._step, self.record))

    def _step(self, index: Tensor) -> Tensor:
        """Train one minibatch; return each slot's mean loss before the update, `(slots,)`."""
        buffers = self._buffers_for(len(index))
        columns = self._gather(index, buffers)
        self._forward(buffers, columns)
        losses = _loss_and_gradient(buffers, self.images.labels[index])
        self._backward(buffers, columns)
        for lane in self.lanes:
            lane.update()
        return losses

    def _gather(self, index: Tensor, buffers: Buffers) -> Lit:
        """Fetch a minibatch and return the columns of it that are lit."""
        torch.index_select(self.images.pixels, 0, index, out=buffers.pixels)
        buffers.inputs[:, :INPUTS].copy_(buffers.pixels)
        columns = lit(buffers.pixels) if index.device.type == "cpu" else self._ever_lit
        bright = _matrix(buffers.bright, columns, buffers.inputs)
        _select(buffers.inputs, columns.of_inputs, bright)  # as bytes: of floats it takes four times the memory's time
        _matrix(buffers.lit, columns, buffers.inputs).copy_(bright).div_(255)
        return columns

    @cached_property
    def _ever_lit(self) -> Lit:
        """The columns that the training set needs: fixed shapes, and nothing to wait for, where waiting is dear."""
        return lit(self.images.pixels)

    def _forward(self, buffers: Buffers, columns: Lit) -> None:
        wide, inputs = _matrix(self._lit, columns, self._wide), _matrix(buffers.lit, columns, buffers.inputs)
        _select(self._wide, columns.of_weights, wide)
        torch.mm(wide, inputs.T, out=buffers.first[: len(wide)]).relu_()
        for stack, second in zip(self._stacks, buffers.second, strict=True):
            w2, b2, w3, b3 = stack.values
            torch.baddbmm(b2, w2, _stacked(buffers.first, stack), out=second).relu_()
            torch.baddbmm(b3, w3, second, out=buffers.logits[stack.slots])

    def _backward(self, buffers: Buffers, columns: Lit) -> None:
        for stack, second, d_second in zip(self._stacks, buffers.second, buffers.d_second, strict=True):
            (w2, _, w3, _), (g_w2, g_b2, g_w3, g_b3) = stack.values, stack.grads
            d_logits, first = buffers.d_logits[stack.slots], _stacked(buffers.first, stack)
            torch.bmm(d_logits, second.mT, out=g_w3)
            torch.sum(d_logits, 2, keepdim=True, out=g_b3)
            _masked(torch.bmm(w3.mT, d_logits, out=d_second), second)
            torch.bmm(d_second, first.mT, out=g_w2)
            torch.sum(d_second, 2, keepdim=True, out=g_b2)
            torch.bmm(w2.mT, d_second, out=_stacked(buffers.d_first, stack))
        grad, d_first = _matrix(self._lit_grad, columns, self._wide), buffers.d_first[: len(self._wide)]
        _masked(d_first, buffers.first[: len(self._wide)])
        torch.mm(d_first, _matrix(buffers.lit, columns, buffers.inputs), out=grad)
        _select(grad, columns.back, self._wide_grad)

    def _pack(self) -> None:
        """Lay all lanes side by side, narrow ones first; only weights move, Adam's state stays with its lane."""
        device = self.images.pixels.device
        total = max(MIN_UNITS, self.units)
        self._wide, self._wide_grad = (torch.zeros(total, INPUTS + 1, device=device) for _ in range(2))
        self._lit, self._lit_grad = (torch.empty(total * MOST, device=device) for _ in range(2))
        self._stacks, self._buffers, self._replays, self._slots = [], {}, {}, 0
        row = 0
        for members in _groups(self.lanes):
            stack = _new_stack(members, row, total, self._slots, device)
            for i, lane in enumerate(members):
                self._settle(lane, stack, i)
            self._stacks.append(stack)
            row, self._slots = row + len(members) * stack.units, stack.slots.stop
        self._packed = True

    def _settle(self, lane: Lane, stack: Stack, i: int) -> None:
        """Move a lane's weights and gradients to slot `i` of a stack."""
        start = stack.row + i * lane.units
        rows = slice(start, start + lane.units)
        values = [self._wide[rows], *(value[i] for value in stack.values)]
        for place, value in zip(values, lane.values, strict=True):
            place.copy_(value)
        lane.values, lane.grads = values, [self._wide_grad[rows], *(grad[i] for grad in stack.grads)]
        lane.slot = stack.slots.start + i

    def _buffers_for(self, batch: int) -> Buffers:
        if batch not in self._buffers:
            self._buffers[batch] = _new_buffers(batch, len(self._wide), self._slots, self._stacks, self._wide.device)
        return self._buffers[batch]


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the samples, int64 `(samples,)`, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)


def _groups(lanes: list[Lane]) -> list[list[Lane]]:
    """Return who shares a stack."""
    groups: list[list[Lane]] = []
    for units, same in groupby(sorted(lanes, key=lambda lane: lane.units), key=lambda lane: lane.units):
        members = list(same)
        groups += [members] if units <= BATCHED_UP_TO else [[lane] for lane in members]
    return groups


def _new_stack(members: list[Lane], row: int, spare: int, slot: int, device: torch.device) -> Stack:
    """Make a stack that starts at a row; a small network alone gets a second slot, whose rows are the spare ones.

    Many may use those: nobody reads what is written there.
    """
    p = members[0].units
    lonely = len(members) == 1 and p <= BATCHED_UP_TO
    k = 2 if lonely else len(members)
    shapes = [(k, p, p), (k, p, 1), (k, CLASSES, p), (k, CLASSES, 1)]
    values, grads = ([torch.zeros(shape, device=device) for shape in shapes] for _ in range(2))
    return Stack(p, row, spare - row if lonely else p, slice(slot, slot + k), values, grads)


def _new_buffers(batch: int, units: int, slots: int, stacks: list[Stack], device: torch.device) -> Buffers:
    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device=device)

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, device=device)

    def octets(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.uint8, device=device)

    inputs = octets(batch, INPUTS + 2)
    inputs[:, BIAS] = 255
    return Buffers(
        pixels=octets(batch, INPUTS),
        inputs=inputs,
        bright=octets(batch * MOST),
        lit=empty(batch * MOST),
        first=zeros(units + BATCHED_UP_TO, batch),
        second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        logits=empty(slots, CLASSES, batch),
        d_first=zeros(units + BATCHED_UP_TO, batch),  # rows below MIN_UNITS without a lane stay zero
        d_second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        d_logits=empty(slots, CLASSES, batch),
    )


def _matrix(flat: Tensor, columns: Lit, like: Tensor) -> Tensor:
    """View the start of a flat buffer as a matrix with as many rows as `like`, and the columns that are lit."""
    return flat[: len(like) * len(columns.of_inputs)].view(len(like), -1)


def _select(matrix: Tensor, columns: Tensor, out: Tensor) -> None:
    """Copy these columns; on a CPU `index_select` takes twice as long."""
    torch.gather(matrix, 1, columns.expand(len(matrix), -1), out=out)


def _stacked(wide: Tensor, stack: Stack) -> Tensor:
    """View a stack's rows of `(units, batch)` as `(k, p, batch)`."""
    k, batch = stack.slots.stop - stack.slots.start, wide.shape[1]
    return wide.as_strided((k, stack.units, batch), (stack.stride * batch, batch, 1), stack.row * batch)


def _masked(gradient: Tensor, activation: Tensor) -> Tensor:
    """Zero in place the gradient of every unit that ReLU had cut off."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)  # type: ignore[no-any-return]


def _loss_and_gradient(buffers: Buffers, labels: Tensor) -> Tensor:
    """Fill the gradient of the mean cross-entropy with respect to the logits; return each slot's loss, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = (labels == torch.arange(CLASSES, device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(len(labels))
    return log_p.mul_(target).sum((1, 2)).neg_() / len(labels)
