"""A fleet by library: panels of networks, each step a few products of PyTorch's for every panel.

How a fleet trains on a CPU, and wherever there are no kernels for it (`model/gpu/fused.py`). A minibatch is fetched
once for all panels; every network takes its own step of Adam.

Where a fleet has two threads of a CPU, each works on one half of every minibatch, and the gradients are added up. Two
threads that share every product wait for each other at each: a network of 256 units then gained next to nothing by the
second. No part is a single image: MKL multiplies a vector by another routine, whose bits depend on the neighbours.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.cpu.panel import Panel, PanelBuffers, panels
from model.data.mnist import Images
from model.network.first_layer import products
from model.network.member import CLASSES, Member
from model.threads import using

PARTS = 2  # of a minibatch on a CPU with as many threads or more; those of a part share its products


@dataclass
class Buffers:
    """Work space for so many images."""

    panels: list[PanelBuffers]
    logits: Tensor  # (slots, 10, images)
    d_logits: Tensor  # their gradient


@dataclass
class Part:
    """Works out gradients of a part of each minibatch, in a place of its own."""

    panels: list[Panel]
    images: Images
    _buffers: dict[int, Buffers] = field(default_factory=dict, init=False)

    @property
    def slots(self) -> int:
        """How many networks have logits."""
        return int(self.panels[-1].stacks[-1].slots.stop)

    def twin(self) -> "Part":
        """Return one for another part of the same minibatches, with the same weights."""
        return Part([panel.twin() for panel in self.panels], self.images)

    @torch.no_grad()
    def work(self, index: Tensor, batch: int) -> Tensor:
        """Work out the gradients of these images of a minibatch; return their share of its mean loss, `(slots,)`."""
        buffers = self._buffers_for(len(index))
        inputs = products(self.images, index)
        for panel, work in zip(self.panels, buffers.panels, strict=True):
            panel.forward(inputs, work, buffers.logits)
        losses = _loss_and_gradient(buffers, self.images.labels[index], batch)
        for panel, work in zip(self.panels, buffers.panels, strict=True):
            panel.backward(inputs, work, buffers.d_logits)
        return losses

    def add(self, twin: "Part") -> None:
        """Add a twin's gradients to its own."""
        for panel, other in zip(self.panels, twin.panels, strict=True):
            panel.add(other)

    def correct(self, index: Tensor) -> Tensor:
        """Return how many of the images that it worked on last each slot named rightly, before the step: `(slots,)`."""
        return (self._buffers[len(index)].logits.argmax(1) == self.images.labels[index]).sum(1)

    def _buffers_for(self, count: int) -> Buffers:
        if count not in self._buffers:
            shape, device = (self.slots, CLASSES, count), self.images.pixels.device
            logits, d_logits = (torch.empty(shape, device=device) for _ in range(2))
            self._buffers[count] = Buffers([panel.buffers(count) for panel in self.panels], logits, d_logits)
        return self._buffers[count]


class Panels:
    """Trains the members it was made of: only their weights move here, Adam's state stays with its member."""

    def __init__(self, members: Sequence[Member], images: Images, batch: int) -> None:
        self.images, self.batch = images, batch
        self.device = images.pixels.device
        self.members = list(members)
        self.parts = [Part(panels(members, self.device), images)]  # the first's gradients are those of all
        self._figures = torch.zeros(3, self.parts[0].slots)

    @torch.no_grad()
    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`."""
        threads, n = torch.get_num_threads(), len(self.images)
        parts = min(PARTS, threads) if self.device.type == "cpu" else 1
        self.parts += [self.parts[0].twin() for _ in range(len(self.parts), parts)]
        each = threads // parts
        losses = torch.zeros(self.parts[0].slots, device=self.device)
        with ThreadPoolExecutor(PARTS - 1, initializer=torch.set_num_threads, initargs=(each,)) as others, using(each):
            for index in order.to(self.device).split(self.batch):  # type: ignore[no-untyped-call]
                share_of_epoch = len(index) / n
                index = index.repeat(2) if len(index) == 1 else index  # noqa: PLW2901  # the mean stays what it is
                shares = index.tensor_split(min(parts, len(index) // 2))
                batch_losses = self._step(shares, len(index), others)
                losses += batch_losses * share_of_epoch
        correct = torch.stack([part.correct(share) for part, share in zip(self.parts, shares, strict=False)]).sum(0)
        self._figures = torch.stack([losses, correct / len(index), batch_losses])

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, and accuracy and mean loss on its last minibatch."""
        losses, correct, last_losses = self._figures.tolist()
        return list(zip(losses, correct, last_losses, strict=True))

    def _step(self, shares: Sequence[Tensor], batch: int, others: Executor) -> Tensor:
        """Train one minibatch, a part for each share; return each slot's mean loss before the update, `(slots,)`."""
        first, *twins = self.parts
        for panel in first.panels:
            panel.collect()
        pending = [(t, others.submit(t.work, share, batch)) for t, share in zip(twins, shares[1:], strict=False)]
        losses = first.work(shares[0], batch)
        for twin, work in pending:
            losses += work.result()
            first.add(twin)
        for panel in first.panels:
            panel.spread()
        for member in self.members:
            member.update()
        return losses


def _loss_and_gradient(buffers: Buffers, labels: Tensor, batch: int) -> Tensor:
    """Fill the gradient of a minibatch's mean cross-entropy with respect to these logits; return each slot's share of
    it, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = (labels == torch.arange(CLASSES, device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(batch)
    return log_p.mul_(target).sum((1, 2)).neg_() / batch
