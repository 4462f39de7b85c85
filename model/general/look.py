"""A look at a network before it trains: whether it draws random numbers, and how much arithmetic a step is."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from model.errors import NetworkError
from model.general.draws import OwnGenerator, own_dropout
from model.general.precision import products_in
from model.generator import global_state, seeded
from model.network.arithmetic import Precision

SAMPLES = 2  # batch norm wants more than one


@dataclass(frozen=True)
class Look:
    """What was seen."""

    draws: bool  # elsewhere than in layers that `own_dropout` takes care of
    flops: int  # of the products and convolutions in a training step, for a sample


class _Watching(OwnGenerator):  # type: ignore[no-untyped-call]
    """Counts floating-point operations, too."""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


def look(
    network: nn.Module,
    inputs: int,
    device: torch.device,
    loss: Callable[[Tensor], Tensor],
    precision: Precision = "float32",
) -> Look:
    """Have a copy of a network take a step on made-up inputs, and return what it does.

    loss: of outputs of two samples. Raises `NetworkError` where it draws what cannot be drawn from its own seed.
    """
    generator = torch.Generator(device).manual_seed(0)
    network, watching = copy.deepcopy(network).train(), _Watching(generator)
    samples = torch.rand(SAMPLES, inputs, generator=generator, device=device)
    with seeded(0):  # so that nobody else moves the global generator
        before = global_state(device)
        with own_dropout(network, generator), watching, products_in(precision, device):
            outputs = network(samples).float()
        forward = watching.draws
        with watching:
            loss(outputs).backward()  # type: ignore[no-untyped-call]
        if watching.draws != forward or not torch.equal(before, global_state(device)):
            raise NetworkError("the network draws random numbers where they cannot be given the trial's own seed")
    return Look(forward > 0, watching.flops // SAMPLES)
