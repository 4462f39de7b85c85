"""A fleet on a GPU: networks side by side in a few large tensors, and a step of all as eight kernels in one graph.

They are laid out anew whenever one joins or leaves; the kernels are in `model/gpu/kernels.py`. A network's unit `j` is
column `start + j` of whatever has a column for each unit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate

import torch
import triton
from torch import Tensor

from model.data.samples import Samples
from model.gpu import kernels
from model.gpu.graph import Replay, cuda_graph
from model.network.arithmetic import Precision
from model.network.member import CLASSES, INPUTS, Member
from model.network.way import has_units

ALIGN = 16  # units: no product of Triton's is narrower
SLOTS = kernels.SLOTS.value
KNOWN_STEPS = 1 << 15  # of Adam's: after so many both of its corrections are 1 to the last bit
TILE, DEPTH = 64, 32  # of images, of columns, and of a sum: as measured; the same for all, or bits would differ


def ready() -> None:
    """Raise what keeps Triton from compiling kernels for this GPU: it needs a C compiler and Python's headers."""
    triton.runtime.driver.active.get_current_target()


@dataclass
class Tensors:
    """All networks' weights, or one of Adam's moments."""

    w1: Tensor  # (785, units), the bias last
    w2: Tensor  # (units, stride): a row's network's columns from 0 on
    b2: Tensor  # (units, 1)
    w3: Tensor  # (10, units)
    b3: Tensor  # (networks, 16)

    @classmethod
    def zeros(cls, networks: int, units: int, stride: int, device: torch.device) -> "Tensors":
        """Return zeros."""
        shapes = (INPUTS + 1, units), (units, stride), (units, 1), (CLASSES, units), (networks, SLOTS)
        return cls(*(torch.zeros(shape, device=device) for shape in shapes))

    def of(self, slot: int, start: int, units: int) -> list[Tensor]:
        """View one network's, in the order of `Member.values`."""
        own = slice(start, start + units)
        return [self.w1[:, own], self.w2[own, :units], self.b2[own], self.w3[:, own], self.b3[slot, :CLASSES, None]]


