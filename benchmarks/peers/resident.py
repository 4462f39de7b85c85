"""One network on tensors that lie on the device, with fused Adam: the training loop of both tuned peers.

Of four ways to take a minibatch (float or uint8 pixels, indexing or `index_select`, with and without a buffer) this
was the fastest here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.peers.job import reports
from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.device import choose_device
from model.fleet.fleet import ARTICLE_BATCH


@dataclass(frozen=True)
class Data:
    """MNIST in 0..1, as the tuned peers keep it."""

    pixels: Tensor  # float32 (50000, 784)
    labels: Tensor
    validation_pixels: Tensor  # float32 (10000, 784)
    validation_labels: Tensor


def resident() -> Data:
    """Load both parts of the split onto the device."""
    data = open_dataset("mnist", choose_device())
    return Data(*_scaled(data.train), *_scaled(data.validation))


def _scaled(images: Samples) -> tuple[Tensor, Tensor]:
    return images.pixels.float().div_(255), images.targets


def network(width: int) -> nn.Module:
    """Return the article's network."""
    layers = (nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(*layers)


def train(width: int, lr: float, epochs: int, data: Data) -> Iterator[tuple[int, float]]:
    """Train a network; yield epoch and validation accuracy whenever a peer's trial reports."""
    model = network(width).to(data.pixels.device)
    adam = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    for epoch in range(1, epochs + 1):
        for index in torch.randperm(len(data.labels), device=data.labels.device).split(ARTICLE_BATCH):
            logits = model(data.pixels.index_select(0, index))
            adam.zero_grad()
            nn.functional.cross_entropy(logits, data.labels[index]).backward()
            adam.step()
        if epoch in reports(epochs):
            yield epoch, accuracy(model, data)


@torch.no_grad()
def accuracy(model: nn.Module, data: Data) -> float:
    """Return the share of validation images that are named rightly."""
    return (model(data.validation_pixels).argmax(1) == data.validation_labels).float().mean().item()
