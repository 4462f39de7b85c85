"""A family: how networks of one kind are built, made members of a fleet, and scored."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.data.mnist import Images
from model.fleet.fleet import mlp_member
from model.network.member import BaseMember, Member
from model.network.mlp import MLP, MLPConfig, initialised
from model.network.scoring import Score, evaluate
from model.network.timing import epoch_flops, epoch_seconds

Params = Mapping[str, Any]


class Scored(Protocol):
    """How a network does on a whole set."""

    @property
    def value(self) -> float:
        """The metric's value."""

    @property
    def loss(self) -> float:
        """The mean loss."""


class Family(Protocol):
    """What the engine and a rerun need to know of a kind of networks. Samples are `Images` or `Samples`."""

    def build(self, params: Params, seed: int) -> nn.Module:
        """Return a network with initial weights drawn from the seed, on the CPU; the same on every device."""

    def member(self, network: Any, params: Params, seed: int, device: torch.device) -> BaseMember:
        """Return it with its optimizer's state, to be attached to a fleet of the device; it draws from the seed."""

    def score(self, network: Any, samples: Any) -> Scored:
        """Return the metric and the mean loss on all samples."""

    def restored(self, params: Params, weights: Mapping[str, Tensor]) -> nn.Module:
        """Return the network of these weights, as it is when it does not train."""

    def epoch_seconds(self, params: Params, samples: Any, batch: int) -> float:
        """Train a fresh network alone for an epoch, and return the seconds it took."""

    def epoch_flops(self, params: Params, samples: int) -> int:
        """Return the floating-point operations of the products in an epoch of so many samples."""


class MLPs:
    """The article's networks, 784-h-h-10 with Adam; parameters `hidden_units` and `lr`."""

    def build(self, params: Params, seed: int) -> MLP:
        """Return a network with PyTorch's default initialisation."""
        return initialised(MLPConfig(params["hidden_units"]), seed)

    def member(self, network: MLP, params: Params, seed: int, device: torch.device) -> Member:  # noqa: ARG002
        """Return a network with Adam at the trial's learning rate; it draws nothing."""
        return mlp_member(network, params["lr"], device)

    def score(self, network: MLP, samples: Images) -> Score:
        """Return accuracy and mean cross-entropy."""
        return evaluate(network, samples)

    def restored(self, params: Params, weights: Mapping[str, Tensor]) -> MLP:
        """Return the network of these weights."""
        network = self.build(params, 0)
        network.load_state_dict(dict(weights))
        return network.eval()

    def epoch_seconds(self, params: Params, samples: Images, batch: int) -> float:
        """Train a network of this width, by the article's loop less its `DataLoader`."""
        return epoch_seconds(params["hidden_units"], samples, batch)

    def epoch_flops(self, params: Params, samples: int) -> int:
        """Return those of the matrix products."""
        return epoch_flops(params["hidden_units"], samples)


MLPS = MLPs()
