"""One network's place in a fleet: its weights, its learning rate, its Adam state, its age and where it trained.

Conventions: the first layer's weights are `(in, out)`, its bias the 785th row; the other layers' are `(out, in)`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model.network.mlp import MLP, MLPConfig

INPUTS, CLASSES = 784, 10


@dataclass
class Segment:
    """Epochs that a network trained in a row, in one fleet and with one number of threads."""

    fleet: int  # its number
    clock: int  # the fleet's before the first of them
    epochs: int
    threads: int  # of the CPU; other numbers may round differently


@dataclass(eq=False, kw_only=True)
class BaseMember(ABC):
    """One network's place in a fleet, whatever the network; while it is in none it keeps what it needs to go on."""

    loss: float = float("nan")  # mean training loss over the last epoch's samples, each before its own update
    last_batch: tuple[float, float] = (float("nan"), float("nan"))  # accuracy and loss of the epoch's last batch
    slot: int = -1  # index of its figures in its fleet's program
    segments: list[Segment] = field(default_factory=list)  # with the fleets' seed they name every minibatch seen

    @property
    def epochs_trained(self) -> int:
        """Epochs trained, over all its segments."""
        return sum(segment.epochs for segment in self.segments)

    def record_epoch(self, fleet: int, clock: int, threads: int) -> None:
        """Note an epoch: where, at which clock before it, and with how many threads."""
        last = self.segments[-1] if self.segments else None
        if last and (last.fleet, last.clock + last.epochs, last.threads) == (fleet, clock, threads):
            last.epochs += 1
        else:
            self.segments.append(Segment(fleet, clock, 1, threads))

    @property
    @abstractmethod
    def units(self) -> int:
        """What it takes of a device's capacity: its width, or that of an MLP of as much arithmetic."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of trainable parameters."""

    @abstractmethod
    def copy_state(self) -> None:
        """Make all that is its own independent of the fleet it was in."""

    @abstractmethod
    def network(self) -> nn.Module:
        """Return an independent copy as a plain module on the same device."""


@dataclass(eq=False)
class Member(BaseMember):
    """An MLP's place in a fleet."""

    config: MLPConfig
    lr: float
    values: list[Tensor]  # w1 (785, h), w2 (h, h), b2 (h, 1), w3 (10, h), b3 (10, 1); views once packed, but w1
    grads: list[Tensor]  # the same shapes, as are Adam's moments
    moments: list[Tensor]
    squares: list[Tensor]
    steps: Tensor  # () float32, Adam's count

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return self.config.parameters

    @property
    def units(self) -> int:
        """Its width."""
        return self.config.hidden_units

    def copy_state(self) -> None:
        """Make all that is its own independent of the fleet it was in."""
        for group in (self.values, self.moments, self.squares):
            group[:] = [value.clone() for value in group]
        self.steps = self.steps.clone()

    def network(self) -> MLP:
        """Return a copy of its weights as a plain module on the same device."""
        w1, w2, b2, w3, b3 = self.values
        with torch.device("meta"):  # no initial weights to be drawn, only to be overwritten
            model = MLP(self.config)
        model.to_empty(device=w1.device)
        weights = [w1[:INPUTS].T, w1[INPUTS], w2, b2[:, 0], w3, b3[:, 0]]
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


def packed_weights(model: MLP) -> list[Tensor]:
    """Copy a network's weights into tensors of their own, in the order of `Member.values`."""
    first = torch.cat([model.input.weight.T, model.input.bias[None]])
    above = (model.hidden.weight, model.hidden.bias[:, None], model.output.weight, model.output.bias[:, None])
    return [first.detach(), *(value.detach().clone() for value in above)]
