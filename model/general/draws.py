"""Random draws inside a network, as dropout makes them, from a generator of the trial's own.

`nn.Dropout` and the like draw from PyTorch's global generator, which all threads of a process share: a mask would
depend on who else draws, and when. Here whatever draws in a network is given the network's generator, in two ways.

Each `nn.Dropout` has its `forward` replaced while its network trains; that costs 1 % of a small MLP's step. For all
else a dispatch mode gives the generator to every random operation of ATen, also to those inside an LSTM or an attention
layer. It belongs to the thread that enters it, and costs 8 us for each operation, random or not: a quarter of that
step. So it is entered for those networks only that drew when they were looked at (`model/general/look.py`). To enter it
just for the calls that draw, which a function mode would tell, saved nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def own_dropout(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Have a network's `nn.Dropout` layers draw from a generator, to the bits that PyTorch makes of the same draws."""
    layers = [layer for layer in network.modules() if type(layer) is nn.Dropout]
    for layer in layers:
        layer.forward = partial(_dropout, layer, generator)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _dropout(layer: nn.Dropout, generator: torch.Generator, inputs: Tensor) -> Tensor:
    if not layer.training or layer.p in {0, 1} or layer.inplace or inputs.device.type != "cpu":
        return nn.Dropout.forward(layer, inputs)
    kept = 1 - layer.p
    return inputs * torch.empty_like(inputs).bernoulli_(kept, generator=generator).div_(kept)


class OwnGenerator(TorchDispatchMode):
    """Gives every operation that draws, and names no generator, this one."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = generator
        self.draws = 0  # operations that were given it

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Run an operation."""
        kwargs = kwargs or {}
        own = with_generator(func) if torch.Tag.nondeterministic_seeded in func.tags else None
        if own is None or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        self.draws += 1
        return own(*args, **{**kwargs, "generator": self.generator})


@cache
def with_generator(operation: OpOverload) -> Callable[..., Any] | None:
    """Return what does the same and takes a `generator`; None where there is nothing, as if it drew nothing."""
    if operation is torch.ops.aten.native_dropout.default:
        return _native_dropout
    own = _arguments(operation)
    if "generator" in own:
        return operation
    packet = operation.overloadpacket
    for name in packet.overloads():
        other: OpOverload = getattr(packet, name)
        theirs = _arguments(other)
        if theirs.pop("generator", None) and theirs == own:
            return other
    return None


def _arguments(operation: OpOverload) -> dict[str, str]:
    """Return the names and types of an operation's arguments."""
    return {each.name: str(each.type) for each in operation._schema.arguments}


def _native_dropout(inputs: Tensor, p: float, train: bool | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Drop out as a GPU does in one kernel of PyTorch's, which takes no generator."""
    if train is False or p == 0:
        return inputs.clone(), torch.ones_like(inputs, dtype=torch.bool)
    kept = torch.empty_like(inputs).bernoulli_(1 - p, generator=generator)
    return inputs * kept * (0 if p == 1 else 1 / (1 - p)), kept.bool()
