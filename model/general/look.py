"""A look at a network before it trains: which of its calls draw random numbers, and how much arithmetic a step is."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import flop_registry

from model.errors import NetworkError
from model.general.draws import Call, OwnGenerator
from model.generator import global_state, seeded

SAMPLES = 2  # batch norm wants more than one


@dataclass(frozen=True)
class Look:
    """What was seen."""

    calls: frozenset[Call]  # of PyTorch's, that drew
    flops: int  # of the products and convolutions in a training step, for a sample


class _Watching(OwnGenerator):  # type: ignore[no-untyped-call]
    """Counts floating-point operations, too."""

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


class _Calls(TorchFunctionMode):
    """Notes which calls draw."""

    def __init__(self, watching: _Watching) -> None:
        super().__init__()
        self.watching = watching
        self.drew: set[Call] = set()

    def __torch_function__(self, func: Call, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        before = self.watching.draws
        with self.watching:
            result = func(*args, **(kwargs or {}))
        if self.watching.draws != before:
            self.drew.add(func)
        return result


def look(network: nn.Module, inputs: int, device: torch.device, loss: Callable[[Tensor], Tensor]) -> Look:
    """Have a copy of a network take a step on made-up inputs, and return what it does.

    loss: of outputs of two samples. Raises `NetworkError` where it draws what cannot be drawn from its own seed.
    """
    generator = torch.Generator(device).manual_seed(0)
    network, watching = copy.deepcopy(network).train(), _Watching(generator)
    samples = torch.rand(SAMPLES, inputs, generator=generator, device=device)
    calls = _Calls(watching)
    with seeded(0):  # so that nobody else moves the global generator
        before = global_state(device)
        with calls:
            outputs = network(samples)
        forward = watching.draws
        with watching:
            loss(outputs).backward()  # type: ignore[no-untyped-call]
        if watching.draws != forward or not torch.equal(before, global_state(device)):
            raise NetworkError("the network draws random numbers where they cannot be given the trial's own seed")
    return Look(frozenset(calls.drew), watching.flops // SAMPLES)
