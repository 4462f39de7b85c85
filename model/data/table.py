"""A table, from CSV or Parquet: numbers and truth values are scaled, text is one-hot.

CSV is as RFC 4180 has it: commas, quotes, UTF-8, names in the first line; a column's type is taken from all its values.
An empty field, NA, NaN, null and the like are missing values, which are refused: how to fill them is a choice that a
study has to make itself. Rows are counted from 1, without the line of names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.memory import refuse_too_large
from model.data.raw import Array, Encode, Raw, Target, file_hash, refuse_not_finite, rows_in_words, standardised
from model.errors import OwnDataError, first_line

MAX_CATEGORIES = 1000  # more texts than this in one column are names of rows, not categories
SUFFIXES = (".csv", ".parquet")
VALUE = 48  # bytes in memory at once for each value, as measured: pyarrow's, float64, and float32 of each part
SAMPLE = 1 << 20  # bytes of a CSV file that are looked at to say how many values it has
ARROW_BLOCK = 1 << 24  # bytes that are read in one piece; a row has to be shorter than that


def read_table(path: Path, target: str | None) -> Raw:
    """Return a table's columns but `target` as inputs. Raises `OwnDataError` for anything that cannot be used."""
    if not path.stat().st_size:
        raise OwnDataError(f"{path} is empty")
    table = _read(path)
    _check_names(path, table.column_names, target)
    if not table.num_rows:
        raise OwnDataError(f"{path} has no rows")
    others = [name for name in table.column_names if name != target]
    if not others:
        raise OwnDataError(f'{path} has no column but "{target}": give inputs too')
    wanted = _values(table, str(target), path)
    meaning = Target.of(wanted, f'column "{target}" of {path.name}')
    inputs = np.empty((table.num_rows, len(others)))
    categories = [_fill(inputs[:, number], name, table, path) for number, name in enumerate(others)]
    return Raw(
        name=path.name,
        sha256=file_hash(path),
        inputs=inputs,
        targets=meaning.encode(wanted, meaning.what),
        target=meaning,
        fit=lambda training: _fitted(training, categories),
        identity={"target": str(target)},
    )


def _read(path: Path) -> Any:
    """Return pyarrow's table; text that is missing is a null in it."""
    import pyarrow  # noqa: PLC0415  # a tenth of a second that only tables need
    from pyarrow import csv, parquet  # noqa: PLC0415

    try:
        if path.suffix.lower() == ".parquet":
            file = parquet.ParquetFile(path)
            refuse_too_large(str(path), VALUE * file.metadata.num_rows * file.metadata.num_columns)
            return file.read()
        refuse_too_large(str(path), VALUE * _count_values(path))
        block = csv.ReadOptions(block_size=ARROW_BLOCK)
        convert = csv.ConvertOptions(strings_can_be_null=True)
        table = csv.read_csv(path, block, csv.ParseOptions(newlines_in_values=True), convert)
        return table.rename_columns(table.column_names)  # which fails here, and not later, if the names are not UTF-8
    except UnicodeDecodeError:
        raise OwnDataError(f"cannot read {path}: its names are not UTF-8: save it as UTF-8") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise OwnDataError(f"cannot read {path} as a table: {first_line(error)}") from error


def _count_values(path: Path) -> int:
    """Return about how many values a CSV file has, one at least for `VALUE` bytes."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
    size = path.stat().st_size
    return max(size * (sample.count(b",") + sample.count(b"\n")) // len(sample), size // VALUE)


def _check_names(path: Path, names: Sequence[str], target: str | None) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OwnDataError(f'{path} has two columns "{twice[0]}": rename one')
    there = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if target is None:
        raise OwnDataError(
            f'say which column of {path} is the target: data("{path.name}", target=...); it has: {there}'
        )
    if target not in names:
        raise OwnDataError(f'{path} has no column "{target}" for a target; it has: {there}')


def _values(table: Any, name: str, path: Path) -> Array:
    """Return a column as numbers, truth values or text. Raises `OwnDataError` for another type and missing values."""
    import pyarrow  # noqa: PLC0415

    column, types = table.column(name), pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0]) + 1
        raise OwnDataError(
            f'{path}: row {row} has no value in column "{name}" (empty, NA or null; {rows_in_words(column.null_count)} '
            "without one): fill it, or leave the rows or the column out"
        )
    if types.is_decimal(column.type) or types.is_float16(column.type):
        column = column.cast(pyarrow.float64())
    what = f'column "{name}" of {path.name}'
    if types.is_string(column.type) or types.is_large_string(column.type):
        return np.asarray(column.to_pylist(), dtype=np.str_)
    if types.is_binary(column.type):
        raise OwnDataError(f"{what} is not UTF-8: save the file as UTF-8")
    if not (types.is_boolean(column.type) or types.is_integer(column.type) or types.is_floating(column.type)):
        raise OwnDataError(f"{what} holds {column.type}: make numbers or text of it")
    values: Array = column.to_numpy()
    refuse_not_finite(values, what)
    return values


def _fill(into: NDArray[np.float64], name: str, table: Any, path: Path) -> int:
    """Write a column's numbers, or the codes of its categories; return how many categories, 0 for numbers."""
    values = _values(table, name, path)
    if values.dtype.kind != "U":
        into[:] = values
        return 0
    found, into[:] = np.unique(values, return_inverse=True)
    if len(found) > MAX_CATEGORIES:
        raise OwnDataError(
            f'column "{name}" of {path.name} has {len(found)} different texts, and one-hot means an input for each: '
            "leave it out, or make fewer of them"
        )
    return len(found)


def _fitted(training: Array, categories: Sequence[int]) -> Encode:
    """Return what makes inputs of rows: columns in their order, a category's own input for each seen in training."""
    parts = [_fitted_one(training[:, number], bool(many)) for number, many in enumerate(categories)]

    def encode(inputs: Array) -> NDArray[np.float32]:
        return np.concatenate([part(inputs[:, number]) for number, part in enumerate(parts)], axis=1)

    return encode


def _fitted_one(training: Array, is_text: bool) -> Encode:
    if is_text:
        seen = np.unique(training)
        return lambda codes: (codes[:, None] == seen).astype(np.float32)
    scale = standardised(training[:, None])
    return lambda numbers: scale(numbers[:, None])
