"""Many MLPs trained side by side as one program, on shared minibatches.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. Units of all networks lie side by side
as the rows of one matrix, so the first layer of all of them, 95 % of the arithmetic, is one wide product. The small
layers run as batched products, a `Stack` for each padded width. Every network keeps its own learning rate, its own
Adam state and its own age.

Conventions: activations are `(units, batch)`, so a network's rows are contiguous whatever its neighbours; the bias of
the first layer is the 785th column of its weights, against a constant 1 in the input. Widths are padded with zeros to a
multiple of `ALIGN`. A padded unit stays at exactly zero: ReLU'(0) is 0, so its gradients and Adam's moments are 0.

A network's numbers do not depend, to the bit, on its neighbours or its place. Four rules keep that so, each found by
measurement (MKL on AVX2 and AVX-512): rows start on a multiple of `ALIGN`; no product is narrower than `MIN_UNITS`
rows; a stack of small networks never has fewer than two slots, a stack of large ones always has one; every minibatch,
what is left for the last one too, is an even number of images (1028, and 656 or 376 of MNIST), since an odd one puts
logits at addresses where MKL rounds differently.
"""

from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor, nn

from model.data import Images
from model.mlp import MLP, MLPConfig
from model.seeds import derive

ALIGN = 16  # rows of a network start on, and are padded to, a multiple of this
MIN_UNITS = 256  # the wide product is never narrower: below it MKL may pick another kernel, with other rounding
BATCHED_UP_TO = 64  # padded widths up to here share a stack; wider ones fill the machine alone
ARTICLE_BATCH = 1028  # as printed in the article
INPUTS, CLASSES = 784, 10


