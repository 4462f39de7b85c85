"""How a network is scored."""

from dataclasses import dataclass

import torch
from torch import nn

from model.data.mnist import Images
from model.network.first_layer import outputs
from model.network.member import CLASSES
from model.network.mlp import MLP

CHUNK = 2_000  # images scored at once: a fixed shape, so that a score never depends on how it was asked for
BEFORE_SAMPLES = 30  # the article looks at 30 training samples before it trains


@dataclass(frozen=True)
class Score:
    """How a network does on a whole set."""

    value: float  # of the metric; of the article's, accuracy: the share of right answers, 0..1
    loss: float  # mean cross-entropy in nats, or what else training makes small

    @property
    def accuracy(self) -> float:
        """The value, where the metric is accuracy."""
        return self.value


@torch.no_grad()
def evaluate(model: MLP, images: Images) -> Score:
    """Score a network on every image; never a mean of batch accuracies, which a ragged last batch would skew."""
    from torchmetrics.classification import MulticlassAccuracy  # noqa: PLC0415  # see model/__init__.py

    accuracy = MulticlassAccuracy(num_classes=CLASSES, average="micro").to(images.pixels.device)
    loss = torch.zeros((), dtype=torch.float64 if images.pixels.device.type != "mps" else None)
    loss = loss.to(images.pixels.device)
    for start, first in zip(range(0, len(images), CHUNK), outputs(model.input, images, CHUNK), strict=True):
        labels, logits = images.labels[start : start + CHUNK], model.above(first)
        accuracy.update(logits, labels)
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
    right = round(accuracy.compute().item() * len(images))  # torchmetrics divides in float32
    return Score(right / len(images), loss.item() / len(images))
