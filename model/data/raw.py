"""What every kind of data is read into, before it is split: inputs as they were, and how they are scaled.

The kinds: `named`, `table`, `arrays`, `folder`. What becomes of them: `dataset`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.split import SPLIT_SEED, stratified_split
from model.errors import OwnDataError
from model.seeds import derive

Array = NDArray[Any]
Encode = Callable[[Array], NDArray[np.float32] | NDArray[np.uint8]]
"""Makes inputs as they were into rows of numbers, (n, d): float32, or bytes that `Samples` divides by 255."""

MAX_CLASSES = 100  # integers of more kinds than this are numbers


@dataclass(frozen=True, eq=False)
class Target:
    """What the target's values mean: classes where they are text, truth values or few integers, else a number.

    Integers are classes where at most `MAX_CLASSES` different ones occur. Floats are never classes.
    """

    what: str  # for messages: `column "label" of rows.csv`
    classes: Array | None  # the values, ascending; None where the target is a number
    kind: str  # of the values: text, integers, ...

    @classmethod
    def of(cls, values: Array, what: str) -> "Target":
        """Return the meaning of all the values, (n,). Raises `OwnDataError` where there is nothing to learn."""
        if values.dtype.kind not in "Ubiuf":
            raise OwnDataError(f"{what} is neither text nor numbers; give one value a row")
        refuse_not_finite(values, what)
        found = np.unique(values)
        if len(found) < 2:
            known = f'one only, "{found[0]}"' if len(found) else "none"
            raise OwnDataError(f"{what} should have two values or more and has {known}: there is nothing to learn")
        is_number = values.dtype.kind == "f" or (values.dtype.kind in "iu" and len(found) > MAX_CLASSES)
        return cls(what, None if is_number else found, _kind(values))

    @property
    def names(self) -> tuple[str, ...] | None:
        """The classes' names, in the order of their labels."""
        return None if self.classes is None else tuple(map(str, self.classes))

    def encode(self, values: Array, what: str) -> Array:
        """Return labels, int64 (n,), or numbers, float64 (n,). Raises `OwnDataError` for a value of another kind."""
        refuse_not_finite(values, what)
        if self.classes is None:
            if values.dtype.kind not in "iuf":
                raise OwnDataError(f"{what} is no number, as {self.what} is")
            return values.astype(np.float64)
        known = np.isin(values, self.classes) if _kind(values) == self.kind else np.zeros(len(values), bool)
        if not known.all():
            raise OwnDataError(f'{what} has "{values[~known][0]}", which {self.what} has not')
        return np.searchsorted(self.classes, values).astype(np.int64)


def _kind(values: Array) -> str:
    return values.dtype.kind.replace("u", "i")


def own_split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows that train, and a sixth that validates."""
    return stratified_split(labels, len(labels) // 6, derive(SPLIT_SEED, "validation"))


@dataclass(frozen=True, eq=False)
class Raw:
    """Data as they were read, on the CPU."""

    name: str
    sha256: str  # of the content
    inputs: Array = field(repr=False)  # (n, ...)
    targets: Array = field(repr=False)  # (n,)
    target: Target
    fit: Callable[[Array], Encode] = field(repr=False)  # from the training part's inputs
    shape: tuple[int, ...] | None = None  # of one input; None: as many numbers as `fit` makes
    read_test: Callable[[], tuple[Array, Array]] | None = field(default=None, repr=False)  # None: held out of these
    read_again: Callable[[], tuple[Array, Array]] | None = field(default=None, repr=False)  # None: to be kept
    test_size: int = 0  # rows that `read_test` returns
    split: Callable[[Tensor], tuple[Tensor, Tensor]] = own_split  # labels -> rows that train and that validate
    identity: Mapping[str, str] = field(default_factory=dict)  # what else a study must agree with


def flattened(training: Array) -> Encode:  # noqa: ARG001
    """Return what makes rows of pictures that are bytes."""
    return lambda inputs: np.require(inputs.reshape(len(inputs), -1), requirements=["C", "W"])


def divided(by: float) -> Callable[[Array], Encode]:
    """Return a scaling of pictures that looks at nothing: 0..`by` becomes 0..1."""

    def encode(inputs: Array) -> NDArray[np.float32]:
        pixels = inputs.reshape(len(inputs), -1).astype(np.float32)
        pixels /= np.float32(by)
        return pixels

    return lambda _: encode


def standardised(training: Array) -> Encode:
    """Return the scaling of numbers (n, d) to mean 0 and standard deviation 1 in the training part, by column.

    A column that has one value there becomes 0 where it has that value.
    """
    mean, deviation = mean_and_deviation(training)
    return lambda inputs: scaled(inputs, mean, deviation)


def to_unit_range(training: Array) -> Encode:
    """Return the scaling of pictures (n, ...) by which the training part's values span 0..1."""
    low, high = np.float64(training.min()), np.float64(training.max())
    return lambda inputs: scaled(inputs.reshape(len(inputs), -1), low, high - low or np.float64(1))


def mean_and_deviation(training: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each column, (n, d), or of a single one, (n,).

    Of a column that has one value only they are that value and 1.
    """
    numbers = training.astype(np.float64)
    constant = (numbers == numbers[0]).all(axis=0)  # whose deviation, as computed, need not be exactly 0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = numbers.mean(axis=0), numbers.std(axis=0)
    return np.where(constant, numbers[0], mean), np.where(constant, 1, deviation)


def scaled(numbers: Array, zero: Array | np.float64, unit: Array | np.float64) -> NDArray[np.float32]:
    """Return how many units above zero each number is. Raises `OwnDataError` where that cannot be a float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        result: NDArray[np.float32] = ((numbers - zero) / unit).astype(np.float32)
    if not (np.isfinite(unit).all() and np.isfinite(result).all()):
        raise OwnDataError("some numbers are too large to be scaled: give them in a larger unit")
    return result


def refuse_not_finite(values: Array, what: str) -> None:
    """Raise `OwnDataError` naming the first row, counted from 1, that has a NaN or an infinite number."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    place = np.argwhere(~np.isfinite(values))[0]
    raise OwnDataError(f"{what} has {values[tuple(place)]} in row {place[0] + 1}: give a number or leave the row out")


def torch_labels(labels: Array) -> Tensor:
    """Return labels for a split: those of classes, or the same for every row where the target is a number."""
    return torch.from_numpy(labels if labels.dtype == np.int64 else np.zeros(len(labels), np.int64))


def rows_in_words(count: int) -> str:
    """Return "1 row", "2 rows"."""
    return f"{count} row{'s' if count != 1 else ''}"


def content_hash(files: Iterable[tuple[str, str]]) -> str:
    """Return one SHA-256 of several files: of lines with each one's name and SHA-256."""
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in files).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return a file's SHA-256. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
