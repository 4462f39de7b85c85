"""Many MLPs trained side by side as one program, on shared minibatches.

A network of 20,535 parameters leaves a machine idle; a fleet of them does not. They lie side by side in panels, so that
their first layers, 95 % of the arithmetic at 25 units, are wide products (`model/panel.py`). Every network is a `Lane`
with its own learning rate, its own Adam state and its own age.

A network's numbers do not depend, to the bit, on its neighbours or its place. Three rules keep that so, each found by
measurement (MKL on AVX2): no panel has fewer than `NARROWEST` units (`model/pixels.py`); a stack of small networks
never has fewer than two slots, a stack of large ones always has one; every minibatch, what is left for the last one
too, is an even number of images (1028, and 656 or 376 of MNIST), since an odd one puts logits at addresses where MKL
rounds differently.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.data import Images
from model.lane import CLASSES, Lane, padded_weights
from model.mlp import MLP
from model.panel import Panel, PanelBuffers, panels
from model.pixels import products
from model.replay import Record, Replay, Step, cuda_graph
from model.seeds import derive

ARTICLE_BATCH = 1028  # as printed in the article


@dataclass
class Buffers:
    """Work space for one batch size."""

    panels: list[PanelBuffers]
    logits: Tensor  # (slots, 10, batch)
    d_logits: Tensor  # their gradient


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
        for panel, work in zip(self._panels, buffers.panels, strict=True):
            panel.forward(inputs, work, buffers.logits)
        losses = _loss_and_gradient(buffers, self.images.labels[index])
        for panel, work in zip(self._panels, buffers.panels, strict=True):
            panel.backward(inputs, work, buffers.d_logits)
        for lane in self.lanes:
            lane.update()
        return losses

    def _pack(self) -> None:
        """Lay all lanes side by side; only weights move, Adam's state stays with its lane."""
        self._panels = panels(self.lanes, self.images.pixels.device)
        self._slots = max(panel.stacks[-1].slots.stop for panel in self._panels)
        self._buffers, self._replays = {}, {}
        self._packed = True

    def _buffers_for(self, batch: int) -> Buffers:
        if batch not in self._buffers:
            logits, d_logits = (
                torch.empty(self._slots, CLASSES, batch, device=self.images.pixels.device) for _ in range(2)
            )
            self._buffers[batch] = Buffers([panel.buffers(batch) for panel in self._panels], logits, d_logits)
        return self._buffers[batch]


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Return the order in which one epoch visits the samples, int64 `(samples,)`, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)


def _loss_and_gradient(buffers: Buffers, labels: Tensor) -> Tensor:
    """Fill the gradient of the mean cross-entropy with respect to the logits; return each slot's loss, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = (labels == torch.arange(CLASSES, device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(len(labels))
    return log_p.mul_(target).sum((1, 2)).neg_() / len(labels)
