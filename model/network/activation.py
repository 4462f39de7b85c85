"""Activations of plain MLPs and their derivatives, written into memory that is there.

ReLU and its derivative take each number for itself. PyTorch's GELU and SiLU round otherwise at a tensor's end than in
its middle, where they take 16 at once: so they are worked out for one network at a time, whose bits then depend on its
own shape alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """Of one network's layer; `out` may be what is read, but for a value that the derivative needs."""

    value: Callable[[Tensor, Tensor], object]  # of what the layer makes, into `out`
    gradient: Callable[[Tensor, Tensor, Tensor], object]  # that of the value, and what is kept, into `out`
    keeps_input: bool  # whether the derivative needs what the layer made; else the value


ACTIVATIONS = {
    "gelu": Activation(
        lambda made, out: aten.gelu.out(made, out=out),
        lambda gradient, made, out: aten.gelu_backward.grad_input(gradient, made, grad_input=out),
        keeps_input=True,
    ),
    "silu": Activation(
        lambda made, out: aten.silu.out(made, out=out),
        lambda gradient, made, out: aten.silu_backward.grad_input(gradient, made, grad_input=out),
        keeps_input=True,
    ),
    "tanh": Activation(
        lambda made, out: torch.tanh(made, out=out),
        lambda gradient, value, out: aten.tanh_backward.grad_input(gradient, value, grad_input=out),
        keeps_input=False,
    ),
}
"""All but ReLU, which is cut for a whole panel at once."""


def relu_gradient(gradient: Tensor, value: Tensor, out: Tensor) -> None:
    """Copy the gradient, with zero for every unit that ReLU, or dropout after it, had cut off."""
    aten.threshold_backward.grad_input(gradient, value, 0, grad_input=out)
