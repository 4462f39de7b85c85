"""A family: how networks of one kind are built, trained side by side, and scored. The only place that knows shapes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from subprocess import CalledProcessError
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.cpu.panels import Panels
from model.data.mnist import Images
from model.errors import first_line
from model.network.member import BaseMember, Member, packed_weights
from model.network.mlp import MLP, MLPConfig, initialised
from model.network.scoring import Score, evaluate

_log = logging.getLogger(__name__)
Params = Mapping[str, Any]


class Program(Protocol):
    """Trains some members for as long as they are the same; each has a slot."""

    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`; a GPU may be at it still when this returns."""

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, each sample's before its own update, and the metric and mean
        loss on its last minibatch."""


class Family(Protocol):
    """What the engine, a fleet and a rerun need to know of a kind of networks. Samples are `Images` or `Samples`."""

    def build(self, params: Params, seed: int) -> nn.Module:
        """Return a network with initial weights drawn from the seed, on the CPU; the same on every device."""

    def member(self, model: nn.Module, params: Params, seed: int, device: torch.device) -> BaseMember:
        """Return a network with its optimizer's state, to be attached to a fleet of the device; it draws from the seed."""

    def program(self, device: torch.device) -> Callable[[Sequence[Any], Any, int], Program]:
        """Return what trains members on samples by minibatches of some size."""

    def prepare(self, samples: Any) -> None:
        """Make what several fleets would each make."""

    def score(self, model: nn.Module, samples: Any) -> Score:
        """Return the metric and the mean loss on all samples."""


class MLPs:
    """The article's networks, 784-h-h-10 with Adam; parameters `hidden_units` and `lr`."""

    def build(self, params: Params, seed: int) -> MLP:
        """Return a network with PyTorch's default initialisation."""
        return initialised(MLPConfig(params["hidden_units"]), seed)

    def member(self, model: nn.Module, params: Params, seed: int, device: torch.device) -> Member:  # noqa: ARG002
        """Return a network with Adam at the trial's learning rate."""
        assert isinstance(model, MLP)
        return mlp_member(model, params["lr"], device)

    def program(self, device: torch.device) -> Callable[[Sequence[Any], Any, int], Program]:
        """Return panels, or on a GPU our kernels."""
        return program_on(device)

    def prepare(self, samples: Images) -> None:
        """List the lit pixels, on a CPU."""
        if samples.pixels.device.type == "cpu":
            _ = samples.lit

    def score(self, model: nn.Module, samples: Images) -> Score:
        """Return accuracy and mean cross-entropy."""
        assert isinstance(model, MLP)
        return evaluate(model, samples)


MLPS = MLPs()


def mlp_member(model: MLP, lr: float, device: torch.device) -> Member:
    """Return a network with Adam at this learning rate, on the device."""
    values = [value.to(device) for value in packed_weights(model)]
    grads, moments, squares = ([torch.zeros_like(value) for value in values] for _ in range(3))
    return Member(model.config, lr, values, grads, moments, squares, torch.zeros((), device=device))


def program_on(device: torch.device) -> Callable[[Sequence[Member], Images, int], Program]:
    """Return what trains a fleet of MLPs on a device."""
    return (_fused() if device.type == "cuda" else None) or Panels


@cache
def _fused() -> Callable[[Sequence[Member], Images, int], Program] | None:
    """Return what trains a fleet on a GPU, or None, with a warning, where its kernels cannot be compiled."""
    try:
        from model.gpu.fused import Fused, ready  # noqa: PLC0415  # Triton is not there where there is no GPU

        ready()
    except (ImportError, OSError, RuntimeError, CalledProcessError) as error:
        why = first_line(error)
        _log.warning("the GPU's kernels cannot be compiled (%s): training goes on without, and is slower", why)
        return None
    return Fused
