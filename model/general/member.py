"""One network's place in a fleet of any networks: its weights and buffers, its optimizer, its random numbers."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from model.general.augment import Augmentation
from model.general.choices import Loss
from model.general.draws import OwnGenerator, own_dropout
from model.general.look import Look
from model.general.precision import products_in
from model.general.step import Steps
from model.network.member import BaseMember, units_of


@dataclass(eq=False)
class GeneralMember(BaseMember):
    """One network's place in a fleet; all that it needs to go on is its own, in a fleet or in none."""

    module: nn.Module  # in training mode
    steps: Steps
    criterion: Loss
    generator: torch.Generator  # on the network's device
    seen: Look  # of the network
    augmentation: Augmentation | None = None  # of its minibatches
    trainer: ClassVar[str] = "general"

    @property
    def units(self) -> int:
        """The width of an MLP of the article's that takes as much arithmetic."""
        return units_of(self.seen.flops)

    @property
    def cost(self) -> int:
        """What a step costs, and changing its pictures, as measured."""
        return self.seen.cost + (self.augmentation.cost if self.augmentation else 0)

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return parameters(self.module)

    def copy_state(self) -> None:
        """Do nothing: it shares nothing with the fleet."""

    def network(self) -> nn.Module:
        """Return an independent copy, as it is when it does not train."""
        network = copy.deepcopy(self.module).eval()
        network.zero_grad()
        return network

    @contextmanager
    def drawing(self) -> Iterator[AbstractContextManager[object]]:
        """Have its dropout layers draw from its own generator; yield a context in which the rest of it does."""
        with own_dropout(self.module, self.generator):
            yield OwnGenerator(self.generator) if self.seen.draws else nullcontext()

    def step(self, inputs: Tensor, targets: Tensor, drawing: AbstractContextManager[object]) -> tuple[Tensor, Tensor]:
        """Take a step on a minibatch; return the outputs and the loss, (), both before it."""
        if self.augmentation is not None:
            inputs = self.augmentation(inputs)
        with drawing, products_in(self.precision, inputs.device):
            outputs = self.module(inputs)
        if self.precision != "float32":
            outputs = outputs.float()
        loss = self.criterion(outputs, targets)
        self.steps.forget()
        loss.backward()  # type: ignore[no-untyped-call]
        self.steps.take()
        return outputs, loss


def parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
