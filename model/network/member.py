"""One network's place in a fleet: its weights, its optimizer and that one's state, its age and where it trained.

Conventions: the first layer's weights are `(in, out)`, its bias the row below them; the other layers' are `(out, in)`.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from model.network.arithmetic import Precision
from model.network.dropout import Noise
from model.network.plain import PlainMLP, linear_layers
from model.network.update import Rule

INPUTS, CLASSES = 784, 10  # of the article's network
FLOPS_OF_A_UNIT = 2 * 2 * INPUTS  # of a training step for an image, in the first layer of that network


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
    trainer: ClassVar[str]  # "fleet", for plain MLPs, or "general"
    precision: Precision = "float32"  # of its products
    way: str = ""  # to multiply, one of `model.network.way.WAYS`, where a fleet's products are ours to choose
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
    def cost(self) -> int:
        """What an epoch takes of a device's time, in units: fleets are served in an order that follows from it."""

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
    """A plain MLP's place in a fleet."""

    config: PlainMLP
    rule: Rule
    criterion: str  # cross_entropy, mse or l1
    template: nn.Module  # what its network looks like, without its weights
    values: list[Tensor]  # w1 (inputs + 1, h), then w (out, in) and b (out, 1) of each layer; views once packed, but w1
    grads: list[Tensor]  # the same shapes, as are the optimizer's moments
    moments: list[Tensor]
    squares: list[Tensor]
    steps: Tensor  # () float32, the optimizer's count
    noise: Noise | None = None  # where it has dropout
    drawn: list[Tensor] = field(default_factory=list)  # from it, for the minibatch under way
    trainer: ClassVar[str] = "fleet"

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return self.config.parameters

    @property
    def units(self) -> int:
        """Its width, if it is the article's network; else its cost."""
        return self.config.hidden[0] if self.config.is_the_articles else self.cost

    @property
    def cost(self) -> int:
        """The width of a first layer of the article's, and no more, of as much arithmetic."""
        return units_of(self.config.flops)

    def copy_state(self) -> None:
        """Make all that is its own independent of the fleet it was in."""
        for group in (self.values, self.moments, self.squares):
            group[:] = [value.clone() for value in group]
        self.steps, self.drawn = self.steps.clone(), []

    def network(self) -> nn.Module:
        """Return a copy of its weights as a plain module on the same device, as it is when it does not train."""
        model = copy.deepcopy(self.template).to_empty(device=self.values[0].device)
        w1, *above = self.values
        packed = [w1[:-1].T, w1[-1], *(value if number % 2 == 0 else value[:, 0] for number, value in enumerate(above))]
        with torch.no_grad():
            for layer, weight, bias in zip(linear_layers(model), packed[::2], packed[1::2], strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        return model

    def update(self) -> None:
        """Take a step of its optimizer."""
        self.rule.take(self.values, self.grads, self.moments, self.squares, self.steps)

    def draw(self, samples: int) -> None:
        """Draw the masks of a minibatch, if it has dropout."""
        if self.noise is not None:
            self.drawn = self.noise.draw(samples)


def units_of(flops: int) -> int:
    """Return the units of the article's first layer that take as many operations in a training step, 1 at least."""
    return max(1, round(flops / FLOPS_OF_A_UNIT))


def plain_member(
    network: nn.Module,
    config: PlainMLP,
    rule: Rule,
    criterion: str,
    device: torch.device,
    *,
    generator: torch.Generator | None = None,
) -> Member:
    """Return a network that is a plain MLP as a member for a fleet of a device; masks are drawn from the generator."""
    values = [value.to(device) for value in packed_weights(network)]
    grads, moments, squares = ([torch.zeros_like(value) for value in values] for _ in range(3))
    steps, template = torch.zeros((), device=device), copy.deepcopy(network).to("meta").eval()
    noise = None
    if any(config.dropout):
        drops = zip(config.hidden, config.dropout, strict=True)
        noise = Noise(generator or torch.Generator(device), [width if rate else 0 for width, rate in drops])
    return Member(config, rule, criterion, template, values, grads, moments, squares, steps, noise)


def packed_weights(network: nn.Module) -> list[Tensor]:
    """Copy a plain MLP's weights into tensors of their own, in the order of `Member.values`."""
    first, *above = linear_layers(network)
    packed = [torch.cat([first.weight.T, first.bias[None]])]
    for layer in above:
        packed += [layer.weight, layer.bias[:, None]]
    return [value.detach().clone() for value in packed]
