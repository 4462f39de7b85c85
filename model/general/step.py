"""An optimizer's steps by its kernel alone.

At this size `torch.optim`'s own work around the kernel, done while holding Python's lock, costs more than the kernel.
So its first step makes the state, and later ones call the kernel on the same tensors: the same bits.
"""

from typing import Any

import torch
from torch import Tensor

_ADAM = {torch.optim.Adam: torch._fused_adam_, torch.optim.AdamW: torch._fused_adamw_}


class Steps:
    """Takes the steps of a fused Adam, AdamW or SGD with momentum that has one group of weights."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        (self.group,) = optimizer.param_groups
        self.weights: list[Tensor] = self.group["params"]
        self._state: dict[str, list[Tensor]] | None = None  # once every weight has one

    def forget(self) -> None:
        """Forget all gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def take(self) -> None:
        """Take a step; a weight without a gradient stays as it is, as PyTorch has it."""
        grads = [weight.grad for weight in self.weights if weight.grad is not None]
        if self._state is None or len(grads) < len(self.weights):
            self.optimizer.step()
            self._state = self._made()
        elif isinstance(self.optimizer, torch.optim.SGD):
            self._sgd(grads, self._state)
        else:
            self._adam(grads, self._state)

    def _made(self) -> dict[str, list[Tensor]] | None:
        states: list[dict[str, Any]] = [self.optimizer.state.get(weight, {}) for weight in self.weights]
        if not all(states) or any(value is None for state in states for value in state.values()):
            return None
        return {name: [state[name] for state in states] for name in states[0]}

    def _adam(self, grads: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        group, (beta1, beta2) = self.group, self.group["betas"]
        torch._foreach_add_(state["step"], 1)
        _ADAM[type(self.optimizer)](
            self.weights,
            grads,
            state["exp_avg"],
            state["exp_avg_sq"],
            [],
            state["step"],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def _sgd(self, grads: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        torch._fused_sgd_(
            self.weights,
            grads,
            state["momentum_buffer"],
            weight_decay=self.group["weight_decay"],
            momentum=self.group["momentum"],
            lr=self.group["lr"],
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
