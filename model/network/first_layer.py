"""The first layer's products, for several networks at once: on a CPU without most of the dark pixels.

Four of five pixels of MNIST are black, and multiply by zero. On a CPU those that are seldom lit are listed where they
are, image by image and pixel by pixel, and the products are sums of a table's rows, weighted by brightness: PyTorch's
`embedding_bag`, whose kernels (FBGEMM) are made for the machine at hand. Those in the middle of an image are lit so
often that a plain product takes less time. Elsewhere, where shapes should stay, in small minibatches, and
of samples that are no pictures, all of it is a plain product.

In bfloat16 the sums of a table's rows are of rounded factors, and float32.

A table has a row for each input, or each sample, and a column for each unit. The last input is always 1: the weights
beside it are the bias.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, pad

from model.data.samples import Samples
from model.network.arithmetic import FLOAT32, Arithmetic
from model.network.way import Way, without_the_dark

NARROWEST = 16  # columns of a table: with 8 or fewer MKL rounds differently


class Products(Protocol):
    """The products of a minibatch's inputs, as fractions, with a table."""

    def of_weights(self, table: Tensor) -> Tensor:
        """Return inputs times weights `(inputs + 1, n)`: `(batch, n)`."""

    def of_gradient(self, table: Tensor) -> Tensor:
        """Return the transposed inputs times a gradient `(batch, n)`: that of the weights,
        `(inputs + 1, n)`."""


def products(samples: Samples, index: Tensor, way: Way) -> Products:
    """Return the products with a minibatch."""
    arithmetic = way.arithmetic
    if way.lit_alone:
        lit = samples.lit
        often = lit.often.index_select(0, index).float().div_(255)
        return Sparse(lit.where, arithmetic.factor(often), lit.seldom[index.numpy()], arithmetic)
    if arithmetic.rounded is None:
        return Dense(pad(samples.inputs_at(index), (0, 1), value=1.0))
    return Dense(arithmetic.factor(samples.rounded.index_select(0, index)), arithmetic)


def outputs(layer: nn.Linear, samples: Samples, chunk: int) -> Iterator[Tensor]:
    """Yield what a first layer makes of the samples in their order, `(chunk, units)`; the last may be fewer. In
    float32, however it was trained."""
    weights, way = torch.cat([layer.weight.T, layer.bias[None]]), Way(FLOAT32, without_the_dark(samples, chunk))
    for index in torch.split(torch.arange(len(samples), device=weights.device), chunk):
        yield products(samples, index, way).of_weights(weights)


@dataclass(frozen=True)
class Dense:
    """Over all inputs."""

    inputs: Tensor  # (batch, inputs + 1), factors
    arithmetic: Arithmetic = FLOAT32

    def of_weights(self, table: Tensor) -> Tensor:
        """See `Products`."""
        return self.arithmetic.mm(self.inputs, table)

    def of_gradient(self, table: Tensor) -> Tensor:
        """See `Products`."""
        return self.arithmetic.mm(self.inputs.T, table)


@dataclass(frozen=True)
class Sparse:
    """Over pixels that are often lit always, over others where they are.

    A column's bits depend on that column of the table alone, if the table has `NARROWEST` columns or more.
    """

    where: Tensor  # int64 (k,), the inputs that are often lit
    often: Tensor  # (batch, k), factors
    seldom: Any  # a sparse matrix of SciPy's, bytes (batch, inputs + 1): the others
    arithmetic: Arithmetic = FLOAT32

    def of_weights(self, table: Tensor) -> Tensor:
        """See `Products`."""
        table = self.arithmetic.factor(table)
        sums = self._images.sums(table.float())
        return self.arithmetic.add_mm(sums, self.often, table.index_select(0, self.where))

    def of_gradient(self, table: Tensor) -> Tensor:
        """See `Products`."""
        table = self.arithmetic.factor(table)
        often = self.arithmetic.mm(self.often.T, table)
        return self._pixels.sums(table.float()).index_copy_(0, self.where, often)

    @cached_property
    def _images(self) -> "Bags":
        """What is seldom lit, of each image."""
        return Bags.of(self.seldom, self.arithmetic)

    @cached_property
    def _pixels(self) -> "Bags":
        """In which images each pixel is lit, of those that seldom are."""
        return Bags.of(self.seldom.tocsc(), self.arithmetic)


@dataclass(frozen=True)
class Bags:
    """A sparse matrix, row by row."""

    columns: Tensor  # (lit,) int32
    starts: Tensor  # (rows + 1,) int32: where each row begins, and the end of the last
    shares: Tensor  # (lit,) float32 in 0..1, as factors

    @classmethod
    def of(cls, matrix: Any, arithmetic: Arithmetic) -> "Bags":
        """Take over a matrix of SciPy's, of bytes; one by columns becomes its transpose."""
        columns, starts, lit = map(torch.from_numpy, (matrix.indices, matrix.indptr, matrix.data))
        return cls(columns, starts, arithmetic.factor(lit.float().div_(255)).float())

    def sums(self, table: Tensor) -> Tensor:
        """Return the product with a table; a row's terms are added in their order."""
        return embedding_bag(
            self.columns, table, self.starts, mode="sum", per_sample_weights=self.shares, include_last_offset=True
        )
