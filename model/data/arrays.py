"""NumPy's arrays, from an .npz file: `x` and `y`, and for a test part of one's own `x_test` and `y_test`.

`x` of bytes (uint8) are pictures: 0..255 becomes 0..1. Other numbers in rows and columns (n, d) are a table: each
column is scaled to mean 0 and standard deviation 1 in the training part. Other numbers in more dimensions are pictures
too: the training part's values are scaled to span 0..1. `y` is (n,) or (n, 1).
"""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model.data.memory import refuse_too_large
from model.data.raw import (
    Array,
    Encode,
    Raw,
    Target,
    file_hash,
    flattened,
    refuse_not_finite,
    standardised,
    to_unit_range,
)
from model.errors import OwnDataError, first_line

NAMES = ("x", "y", "x_test", "y_test")
MEND = "write it by numpy.savez(path, x=..., y=...)"


def read_arrays(path: Path) -> Raw:
    """Return the arrays of a file. Raises `OwnDataError` for anything that cannot be used."""
    arrays = _load(path)
    x, y = arrays["x"], _column(arrays["y"], "y", path)
    _check_inputs(x, y, "x", path)
    target = Target.of(y, f"y of {path.name}")
    test = _test(arrays, target, path) if "x_test" in arrays else None
    return Raw(
        name=path.name,
        sha256=file_hash(path),
        inputs=x,
        targets=target.encode(y, target.what),
        target=target,
        fit=_scaling(x),
        shape=x.shape[1:],
        read_test=None if test is None else lambda: test,
        test_size=0 if test is None else len(test[0]),
    )


def _load(path: Path) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in NAMES if f"{name}.npy" in archive.namelist()]
            _check_members(path, names, [member.removesuffix(".npy") for member in archive.namelist()])
            sizes = [_size(archive, name, path) for name in names]
        refuse_too_large(str(path), 4 * sum(sizes))  # as they are, as float32, and once more for all but the test part
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise OwnDataError(f"cannot read {path} as NumPy's arrays: {first_line(error)}; {MEND}") from error


def _check_members(path: Path, names: list[str], there: list[str]) -> None:
    for pair in (("x", "y"), ("x_test", "y_test")):
        if (pair[0] in names) != (pair[1] in names) or (pair[0] == "x" and "x" not in names):
            missing = next(name for name in pair if name not in names)
            raise OwnDataError(f"{path} has no array {missing}; it has: {', '.join(there) or 'none'}")


def _size(archive: zipfile.ZipFile, name: str, path: Path) -> int:
    """Return an array's bytes, from its header alone. Raises `OwnDataError` for one that is not numbers."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.kind not in ("biuf" if name.startswith("x") else "biufU"):
        raise OwnDataError(f"{name} of {path} holds {dtype}: give numbers{'' if name[0] == 'x' else ' or text'}")
    return max(int(dtype.itemsize), 4) * math.prod(shape)


def _column(y: Array, name: str, path: Path) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim != 1:
        raise OwnDataError(f"{name} of {path} has the shape {y.shape}: give one value a row")
    return y


def _check_inputs(x: Array, y: Array, name: str, path: Path) -> None:
    if x.ndim < 2 or not x.size:
        raise OwnDataError(f"{name} of {path} has the shape {x.shape}: give rows of numbers, (n, d), or pictures")
    if len(x) != len(y):
        raise OwnDataError(
            f"{path} has {len(x)} rows of {name} and {len(y)} of {name.replace('x', 'y', 1)}: give as many"
        )
    refuse_not_finite(x, f"{name} of {path.name}")


def _test(arrays: dict[str, Array], target: Target, path: Path) -> tuple[Array, Array]:
    x, y = arrays["x_test"], _column(arrays["y_test"], "y_test", path)
    _check_inputs(x, y, "x_test", path)
    if x.shape[1:] != arrays["x"].shape[1:]:
        raise OwnDataError(f"{path}: one of x_test has the shape {x.shape[1:]}, one of x {arrays['x'].shape[1:]}")
    if x.dtype != arrays["x"].dtype:
        raise OwnDataError(f"{path}: x_test holds {x.dtype}, x {arrays['x'].dtype}: give both as one of them")
    labels = target.encode(y, f"y_test of {path.name}")
    if target.names and (missing := set(range(len(target.names))) - set(labels.tolist())):
        raise OwnDataError(f'y_test of {path.name} has no row of class "{target.names[min(missing)]}": give some')
    return x, labels


def _scaling(x: Array) -> Callable[[Array], Encode]:
    if x.dtype == np.uint8:
        return flattened
    return standardised if x.ndim == 2 else to_unit_range
