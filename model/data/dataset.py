"""Any data on one device, in parts: to train, to select by, and to test, which is made only when asked for.

    open_dataset ─ read: by name, a table, arrays, a folder of pictures ─ split ─ scale by the training part

**The split.** Where the data bring a test part of their own (the named ones but `digits`; arrays with `x_test`), it is
the test. Else a fifth of the rows is held out for it. A sixth of the rest is for validation, which a search selects by
(mnist: 10,000, also a sixth). Both are drawn from `SPLIT_SEED`, class by class, so that each class's share differs by
less than one row; where the target is a number, among all rows. Every part keeps the order of the file.

**The scale.** What is learnt from data to scale them, mean, standard deviation and which categories there are, comes
from `train` alone, and holds for all parts. A target that is a number is scaled too, by `target_scale`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.data.arrays import read_arrays
from model.data.folder import read_folder
from model.data.memory import refuse_too_large
from model.data.named import NAMES, read_named
from model.data.raw import Array, Raw, mean_and_deviation, rows_in_words, scaled, torch_labels
from model.data.samples import Parts, Samples
from model.data.sources import Progress, reason
from model.data.split import SPLIT_SEED, stratified_split
from model.data.table import SUFFIXES, read_table
from model.errors import OwnDataError
from model.seeds import derive

ENOUGH = 10  # rows of a class, by which each part certainly gets one


@dataclass(frozen=True)
class DataSource:
    """What a study names as its data."""

    name: str  # one of `NAMES`, or the file's or folder's own
    path: str | None = None  # of a table, arrays or a folder
    target: str | None = None  # a table's column


class Dataset(Parts):
    """Data in parts, on one device; of published data the test part is read when first asked for."""

    name: str
    classes: int | None  # None: the target is a number
    class_names: tuple[str, ...] | None  # in the order of their labels
    shape: tuple[int, ...]  # of one input, as (28, 28), (3, 32, 32) or (30,)
    target_scale: tuple[float, float] | None  # mean and standard deviation of a number in `train`, in its own unit

    def __init__(self, raw: Raw, device: torch.device | str = "cpu") -> None:
        self._raw, self._device = raw, device
        self.name, self.class_names = raw.name, raw.target.names
        self.classes = None if self.class_names is None else len(self.class_names)
        self._rest, self._test_rows = _held_out(raw)
        kept, selected = raw.split(torch_labels(raw.targets[self._rest]))
        train, validation = self._rest[kept.numpy()], self._rest[selected.numpy()]
        self._check_parts({"training": train, "validation": validation, "test": self._test_rows})
        self._sizes = {"train": len(train), "validation": len(validation)}
        self.target_scale = None if self.classes else _scale(raw.targets[train])
        self._encode = raw.fit(raw.inputs[train])
        # Of all rows, so that what cannot be scaled is refused now, and not when a study asks for its test part.
        width = self._encode(np.stack([raw.inputs.min(axis=0), raw.inputs.max(axis=0)])).shape[1]
        self.shape = raw.shape or (width,)
        refuse_too_large(
            f"{raw.name}, as {len(self._rest)} rows of {width} numbers,", 8 * len(self._rest) * width, device
        )
        super().__init__(self._rows(train), self._rows(validation), self._of_both, self._of_the_test_part)
        if raw.read_again is not None:  # what nobody may ask for is not held
            self._raw = replace(raw, inputs=raw.inputs[:0].copy(), targets=raw.targets[:0].copy())

    def fingerprint(self) -> dict[str, Any]:
        """Return what a study stores of its data and compares on resume, for JSON.

        `sha256` is of the files' bytes (`digits`: of the arrays'), so that a file written anew in another form is
        other data.
        """
        brought = self._raw.read_test is not None
        return {
            "name": self.name,
            **self._raw.identity,
            "sha256": self._raw.sha256,
            "seed": SPLIT_SEED,
            **self._sizes,
            "test": self._raw.test_size if brought else len(self._test_rows),
            "stratified": self.classes is not None,
        }

    def _of_both(self) -> Samples:
        if self._raw.read_again is None:
            return self._rows(self._rest)
        return self._samples(*self._raw.read_again())

    def _of_the_test_part(self) -> Samples:
        if self._raw.read_test is None:
            return self._rows(self._test_rows)
        return self._samples(*self._raw.read_test())

    def _rows(self, rows: Array) -> Samples:
        return self._samples(self._raw.inputs[rows], self._raw.targets[rows])

    def _samples(self, inputs: Array, targets: Array) -> Samples:
        encoded = torch.from_numpy(self._encode(inputs))
        return Samples(encoded.to(self._device), self._targets(targets).to(self._device))

    def _targets(self, targets: Array) -> Tensor:
        if self.target_scale is None:
            return torch.from_numpy(targets)
        mean, deviation = self.target_scale
        return torch.from_numpy(scaled(targets[:, None], np.float64(mean), np.float64(deviation)))

    def _check_parts(self, parts: dict[str, Array]) -> None:
        """Raise `OwnDataError` for a part without rows, or without one of a class."""
        if self._raw.read_test is not None:
            parts = {name: rows for name, rows in parts.items() if name != "test"}
        for part, rows in parts.items():
            if not len(rows):
                raise OwnDataError(
                    f"{self.name} has {rows_in_words(len(self._raw.targets))}, too few: give at least {ENOUGH}"
                )
            if self.class_names:
                self._check_classes(part, self._raw.targets[rows])

    def _check_classes(self, part: str, labels: Array) -> None:
        names = self.class_names or ()
        for label in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0):
            count = rows_in_words(int((self._raw.targets == label).sum()))
            mend = f"give at least {ENOUGH} of each class, or leave it out"
            if self._raw.target.kind == "i":
                mend += ", or write the target with a decimal point if it is a number"
            raise OwnDataError(f'{self.name}: class "{names[label]}" has {count} and none in the {part} part; {mend}')


def data(path: str, target: str | None = None) -> DataSource:
    """Name one's own data: a table (.csv or .parquet, with its `target` column), arrays (.npz), a folder of pictures.

    Nothing is read yet. What the target's values mean: `model.data.raw.Target`.
    """
    return DataSource(Path(path).name, path, target)


def open_dataset(
    source: str | DataSource,
    device: torch.device | str = "cpu",
    directory: Path | None = None,
    say: Progress = lambda _: None,
) -> Dataset:
    """Return data on `device`, split and scaled.

    source: a name (`NAMES`) or what `data` returned. directory: the data directory, where named data lie or are fetched
    to (`SWEETSPOT_DATA`, else the user's cache, if none is given), and where a relative path is looked for that is not
    in the working directory. say: takes lines of progress.

    Raises `OwnDataError` for data that cannot be used, `DataDirError` if `directory` is none, `DataError` if named data
    are not to be had.
    """
    named = DataSource(source) if isinstance(source, str) else source
    if named.path is None:
        _check_name(named)
        return Dataset(read_named(named.name, directory, say), device)
    path = _found(Path(named.path).expanduser(), directory)
    try:
        return Dataset(_reader(path, named.target)(), device)
    except OSError as error:
        raise OwnDataError(f"cannot read {path}: {reason(error)}") from error
    except MemoryError:
        raise OwnDataError(
            f"{path} is too large for the memory: give fewer rows or columns, or smaller pictures"
        ) from None


def _check_name(source: DataSource) -> None:
    if source.name not in NAMES:
        known = f"there are: {', '.join(NAMES)}"
        raise OwnDataError(
            f'no data are called "{source.name}"; {known}; name a file or a folder by data(path, target=...)'
        )


def _found(path: Path, directory: Path | None) -> Path:
    places = [path, *([directory / path] if directory else [])]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise OwnDataError(f"no such file or folder: {' nor '.join(map(str, places))}")
    return found.absolute()


def _reader(path: Path, target: str | None) -> Callable[[], Raw]:
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return lambda: read_table(path, target)
    if target is not None:
        raise OwnDataError(f'{path} is no table and has no column "{target}": leave target out')
    if path.is_dir():
        return lambda: read_folder(path)
    if path.suffix.lower() == ".npz":
        return lambda: read_arrays(path)
    raise OwnDataError(f"{path} is neither .csv, .parquet nor .npz, nor a folder of pictures")


def _held_out(raw: Raw) -> tuple[Array, Array]:
    """Return the rows to train and select by, and those of the test part: none where the data bring their own."""
    if raw.read_test is not None:
        return np.arange(len(raw.targets)), np.arange(0)
    labels = torch_labels(raw.targets)
    rest, test = stratified_split(labels, len(labels) // 5, derive(SPLIT_SEED, "test"))
    return rest.numpy(), test.numpy()


def _scale(numbers: Array) -> tuple[float, float]:
    mean, deviation = mean_and_deviation(numbers)
    return float(mean), float(deviation)
