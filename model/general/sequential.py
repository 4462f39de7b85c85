"""A fleet of any networks: a minibatch is fetched once, and each takes its own step on it, one after the other.

The step is PyTorch's plain loop, so a network's bits are those of the loop alone. A last minibatch of a single sample,
of which batch norm can make nothing, is joined to the one before it, for every network alike.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.data.samples import Samples
from model.errors import NetworkError
from model.general.member import GeneralMember
from model.generator import global_state


@dataclass
class Course:
    """A member's way through an epoch."""

    drawing: AbstractContextManager[object]  # its random numbers
    total: float = 0.0  # loss, times samples
    last: float = float("nan")  # loss on the latest minibatch
    outputs: Tensor = field(default_factory=lambda: torch.empty(0, 1))  # for it
    targets: Tensor = field(default_factory=lambda: torch.empty(0))


class Sequential:
    """Trains the members it was made of; they own all that changes."""

    def __init__(self, members: Sequence[GeneralMember], samples: Samples, batch: int) -> None:
        self.members, self.samples, self.batch = list(members), samples, batch
        self.device = samples.device
        for slot, member in enumerate(self.members):
            member.slot = slot
        self._courses: list[Course] = []

    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`.

        A network whose loss is not finite takes no more steps. Raises `NetworkError` if a network drew from the global
        generator.
        """
        before = global_state(self.device)
        self._train(order)
        if not torch.equal(before, global_state(self.device)):
            raise NetworkError("a network drew random numbers that were not given the trial's own seed")

    def _train(self, order: Tensor) -> None:
        with ExitStack() as stack:
            self._courses = [Course(stack.enter_context(member.drawing())) for member in self.members]
            for index in minibatches(order.to(self.device), self.batch):
                self._step(self.samples.inputs_at(index), self.samples.targets.index_select(0, index))

    def _step(self, inputs: Tensor, targets: Tensor) -> None:
        for member, course in zip(self.members, self._courses, strict=True):
            if math.isfinite(course.total):
                course.outputs, loss = member.step(inputs, targets, course.drawing)
                course.targets, course.last = targets, loss.item()
                course.total += course.last * len(targets)

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, and accuracy, nan for numbers, and mean loss on its last
        minibatch."""
        n = len(self.samples)
        return [(each.total / n, accuracy(each.outputs, each.targets), each.last) for each in self._courses]


def minibatches(order: Tensor, batch: int) -> list[Tensor]:
    """Return the minibatches of an order; none but those that are asked to be is a single sample, if it can be."""
    parts = list(order.split(batch))  # type: ignore[no-untyped-call]
    if len(parts) > 1 and batch > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of right answers, nan where targets are numbers."""
    outputs = outputs.detach()
    return float("nan") if targets.is_floating_point() else (outputs.argmax(1) == targets).float().mean().item()
