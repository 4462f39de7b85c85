"""A fleet by library: panels of networks, each step a few products of PyTorch's for every panel.

How a fleet trains on a CPU, and wherever there are no kernels for it (`model/fused.py`). A minibatch is fetched once
for all panels; every network takes its own step of Adam.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.data import Images
from model.lane import CLASSES, Lane
from model.panel import PanelBuffers, panels
from model.pixels import products


@dataclass
class Buffers:
    """Work space for one batch size."""

    panels: list[PanelBuffers]
    logits: Tensor  # (slots, 10, batch)
    d_logits: Tensor  # their gradient


class Panels:
    """Trains the lanes it was made of: only their weights move here, Adam's state stays with its lane."""

    def __init__(self, lanes: Sequence[Lane], images: Images, batch: int) -> None:
        self.images, self.batch = images, batch
        self.device = images.pixels.device
        self.lanes = list(lanes)
        self.panels = panels(lanes, self.device)
        self.slots = self.panels[-1].stacks[-1].slots.stop
        self._buffers: dict[int, Buffers] = {}
        self._figures = torch.zeros(3, self.slots)

    @torch.no_grad()
    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`."""
        n = len(self.images)
        losses = torch.zeros(self.slots, device=self.device)
        for index in order.to(self.device).split(self.batch):  # type: ignore[no-untyped-call]
            batch_losses = self._step(index)
            losses += batch_losses * (len(index) / n)
        correct = (self._buffers[len(index)].logits.argmax(1) == self.images.labels[index]).float().mean(1)
        self._figures = torch.stack([losses, correct, batch_losses])

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, and accuracy and mean loss on its last minibatch."""
        losses, correct, last_losses = self._figures.tolist()
        return list(zip(losses, correct, last_losses, strict=True))

    def _step(self, index: Tensor) -> Tensor:
        """Train one minibatch; return each slot's mean loss before the update, `(slots,)`."""
        buffers = self._buffers_for(len(index))
        inputs = products(self.images, index)
        for panel, work in zip(self.panels, buffers.panels, strict=True):
            panel.forward(inputs, work, buffers.logits)
        losses = _loss_and_gradient(buffers, self.images.labels[index])
        for panel, work in zip(self.panels, buffers.panels, strict=True):
            panel.backward(inputs, work, buffers.d_logits)
        for lane in self.lanes:
            lane.update()
        return losses

    def _buffers_for(self, batch: int) -> Buffers:
        if batch not in self._buffers:
            logits, d_logits = (torch.empty(self.slots, CLASSES, batch, device=self.device) for _ in range(2))
            self._buffers[batch] = Buffers([panel.buffers(batch) for panel in self.panels], logits, d_logits)
        return self._buffers[batch]


def _loss_and_gradient(buffers: Buffers, labels: Tensor) -> Tensor:
    """Fill the gradient of the mean cross-entropy with respect to the logits; return each slot's loss, `(slots,)`."""
    log_p = torch.log_softmax(buffers.logits, 1)
    target = (labels == torch.arange(CLASSES, device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=buffers.d_logits).sub_(target).div_(len(labels))
    return log_p.mul_(target).sum((1, 2)).neg_() / len(labels)
