"""Losses of several networks at once, and their gradients, written into memory that is there."""

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, int, Tensor], Tensor]
"""Of outputs `(slots, outputs, samples)` and targets, with the size of the minibatch that these samples are a part of:
fill the gradient of its mean loss, and return each slot's share of that, `(slots,)`."""


def _cross_entropy(outputs: Tensor, labels: Tensor, batch: int, gradient: Tensor) -> Tensor:
    log_p = torch.log_softmax(outputs, 1)
    target = (labels == torch.arange(outputs.shape[1], device=labels.device)[:, None]).to(log_p.dtype)
    torch.exp(log_p, out=gradient).sub_(target).div_(batch)
    return log_p.mul_(target).sum((1, 2)).neg_() / batch


def _mse(outputs: Tensor, targets: Tensor, batch: int, gradient: Tensor) -> Tensor:
    torch.sub(outputs, targets.T, out=gradient)
    losses = gradient.square().sum((1, 2)) / batch
    gradient.mul_(2 / batch)
    return losses


def _l1(outputs: Tensor, targets: Tensor, batch: int, gradient: Tensor) -> Tensor:
    torch.sub(outputs, targets.T, out=gradient)
    losses = gradient.abs().sum((1, 2)) / batch
    gradient.sign_().div_(batch)
    return losses


LOSSES: dict[str, Loss] = {"cross_entropy": _cross_entropy, "mse": _mse, "l1": _l1}
"""By the name that a study gives them."""
