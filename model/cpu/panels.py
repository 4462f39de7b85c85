"""A fleet by library: panels of networks, each step a few products of PyTorch's for every panel.

How a fleet trains on a CPU, and wherever there are no kernels for it (`model/gpu/fused.py`). A minibatch is fetched
once for all panels; every network takes its own optimizer's step, and draws its own masks for the whole of it.

Where a fleet has two threads of a CPU, each works on one half of every minibatch, and the gradients are added up. Two
threads that share every product wait for each other at each: a network of 256 units then gained next to nothing by the
second. No part is a single sample: MKL multiplies a vector by another routine, whose bits depend on the neighbours.

More than two threads share the products of wide networks alone, which never share a panel. Those of a shared panel are
one thread's: of small matrices that several threads multiply, bits depend on the matrices' shape, and so on the
company.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from model.cpu.losses import LOSSES
from model.cpu.panel import Panel, PanelBuffers, panels
from model.data.samples import Samples
from model.network.first_layer import products
from model.network.member import Member
from model.network.way import WAYS, Way
from model.threads import using

PARTS = 2  # of a minibatch on a CPU with as many threads or more; those of a part share its products


@dataclass
class Buffers:
    """Work space for so many samples."""

    panels: list[PanelBuffers]
    outputs: Tensor  # (slots, outputs, samples)
    d_outputs: Tensor  # their gradient


@dataclass
class Part:
    """Works out gradients of a part of each minibatch, in a place of its own."""

    panels: list[Panel]
    samples: Samples
    way: Way
    _buffers: dict[int, Buffers] = field(default_factory=dict, init=False)

    @property
    def slots(self) -> int:
        """How many networks have outputs."""
        return int(self.panels[-1].stacks[-1].slots.stop)

    def twin(self) -> "Part":
        """Return one for another part of the same minibatches, with the same weights."""
        return Part([panel.twin() for panel in self.panels], self.samples, self.way)

    @torch.no_grad()
    def work(self, index: Tensor, rows: slice, batch: int) -> Tensor:
        """Work out the gradients of these samples, which are those `rows` of a minibatch of `batch`; return their share
        of its mean loss, `(slots,)`."""
        buffers, threads = self._buffers_for(len(index)), torch.get_num_threads()
        with using(1):
            inputs = products(self.samples, index, self.way)
            for panel, work in zip(self.panels, buffers.panels, strict=True):
                with using(threads if panel.is_of_one else 1):
                    panel.forward(inputs, work, buffers.outputs, rows)
            loss = LOSSES[self.panels[0].members[0].criterion]
            losses = loss(buffers.outputs, self.samples.targets[index], batch, buffers.d_outputs)
            for panel, work in zip(self.panels, buffers.panels, strict=True):
                with using(threads if panel.is_of_one else 1):
                    panel.backward(inputs, work, buffers.d_outputs, rows)
        return losses

    def add(self, twin: "Part") -> None:
        """Add a twin's gradients to its own."""
        for panel, other in zip(self.panels, twin.panels, strict=True):
            panel.add(other)

    def correct(self, index: Tensor) -> Tensor:
        """Return how many of the samples that it worked on last each slot named rightly, before the step, `(slots,)`;
        nan where targets are numbers."""
        outputs, targets = self._buffers[len(index)].outputs, self.samples.targets[index]
        if targets.is_floating_point():
            return outputs.new_full((self.slots,), float("nan"))
        return (outputs.argmax(1) == targets).sum(1)

    def _buffers_for(self, count: int) -> Buffers:
        if count not in self._buffers:
            outputs = self.panels[0].members[0].config.outputs
            shape, device = (self.slots, outputs, count), self.samples.device
            made, d_made = (torch.empty(shape, device=device) for _ in range(2))
            self._buffers[count] = Buffers([panel.buffers(count) for panel in self.panels], made, d_made)
        return self._buffers[count]


class Panels:
    """Trains the members it was made of, all by the same loss and in the same way to multiply: only their weights move
    here, the optimizer's state stays with its member."""

    def __init__(self, members: Sequence[Member], samples: Samples, batch: int) -> None:
        self.samples, self.batch = samples, batch
        self.device = samples.device
        self.members = list(members)
        way = WAYS[members[0].way]
        laid = panels(members, self.device, way.arithmetic)
        self.parts = [Part(laid, samples, way)]  # the first's gradients are those of all
        self._figures = torch.zeros(3, self.parts[0].slots)

    @torch.no_grad()
    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`."""
        threads, n = torch.get_num_threads(), len(self.samples)
        parts = min(PARTS, threads) if self.device.type == "cpu" else 1
        self.parts += [self.parts[0].twin() for _ in range(len(self.parts), parts)]
        each = threads // parts
        losses = torch.zeros(self.parts[0].slots, device=self.device)
        with ThreadPoolExecutor(PARTS - 1, initializer=torch.set_num_threads, initargs=(each,)) as others, using(each):
            for index in order.to(self.device).split(self.batch):  # type: ignore[no-untyped-call]
                share_of_epoch = len(index) / n
                index = index.repeat(2) if len(index) == 1 else index  # noqa: PLW2901  # the mean stays what it is
                shares = index.tensor_split(min(parts, len(index) // 2))
                batch_losses = self._step(shares, len(index), others)
                losses += batch_losses * share_of_epoch
        correct = torch.stack([part.correct(share) for part, share in zip(self.parts, shares, strict=False)]).sum(0)
        self._figures = torch.stack([losses, correct / len(index), batch_losses])

    def figures(self) -> list[tuple[float, float, float]]:
        """Return each slot's mean loss over the epoch, and accuracy, nan for numbers, and mean loss on its last
        minibatch."""
        losses, correct, last_losses = self._figures.tolist()
        return list(zip(losses, correct, last_losses, strict=True))

    def _step(self, shares: Sequence[Tensor], batch: int, others: Executor) -> Tensor:
        """Train one minibatch, a part for each share; return each slot's mean loss before the update, `(slots,)`."""
        first, *twins = self.parts
        for member in self.members:
            member.draw(batch)
        for panel in first.panels:
            panel.collect()
        mine, *rows = _rows(shares)
        work = zip(twins, shares[1:], rows, strict=False)
        pending = [(twin, others.submit(twin.work, share, part, batch)) for twin, share, part in work]
        losses = first.work(shares[0], mine, batch)
        for twin, result in pending:
            losses += result.result()
            first.add(twin)
        for panel in first.panels:
            panel.spread()
        for member in self.members:
            member.update()
        return losses


def _rows(shares: Sequence[Tensor]) -> list[slice]:
    """Return which rows of a minibatch each share of it is."""
    ends = [0, *accumulate(map(len, shares))]
    return [slice(*pair) for pair in pairwise(ends)]
