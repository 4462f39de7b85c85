"""An oracle for bfloat16: PyTorch's float32, but for the factors of every product, which are rounded."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
FACTORS: Mapping[Any, Sequence[int]] = {
    aten.mm.default: (0, 1),
    aten.addmm.default: (1, 2),
    aten.bmm.default: (0, 1),
    aten.baddbmm.default: (1, 2),
    aten.convolution.default: (0, 1),
    aten.convolution_backward.default: (0, 1, 2),
    aten._scaled_dot_product_flash_attention_for_cpu.default: (0, 1, 2),
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default: (0, 1, 2, 3),
}
"""Which of an operation's arguments are factors, forward and in what autograd calls."""


class Rounded(TorchDispatchMode):
    """While it is on, factors are rounded to bfloat16; counts the products."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        factors = FACTORS.get(func, ())
        self.products += bool(factors)
        return func(*(rounded(value) if n in factors else value for n, value in enumerate(args)), **(kwargs or {}))


def rounded(values: Tensor) -> Tensor:
    return values.bfloat16().float()
