"""A look at a network before it trains: whether it draws random numbers, and what a step costs."""

import copy
from collections.abc import Callable, Iterator, Sequence
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
# As many take as long as a unit of the article's first layer in a fleet, by `python -m benchmarks.costs`. Convolutions
# of few channels compute little and write much.
FLOPS, ELEMENTS = 4500, 12


@dataclass(frozen=True)
class Look:
    """What was seen."""

    draws: bool  # elsewhere than in layers that `own_dropout` takes care of
    flops: int  # of the products and convolutions in a training step, for a sample
    elements: int  # numbers that are read and written on the way from a sample to its outputs

    @property
    def cost(self) -> int:
        """What a step costs for a sample, in units of the article's first layer, 1 at least."""
        return max(1, round(self.flops / FLOPS + self.elements / ELEMENTS))


class _Watching(OwnGenerator):  # type: ignore[no-untyped-call]
    """Counts floating-point operations, too, and the numbers that operations write, but for copies of another type."""

    flops = 0
    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        if func.overloadpacket is not torch.ops.aten._to_copy:  # in bfloat16, weights
            self.elements += sum(written(func, result))
        return result


def written(func: Any, result: Any) -> Iterator[int]:
    """Yield how many numbers an operation has written into each of its tensors; into a view none."""
    results = result if isinstance(result, tuple | list) else [result]
    for returned, tensor in zip(func._schema.returns, results, strict=False):
        if isinstance(tensor, Tensor) and (returned.alias_info is None or returned.alias_info.is_write):
            yield tensor.numel()


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
        forward, elements = watching.draws, watching.elements
        with watching:
            loss(outputs).backward()  # type: ignore[no-untyped-call]
        if watching.draws != forward or not torch.equal(before, global_state(device)):
            raise NetworkError("the network draws random numbers where they cannot be given the trial's own seed")
    return Look(forward > 0, watching.flops // SAMPLES, inputs + elements // SAMPLES)