def padded(hidden_units: int) -> int:
    """Return the rows a network of this width takes in a fleet."""
    return -(-hidden_units // ALIGN) * ALIGN


@dataclass(eq=False)
class Lane:
    """One network's place in a fleet, from joining to leaving."""

    config: MLPConfig
    first_epoch: int  # the fleet's clock when it joined; with the fleet's seed it names every minibatch seen
    lr: float
    values: list[Tensor]  # w1 (p, 785), w2 (p, p), b2 (p, 1), w3 (10, p), b3 (10, 1); views once packed
    grads: list[Tensor]  # the same shapes, as are Adam's moments
    moments: list[Tensor]
    squares: list[Tensor]
    steps: Tensor  # () float32, Adam's count
    age: int = 0  # epochs trained
    loss: float = float("nan")  # mean training loss over the last epoch's samples, each before its own update
    last_batch: tuple[float, float] = (float("nan"), float("nan"))  # accuracy and loss of the epoch's last batch
    slot: int = -1  # index of its logits

    @property
    def units(self) -> int:
        """Rows it takes."""
        return padded(self.config.hidden_units)

    def network(self) -> MLP:
        """Return a copy of its weights as a plain module on the same device."""
        h = self.config.hidden_units
        w1, w2, b2, w3, b3 = self.values
        with torch.device("meta"):  # no initial weights to be drawn, only to be overwritten
            model = MLP(self.config)
        model.to_empty(device=w1.device)
        weights = [w1[:h, :INPUTS], w1[:h, INPUTS], w2[:h, :h], b2[:h, 0], w3[:, :h], b3[:, 0]]
        with torch.no_grad():
            for own, packed in zip(model.parameters(), weights, strict=True):
                own.copy_(packed)
        return model

    def update(self) -> None:
        """Take one step of Adam at PyTorch's defaults: the kernel behind `torch.optim.Adam(fused=True)`.

        Called by itself, since the optimizer around it costs six times the kernel at this size. Its rounding depends
        on a tensor's own shape alone, not on what lies beside it in memory.
        """
        self.steps += 1
        counts = [self.steps] * len(self.values)
        torch._fused_adam_(
            self.values,
            self.grads,
            self.moments,
            self.squares,
            [],
            counts,
            lr=self.lr,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )


@dataclass
class Stack:
    """The small layers of all networks of one padded width `p`, in `k` slots."""

    units: int  # p
    rows: slice  # of the wide first layer, k * p of them
    slots: slice  # of the logits, k of them
    values: list[Tensor]  # w2 (k, p, p), b2 (k, p, 1), w3 (k, 10, p), b3 (k, 10, 1)
    grads: list[Tensor]  # the same shapes


@dataclass
class Buffers:
    """Work space for one batch size, reused by every step: fresh large temporaries would cost page faults."""

    pixels: Tensor  # (batch, 784) uint8
    inputs: Tensor  # (batch, 785), last column 1
    first: Tensor  # (units, batch) first hidden layer
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
    _stacks: list[Stack] = field(default_factory=list, init=False)
    _buffers: dict[int, Buffers] = field(default_factory=dict, init=False)
    _packed: bool = field(default=False, init=False)
    _slots: int = field(default=0, init=False)
    _wide: Tensor = field(init=False)  # (units, 785) first layer of all lanes
    _wide_grad: Tensor = field(init=False)

    @property
    def units(self) -> int:
        """Rows in use."""
        return sum(lane.units for lane in self.lanes)

    def join(self, model: MLP, lr: float) -> Lane:
        """Take in a network with Adam at this learning rate; it trains from the next epoch on."""
        device = self.images.pixels.device
        values = [value.to(device) for value in _padded_weights(model)]
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
            labels = self.images.labels[index]
            batch_losses = self._step(index, labels)
            losses += batch_losses * (len(index) / n)
        correct = (self._buffers[len(index)].logits.argmax(1) == labels).float().mean(1)
        self._grow_older(torch.stack([losses, correct, batch_losses]).tolist())  # the epoch's only synchronisation
        self.clock += 1

    def _grow_older(self, figures: list[list[float]]) -> None:
        for lane in self.lanes:
            lane.loss, *last = (row[lane.slot] for row in figures)
            lane.last_batch = (last[0], last[1])
            lane.age += 1

    def _step(self, index: Tensor, labels: Tensor) -> Tensor:
        """Train one minibatch; return each slot's mean loss before the update, `(slots,)`."""
        buffers = self._buffers_for(len(index))
        self._gather(index, buffers)
        self._forward(buffers)
        losses = _loss_and_gradient(buffers, labels)
        self._backward(buffers)
        for lane in self.lanes:
            lane.update()
        return losses

    def _gather(self, index: Tensor, buffers: Buffers) -> None:
        torch.index_select(self.images.pixels, 0, index, out=buffers.pixels)
        buffers.inputs[:, :-1].copy_(buffers.pixels).div_(255)

    def _forward(self, buffers: Buffers) -> None:
        torch.mm(self._wide, buffers.inputs.T, out=buffers.first).relu_()
        for stack, second in zip(self._stacks, buffers.second, strict=True):
            w2, b2, w3, b3 = stack.values
            torch.baddbmm(b2, w2, _stacked(buffers.first, stack), out=second).relu_()
            torch.baddbmm(b3, w3, second, out=buffers.logits[stack.slots])

    def _backward(self, buffers: Buffers) -> None:
        for stack, second, d_second in zip(self._stacks, buffers.second, buffers.d_second, strict=True):
            (w2, _, w3, _), (g_w2, g_b2, g_w3, g_b3) = stack.values, stack.grads
            d_logits, first = buffers.d_logits[stack.slots], _stacked(buffers.first, stack)
            torch.bmm(d_logits, second.mT, out=g_w3)
            torch.sum(d_logits, 2, keepdim=True, out=g_b3)
            _masked(torch.bmm(w3.mT, d_logits, out=d_second), second)
            torch.bmm(d_second, first.mT, out=g_w2)
            torch.sum(d_second, 2, keepdim=True, out=g_b2)
            torch.bmm(w2.mT, d_second, out=_stacked(buffers.d_first, stack))
        _masked(buffers.d_first, buffers.first)
        torch.mm(buffers.d_first, buffers.inputs, out=self._wide_grad)

    def _pack(self) -> None:
        """Lay all lanes side by side, narrow ones first; only weights move, Adam's state stays with its lane."""
        device, groups = self.images.pixels.device, _groups(self.lanes)
        total = max(MIN_UNITS, sum(slots * members[0].units for members, slots in groups))
        self._wide, self._wide_grad = (torch.zeros(total, INPUTS + 1, device=device) for _ in range(2))
        self._stacks, self._buffers, self._slots = [], {}, 0
        row = 0
        for members, slots in groups:
            stack = _new_stack(members[0].units, slots, row, self._slots, device)
            for i, lane in enumerate(members):
                self._settle(lane, stack, i)
            self._stacks.append(stack)
            row, self._slots = stack.rows.stop, stack.slots.stop
        self._packed = True

    def _settle(self, lane: Lane, stack: Stack, i: int) -> None:
        """Move a lane's weights and gradients to slot `i` of a stack."""
        start = stack.rows.start + i * lane.units
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


def _padded_weights(model: MLP) -> list[Tensor]:
    """Copy a network's weights into zero-padded tensors, in the order of `Lane.parameters`."""
    h, p = model.config.hidden_units, padded(model.config.hidden_units)
    w1, w2, b2 = torch.zeros(p, INPUTS + 1), torch.zeros(p, p), torch.zeros(p, 1)
    w3, b3 = torch.zeros(CLASSES, p), torch.zeros(CLASSES, 1)
    with torch.no_grad():
        w1[:h, :INPUTS], w1[:h, INPUTS] = model.input.weight, model.input.bias
        w2[:h, :h], b2[:h, 0] = model.hidden.weight, model.hidden.bias
        w3[:, :h], b3[:, 0] = model.output.weight, model.output.bias
    return [w1, w2, b2, w3, b3]


def _groups(lanes: list[Lane]) -> list[tuple[list[Lane], int]]:
    """Return who shares a stack, and its number of slots: the third rule of the module's docstring."""
    groups: list[tuple[list[Lane], int]] = []
    for units, same in groupby(sorted(lanes, key=lambda lane: lane.units), key=lambda lane: lane.units):
        members = list(same)
        if units <= BATCHED_UP_TO:
            groups.append((members, max(2, len(members))))
        else:
            groups += [([lane], 1) for lane in members]
    return groups


def _new_stack(p: int, k: int, row: int, slot: int, device: torch.device) -> Stack:
    shapes = [(k, p, p), (k, p, 1), (k, CLASSES, p), (k, CLASSES, 1)]
    values, grads = ([torch.zeros(shape, device=device) for shape in shapes] for _ in range(2))
    return Stack(p, slice(row, row + k * p), slice(slot, slot + k), values, grads)


def _new_buffers(batch: int, units: int, slots: int, stacks: list[Stack], device: torch.device) -> Buffers:
    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, device=device)

    return Buffers(
        pixels=torch.empty(batch, INPUTS, dtype=torch.uint8, device=device),
        inputs=torch.ones(batch, INPUTS + 1, device=device),
        first=empty(units, batch),
        second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        logits=empty(slots, CLASSES, batch),
        d_first=torch.zeros(units, batch, device=device),  # rows below MIN_UNITS without a lane stay zero
        d_second=[empty(s.slots.stop - s.slots.start, s.units, batch) for s in stacks],
        d_logits=empty(slots, CLASSES, batch),
    )


def _stacked(wide: Tensor, stack: Stack) -> Tensor:
    """View a stack's rows `(k * p, batch)` as `(k, p, batch)`."""
    return wide[stack.rows].view(-1, stack.units, wide.shape[1])


def _masked(gradient: Tensor, activation: Tensor) -> Tensor:
    """Zero in place the gradient of every unit that ReLU had cut off."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)  # type: ignore[no-any-return]


def _loss_and_gradient(buffers: Buffers, labels: Tensor) -> Tensor:
    """Fill the gradient of the mean cross-entropy with respect to the logits; return each slot's loss, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = nn.functional.one_hot(labels, CLASSES).T.to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(len(labels))
    return log_p.mul_(target).sum((1, 2)).neg_() / len(labels)
