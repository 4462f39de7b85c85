"""The article's network, as a plain `nn.Module`.

Source: "MNIST Digit Classification using PyTorch" (2024-11-21): 784-h-h-10 with ReLU and PyTorch's own initialisation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.generator import seeded


@dataclass(frozen=True)
class MLPConfig:
    """Shape of the network."""

    hidden_units: int  # width of both hidden layers
    inputs: int = 784  # 28 x 28 pixels
    classes: int = 10  # digits

    @property
    def parameters(self) -> int:
        """Number of trainable parameters: 20,535 at the article's 25 units."""
        h = self.hidden_units
        return h * (self.inputs + 1) + h * (h + 1) + self.classes * (h + 1)


class MLP(nn.Module):
    """Linear, ReLU, Linear, ReLU, Linear: pixels `(batch, 784)` in 0..1 to logits `(batch, 10)`."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        self.input = nn.Linear(config.inputs, config.hidden_units)
        self.hidden = nn.Linear(config.hidden_units, config.hidden_units)
        self.output = nn.Linear(config.hidden_units, config.classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits `(batch, 10)` for scaled pixels `(batch, 784)`."""
        return self.above(self.input(pixels))

    def above(self, first: Tensor) -> Tensor:
        """Return logits `(batch, 10)` for what the first layer makes of the pixels, `(batch, hidden units)`."""
        second = torch.relu(self.hidden(torch.relu(first)))
        return self.output(second)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped


def initialised(config: MLPConfig, seed: int) -> MLP:
    """Build the network with PyTorch's default initialisation drawn from `seed`, on the CPU.

    Always on the CPU, so that a seed means the same weights on every device; the global generator is left as it was.
    """
    with seeded(seed):
        return MLP(config)
