"""How products are worked out: in float32, or with factors of bfloat16.

In bfloat16 the factors of a product are rounded, and its sums are float32; what a product returns is rounded to
bfloat16 too, since PyTorch's for a CPU return no more than that. All else is float32: weights, sums of gradients, the
biases above the first layer, activations, losses and the optimizer; so are products of small layers, where rounding
factors takes longer than it saves (`model/cpu/panel.py`). Nothing is scaled, since bfloat16 has float32's exponents.

Source: "A Study of BFLOAT16 for Deep Learning Training" (2019).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Arithmetic:
    """Multiplies matrices, or stacks of them; what is returned or filled is float32."""

    rounded: Callable[[Tensor], Tensor] | None = None  # makes factors of bfloat16 of others; None in float32

    def factor(self, values: Tensor) -> Tensor:
        """Return values as a product takes them; of such values, the same."""
        return values if self.rounded is None else self.rounded(values)

    def mm(self, left: Tensor, right: Tensor) -> Tensor:
        """Return a product."""
        return torch.mm(left, right) if self.rounded is None else self._product(left, right).float()

    def add_mm(self, sums: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Add a product to the sums, and return them."""
        if self.rounded is None:
            return sums.addmm_(left, right)
        return sums.add_(self._product(left, right))

    def bmm(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Fill `out` with a product of stacks, and return it."""
        if self.rounded is not None:
            return self._each(left, right, out)
        if _is_lone_vector(left, right):
            return out.copy_(torch.bmm(_twice(left), _twice(right))[:1])
        return torch.bmm(left, right, out=out)

    def baddbmm(self, bias: Tensor, left: Tensor, right: Tensor, out: Tensor) -> None:
        """Fill `out` with a product of stacks and a bias."""
        if self.rounded is not None:
            self._each(left, right, out).add_(bias)
        elif _is_lone_vector(left, right):
            out.copy_(torch.baddbmm(bias, _twice(left), _twice(right))[:1])
        else:
            torch.baddbmm(bias, left, right, out=out)

    def _each(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Fill `out` with the products of two stacks, one by one, and return it.

        PyTorch's product of stacks copies what lies transposed, which takes five times as long as a wide network's
        product with AMX; and those who multiply in bfloat16 are alone in their stack.
        """
        for one, *factors in zip(out, left, right, strict=True):
            one.copy_(self._product(*factors))
        return out

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.mm(self.factor(left), self.factor(right)).bfloat16()


def _is_lone_vector(left: Tensor, right: Tensor) -> bool:
    """Return whether a stack of one multiplies a vector, as a layer of one output does: MKL multiplies several by
    another routine, and with AVX-512 on Intel's CPUs that rounds otherwise. So such a stack is multiplied twice."""
    return len(left) == 1 and 1 in (left.shape[1], right.shape[2])


def _twice(stack: Tensor) -> Tensor:
    return stack.expand(2, -1, -1)


FLOAT32 = Arithmetic()
BFLOAT16 = Arithmetic(Tensor.bfloat16)
"""By units for it; a CPU without takes many times as long."""
ROUNDED = Arithmetic(lambda values: values.bfloat16().float())
"""The same by products of float32, where there are no units: only the order of a sum's terms is another."""
