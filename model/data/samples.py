"""Samples and their targets on one device, and data in parts."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from scipy.sparse import csr_array
from torch import Tensor

OFTEN = 1 / 3
"""Share of the samples from which on it costs less to multiply by a pixel always than where it is lit: as measured."""

PART = 4096  # samples whose inputs are made at once, where those of all would take too much memory

_LOCK = threading.RLock()  # what several fleets need is made once


@dataclass(frozen=True, eq=False)
class Lit:
    """Pictures on the CPU by what is lit in them; one more input is always 255, for a bias."""

    where: Tensor  # int64 (k,), the inputs that are lit in more than `OFTEN` of the samples
    often: Tensor  # uint8 (n, k), those inputs
    seldom: Any  # a sparse matrix of SciPy's, uint8 (n, d + 1), 5 bytes a lit pixel: the others


@dataclass(eq=False)
class Samples:
    """`n` samples of `d` numbers each, and their targets."""

    values: Tensor  # uint8 (n, d), the pixels of pictures, row by row; float32 (n, d), scaled, of all else
    targets: Tensor  # int64 (n,), classes from 0; float32 (n, 1), scaled, where the target is a number
    _lit: Lit | None = field(default=None, init=False, repr=False)
    _rounded: Tensor | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.values.device

    @property
    def are_bytes(self) -> bool:
        """Whether they came as bytes."""
        return self.values.dtype == torch.uint8

    @property
    def pixels(self) -> Tensor:
        """The bytes of pictures, uint8 (n, d). Raises `TypeError` for samples that are none."""
        if not self.are_bytes:
            raise TypeError("these samples did not come as bytes")
        return self.values

    @property
    def inputs(self) -> Tensor:
        """What networks see, float32 (n, d); bytes as 0..1, four times as large and made anew, so of a few only."""
        return self._as_inputs(self.values)

    @property
    def lit(self) -> Lit:
        """Pictures by what is lit; made when first asked for, and half of what MNIST's take."""
        with _LOCK:
            if self._lit is None:
                self._lit = _by_what_is_lit(self.pixels)
            return self._lit

    @property
    def rounded(self) -> Tensor:
        """The inputs and a one for a bias, bfloat16 (n, d + 1); made when first asked for."""
        with _LOCK:
            if self._rounded is None:
                self._rounded = self.values.new_ones(len(self), self.values.shape[1] + 1, dtype=torch.bfloat16)
                places = torch.split(self._rounded, PART)
                for place, inputs in zip(places, self.inputs_in_parts(PART), strict=True):
                    place[:, :-1] = inputs
            return self._rounded

    def inputs_at(self, rows: Tensor) -> Tensor:
        """Return the inputs at `rows` (int64 indices), without making those of all."""
        return self._as_inputs(self.values.index_select(0, rows))

    def inputs_in_parts(self, size: int) -> Iterator[Tensor]:
        """Yield the inputs, so many at a time, without making those of all; the last may be fewer."""
        return map(self._as_inputs, torch.split(self.values, size))

    def _as_inputs(self, values: Tensor) -> Tensor:
        return values.float().div_(255) if self.are_bytes else values

    def first(self, count: int) -> "Samples":
        """Return the first of them."""
        return Samples(self.values[:count], self.targets[:count])

    def to(self, device: torch.device | str) -> "Samples":
        """Return the same samples on `device`."""
        return Samples(self.values.to(device), self.targets.to(device))

    def take(self, rows: Tensor) -> "Samples":
        """Return the samples at `rows` (int64 indices), in that order."""
        return Samples(self.values[rows], self.targets[rows])


class Parts:
    """Data in parts, each in the order of the file.

    `full` and `test` are read or made when first asked for and not before, so that a search, which never names them,
    never holds them: `"test" in vars(parts)` tells whether anyone did.
    """

    train: Samples  # what a trial learns from
    validation: Samples  # what a search selects by

    def __init__(
        self, train: Samples, validation: Samples, read_full: Callable[[], Samples], read_test: Callable[[], Samples]
    ) -> None:
        self.train, self.validation = train, validation
        self._read_full, self._read_test = read_full, read_test

    @cached_property
    def full(self) -> Samples:
        """`train` and `validation` together."""
        return self._read_full()

    @cached_property
    def test(self) -> Samples:
        """What nothing was chosen by, for final figures only. Raises `DataError` if files have gone bad since."""
        return self._read_test()


def _by_what_is_lit(pixels: Tensor) -> Lit:
    inputs = torch.nn.functional.pad(pixels, (0, 1), value=255)
    is_often = torch.count_nonzero(inputs, 0) > OFTEN * len(inputs)
    often = inputs[:, is_often]
    inputs[:, is_often] = 0
    return Lit(is_often.nonzero().flatten(), often, csr_array(inputs.numpy()))
