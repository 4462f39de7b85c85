"""An optimizer's step on a few tensors, by its fused kernel alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

_ADAM = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}


@dataclass(frozen=True)
class Rule:
    """Adam, AdamW or SGD with momentum, with PyTorch's defaults."""

    lr: float
    name: str = "adam"  # or adamw, sgd
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0  # of sgd

    @classmethod
    def of(cls, name: str, optimizer: torch.optim.Optimizer) -> "Rule":
        """Return that of an optimizer of PyTorch's."""
        (group,) = optimizer.param_groups
        own = {each: group[each] for each in ("betas", "momentum") if each in group}
        return cls(group["lr"], name, group["weight_decay"], **own)

    def take(
        self,
        values: list[Tensor],
        grads: list[Tensor],
        moments: list[Tensor],
        squares: list[Tensor],
        steps: Tensor,
    ) -> None:
        """Take a step. moments, squares: shaped as the values, zeros at first; steps: (), how many there were.

        Called by itself, since the optimizer around it costs six times the kernel at this size. Its rounding depends
        on a tensor's own shape alone, not on what lies beside it in memory.
        """
        steps += 1
        if self.name == "sgd":
            self._sgd(values, grads, moments)
            return
        _ADAM[self.name](
            values,
            grads,
            moments,
            squares,
            [],
            [steps] * len(values),
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=1e-8,
            weight_decay=self.weight_decay,
            amsgrad=False,
            maximize=False,
        )

    def _sgd(self, values: list[Tensor], grads: list[Tensor], moments: list[Tensor]) -> None:
        torch._fused_sgd_(
            values,
            grads,
            moments if self.momentum else [],
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,  # from zeros the first step is the same
        )