class Fused:
    """Trains the members it was made of, all in one precision; their weights and Adam's state become views of its own.

    Made for CUDA. On a CPU it runs where Triton interprets its kernels, for tests.
    """

    def __init__(self, members: Sequence[Member], images: Samples, batch: int) -> None:
        device, samples = images.device, len(images)
        self.images, self.batch, self.rest = images, min(batch, samples), samples % min(batch, samples)
        self.members = sorted(members, key=lambda member: member.units)
        widths = [triton.cdiv(member.units, ALIGN) * ALIGN for member in self.members]
        starts = [0, *accumulate(widths[:-1])]
        self.units, self.stride = sum(widths), max(widths)
        self.values, self.moments, self.squares = (
            Tensors.zeros(len(members), self.units, self.stride, device) for _ in range(3)
        )
        self.rates, self.counts = (torch.zeros(self.units, device=device) for _ in range(2))  # Adam's, of every unit
        for slot, (member, start, width) in enumerate(zip(self.members, starts, widths, strict=True)):
            self._move_in(member, slot, start, width)

        def integers(rows: object) -> Tensor:
            return torch.tensor(rows, device=device, dtype=torch.int32)

        places = list(zip(starts, widths, range(len(members)), strict=True))
        self.starts, self.widths = integers(starts), integers(widths)
        self.tiles = integers([(*place, column) for place in places for column in range(0, place[1], TILE)])
        self.corrections = corrections(device)
        self.cursor = integers([0])  # where in the order the next minibatch begins
        self.order = torch.zeros(samples, device=device, dtype=torch.int64)
        self.labels = integers([0] * self.batch)
        self.split = split_of(members[0].precision, device)
        parts, kind = max(1, self.split), torch.bfloat16 if self.split else torch.float32
        self.pixels = torch.zeros(self.batch, kernels.ROW.value, device=device, dtype=kind)
        self.first, self.second, self.d_first, self.d_second = (
            torch.zeros(parts, self.batch, self.units, device=device, dtype=kind) for _ in range(4)
        )
        self.d_logits = torch.zeros(self.batch, len(members) * SLOTS, device=device)
        self.cells = triton.cdiv(self.batch, TILE)  # of a figure: one for each tile of images
        self.sums = torch.zeros(3, len(members), self.cells, device=device)  # losses, the last batch's, right answers
        record = cuda_graph if device.type == "cuda" else None
        self.replays = {size: Replay(record) for size in (self.batch, self.rest) if size}

    def train(self, order: Tensor) -> None:
        """Train an epoch in this order, int64 `(samples,)`; return when the GPU has been told all of it."""
        with torch.cuda.device(self.order.get_device()):  # none is -1; Triton launches on the current one
            self.order.copy_(order)
            self.cursor.zero_()
            self.sums.zero_()
            for _ in range(len(self.images) // self.batch):
                self._play(self.batch)
            if self.rest:
                self.sums[1:].zero_()
                self._play(self.rest)

    def figures(self) -> list[tuple[float, float, float]]:
        """Wait; return each slot's mean loss over the epoch, and accuracy and mean loss on its last minibatch."""
        # Added up exactly, in whatever order: the order of a sum on the device might depend on how many there are.
        losses, lasts, rights = ([math.fsum(cells) for cells in slots] for slots in self.sums.tolist())
        last = self.rest or self.batch
        return [(a / len(self.images), c / last, b / last) for a, b, c in zip(losses, lasts, rights, strict=True)]

    def _move_in(self, member: Member, slot: int, start: int, width: int) -> None:
        for mine, theirs in (
            (self.values, member.values), (self.moments, member.moments), (self.squares, member.squares),
        ):  # fmt: skip
            views = mine.of(slot, start, member.units)
            for view, value in zip(views, theirs, strict=True):
                view.copy_(value)
            theirs[:] = views
        self.rates[start : start + width], self.counts[start : start + width] = member.rule.lr, member.steps
        member.steps, member.slot = self.counts[start], slot

    def _play(self, size: int) -> None:
        self.replays[size](partial(self._step, size))

    def _step(self, size: int) -> None:
        """Train the minibatch of this size at the cursor, and move that on."""
        units, stride, members, plane = self.units, self.stride, len(self.members), self.batch * self.units
        v, m, s = self.values, self.moments, self.squares
        first, second, d_first, d_second, d_logits = self.first, self.second, self.d_first, self.d_second, self.d_logits
        rows, columns, tiles = triton.cdiv(size, TILE), triton.cdiv(units, TILE), len(self.tiles)
        how = {"SPLIT": self.split, "TILE": TILE, "DEPTH": DEPTH}
        self.counts += 1

        kernels.gather[size,](
            self.images.pixels, self.images.targets, self.order, self.cursor, self.pixels, self.labels, BLOCK=1024
        )
        kernels.first[rows, columns](self.pixels, v.w1, first, size, units, plane, **how)
        kernels.hidden[rows, tiles](first, v.w2, v.b2, second, self.tiles, size, units, stride, plane, **how)
        kernels.head[rows, members](
            second, v.w3, v.b3, self.labels, d_logits, *self.sums, self.starts, self.widths,
            size, members, self.cells, units, plane, **how,
        )  # fmt: skip
        kernels.back[rows, tiles](
            d_logits,
            v.w3,
            second,
            v.w2,
            first,
            d_second,
            d_first,
            self.tiles,
            size,
            members,
            units,
            stride,
            plane,
            **how,
        )

        adam, how = (self.rates, self.counts, self.corrections, size), {**how, "LAST": KNOWN_STEPS - 1}
        kernels.grow_first[triton.cdiv(INPUTS + 1, TILE), columns](
            self.pixels, d_first, v.w1, m.w1, s.w1, *adam, units, plane, **how
        )
        kernels.grow_hidden[triton.cdiv(stride, TILE), tiles](
            first, d_second, v.w2, m.w2, s.w2, v.b2, m.b2, s.b2, self.tiles, *adam, units, stride, plane, **how
        )
        kernels.grow_output[1, tiles](
            second, d_logits, v.w3, m.w3, s.w3, v.b3, m.b3, s.b3, self.tiles, *adam, members, units, plane, **how
        )
        self.cursor += size


def split_of(precision: Precision, device: torch.device) -> int:
    """Return as how many bfloat16 a float32 is multiplied on tensor cores; 0, as it is, where there are none for them.

    One in a study of bfloat16, three else: that is as exact as float32.
    """
    if precision == "bfloat16":
        return 1
    return 3 if has_units(device) and device.type == "cuda" else 0


@cache
def corrections(device: torch.device) -> Tensor:
    """Return what Adam divides its two moments by after each number of steps, the second's root; `(steps, 2)`."""
    steps = torch.arange(KNOWN_STEPS, dtype=torch.float64)
    return torch.stack([1 - 0.9**steps, (1 - 0.999**steps).sqrt()], 1).float().to(device)
