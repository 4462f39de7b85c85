"""Random draws inside a network, as dropout makes them, from a generator of the trial's own.

`nn.Dropout` and the like draw from PyTorch's global generator, which all threads of a process share: a mask would
depend on who else draws, and when. Here every random operation of ATen is given the generator of the network that runs.
That is done by a dispatch mode, which sees each operation, also those inside an LSTM or an attention layer, and costs
8 us for each. So it is entered for those calls only that drew when the network was looked at (`model/general/look.py`);
which call it is a function mode tells for 1.5 us. Both modes belong to the thread that enters them.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

Call = Callable[..., Any]


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


class OwnDraws(TorchFunctionMode):
    """Runs these calls so that all they draw comes from a generator."""

    def __init__(self, calls: Collection[Call], generator: torch.Generator) -> None:
        super().__init__()
        self.calls = calls
        self.own = OwnGenerator(generator)

    def __torch_function__(self, func: Call, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Run a call of PyTorch's."""
        if func not in self.calls:
            return func(*args, **(kwargs or {}))
        with self.own:
            return func(*args, **(kwargs or {}))


@cache
def with_generator(operation: OpOverload) -> Call | None:
    """Return what does the same and takes a `generator`; None where there is nothing, as if it drew nothing."""
    if operation is torch.ops.aten.native_dropout.default:
        return _native_dropout
    own = _arguments(operation)
    if "generator" in own:
        return operation
    others: list[OpOverload] = [
        getattr(operation.overloadpacket, name) for name in operation.overloadpacket.overloads()
    ]
    for other in others:
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
