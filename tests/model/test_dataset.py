"""One's own data: what is read, how it is split and scaled, and what is refused. Every fault is a real file's."""

import csv
import io
import json
import math
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from model.data.dataset import Dataset, DataSource, Samples, data, open_dataset
from model.data.memory import free_bytes, in_words, left_in
from model.data.raw import MAX_CLASSES, Raw, Target, divided
from model.data.split import SPLIT_SEED, stratified_split
from model.data.table import MAX_CATEGORIES
from model.errors import DataError, OwnDataError
from model.seeds import derive

ROWS = 120
Columns = dict[str, Sequence[Any]]


def columns(seed: int = 0) -> Columns:
    """A table with every kind of column; `place` says which row it is."""
    draw = np.random.default_rng(seed)
    return {
        "place": list(range(ROWS)),
        "size": draw.normal(50, 7, ROWS).tolist(),
        "colour": draw.choice(["red", "green", "blue, or so"], ROWS).tolist(),
        "is_new": (draw.random(ROWS) < 0.5).tolist(),
        "always": [3.25] * ROWS,
        "label": draw.choice(["a", 'b "quoted"', "c"], ROWS, p=[0.6, 0.25, 0.15]).tolist(),
        "price": draw.normal(1e5, 2e4, ROWS).tolist(),
    }


def write_csv(path: Path, table: Columns) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def write_parquet(path: Path, table: Columns) -> Path:
    parquet.write_table(pa.table({name: pa.array(values) for name, values in table.items()}), path)
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def opened(path: Path, target: str | None = None) -> Dataset:
    return open_dataset(data(str(path), target))


def split_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that train, validate and test, as the module says that they are drawn."""
    whole = torch.from_numpy(labels)
    rest, test = stratified_split(whole, len(whole) // 5, derive(SPLIT_SEED, "test"))
    kept, selected = stratified_split(whole[rest], len(rest) // 6, derive(SPLIT_SEED, "validation"))
    return rest[kept].numpy(), rest[selected].numpy(), test.numpy()


def parts(dataset: Dataset) -> list[Samples]:
    return [dataset.train, dataset.validation, dataset.test, dataset.full]


def same(first: Dataset, second: Dataset) -> bool:
    pairs = zip(parts(first), parts(second), strict=True)
    return all(torch.equal(a.inputs, b.inputs) and torch.equal(a.targets, b.targets) for a, b in pairs)


# --- the split --------------------------------------------------------------------------------------------------------


def numbered(targets: np.ndarray) -> Dataset:
    """Data whose only input is the number of the row."""
    target = Target.of(targets, "y")
    inputs = np.arange(len(targets))[:, None]
    return Dataset(Raw("numbered", "", inputs, target.encode(targets, "y"), target, divided(1)))


def rows(samples: Samples) -> list[int]:
    return samples.inputs.flatten().int().tolist()


def within_one(part: Samples, whole: Samples, classes: int) -> bool:
    counts, all_counts = (samples.targets.bincount(minlength=classes) for samples in (part, whole))
    return bool(((counts - all_counts * len(part) / len(whole)).abs() < 1).all())


@settings(deadline=None)
@given(st.lists(st.integers(10, 40), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_a_split_is_complete_disjoint_stratified_and_the_same_again(counts: list[int], random: Any) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    dataset = numbered(np.asarray(labels))
    assert dataset.classes == len(counts)
    train, validation, test, full = map(rows, parts(dataset))
    assert sorted(train + validation + test) == list(range(len(labels)))
    assert sorted(train + validation) == full
    assert all(part == sorted(part) for part in (train, validation, test))
    assert (len(test), len(validation)) == (len(labels) // 5, len(full) // 6)
    whole = Samples(torch.zeros(len(labels), 1), torch.tensor(labels))
    assert within_one(dataset.test, whole, len(counts))
    assert within_one(dataset.validation, dataset.full, len(counts))
    assert [labels[row] for row in test] == dataset.test.targets.tolist()
    assert same(dataset, numbered(np.asarray(labels)))


@settings(deadline=None)
@given(st.integers(10, 200))
def test_numbers_are_split_too_and_scaled_by_the_training_part(count: int) -> None:
    numbers = np.random.default_rng(count).normal(1e5, 2e4, count)
    dataset = numbered(numbers)
    train, validation, test, _ = map(rows, parts(dataset))
    assert sorted(train + validation + test) == list(range(count))
    assert dataset.classes is None
    assert dataset.class_names is None
    assert dataset.target_scale == pytest.approx((numbers[train].mean(), numbers[train].std()))
    for part, where in ((dataset.train, train), (dataset.test, test)):
        assert part.targets.shape == (len(part), 1)
        expected = (numbers[where] - numbers[train].mean()) / numbers[train].std()
        np.testing.assert_allclose(part.targets[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_another_seed_would_hold_out_other_rows() -> None:
    labels = torch.arange(100) % 2
    assert not torch.equal(stratified_split(labels, 20, 1)[1], stratified_split(labels, 20, 2)[1])


def test_the_test_part_is_made_only_when_asked_for(tmp_path: Path) -> None:
    dataset = opened(write_csv(tmp_path / "rows.csv", columns()), "label")
    dataset.fingerprint()
    assert not {"test", "full"} & set(vars(dataset))
    assert dataset.test is dataset.test
    assert "test" in vars(dataset)


# --- tables -----------------------------------------------------------------------------------------------------------


def by_hand(table: Columns, wanted: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The inputs of rows as the module promises them, by NumPy alone."""
    made = []
    for name in ("place", "size", "colour", "is_new", "always"):
        values = np.asarray(table[name])
        if name == "colour":
            made += [(values == category).astype(float) for category in np.unique(values[train])]
        else:
            made.append((values - values[train].mean()) / (values[train].std() if name != "always" else 1))
    return np.stack(made, axis=1)[wanted]


def test_a_table_is_scaled_by_its_training_part(tmp_path: Path) -> None:
    table = columns()
    without = {name: values for name, values in table.items() if name != "price"}
    dataset = opened(write_csv(tmp_path / "rows.csv", without), "label")
    labels = np.unique(table["label"], return_inverse=True)[1]
    train, validation, test = split_of(labels)
    for part, where in ((dataset.train, train), (dataset.validation, validation), (dataset.test, test)):
        np.testing.assert_allclose(part.inputs, by_hand(table, where, train), rtol=1e-5, atol=1e-6)
        assert part.targets.tolist() == labels[where].tolist()
        assert (part.inputs.dtype, part.targets.dtype) == (torch.float32, torch.int64)
    assert dataset.shape == (7,)
    assert dataset.class_names == ("a", 'b "quoted"', "c")
    assert dataset.target_scale is None


@pytest.mark.parametrize("target", ["label", "price", "is_new"])
def test_csv_and_parquet_give_the_same(target: str, tmp_path: Path) -> None:
    table = columns(1)
    first = opened(write_csv(tmp_path / "rows.csv", table), target)
    second = opened(write_parquet(tmp_path / "rows.parquet", table), target)
    assert same(first, second)
    assert (first.classes, first.class_names, first.shape) == (second.classes, second.class_names, second.shape)


def test_parquet_may_hold_categories_decimals_and_small_numbers(tmp_path: Path) -> None:
    table = columns()
    arrays = {
        "colour": pa.array(table["colour"]).dictionary_encode(),
        "price": pa.array([round(price, 2) for price in table["price"]]).cast(pa.decimal128(12, 2), safe=False),
        "place": pa.array(table["place"], pa.int8()),
        "size": pa.array(np.asarray(table["size"], np.float16)),
        "label": pa.array(table["label"]).dictionary_encode(),
    }
    parquet.write_table(pa.table(arrays), tmp_path / "rows.parquet")
    dataset = opened(tmp_path / "rows.parquet", "label")
    assert dataset.shape == (6,)
    assert dataset.classes == 3


def test_what_only_the_test_part_holds_changes_nothing_in_training(tmp_path: Path) -> None:
    table = columns()
    before = opened(write_csv(tmp_path / "rows.csv", table), "label")
    _, validation, test = split_of(np.unique(table["label"], return_inverse=True)[1])
    sizes, colours = list(table["size"]), list(table["colour"])
    for row in (*validation, *test):
        sizes[row], colours[row] = 1e6, "only here"
    after = opened(write_csv(tmp_path / "rows.csv", {**table, "size": sizes, "colour": colours}), "label")
    assert torch.equal(before.train.inputs, after.train.inputs)
    assert after.test.inputs[:, 1].min() > 1000
    assert (after.test.inputs[:, 2:5] == 0).all()  # a category not seen in training
    assert (before.test.inputs[:, 2:5].sum(dim=1) == 1).all()


def test_the_type_of_a_column_comes_from_all_its_rows(tmp_path: Path) -> None:
    """Integers, and in a later piece of the file numbers with a point, or text."""
    path = tmp_path / "rows.csv"
    pad = " " * 500
    start = "x,pad,y\n" + f"1,{pad},a\n2,{pad},b\n" * 20_000
    path.write_text(start + f"1.5,{pad},a\n2.5,{pad},b\n")
    assert opened(path, "y").shape == (2,)
    path.write_text(start + f"one,{pad},a\n1,{pad},b\n")
    assert opened(path, "y").shape[0] in (3, 4)  # the text may be a category that training does not see


RULE = [
    (["yes", "no"], 2),
    ([True, False], 2),
    ([3, 7, -2], 3),
    ([float(n) for n in range(3)], None),
    (list(range(MAX_CLASSES)), MAX_CLASSES),
    (list(range(MAX_CLASSES + 1)), None),
]


@pytest.mark.parametrize(("values", "classes"), RULE, ids=["text", "bool", "integers", "floats", "as many", "too many"])
def test_one_rule_tells_classes_from_numbers(values: list[Any], classes: int | None) -> None:
    dataset = numbered(np.asarray(values * 12))
    assert dataset.classes == classes
    assert dataset.train.targets.dtype == (torch.float32 if classes is None else torch.int64)
    if classes:
        assert dataset.class_names == tuple(str(value) for value in sorted(values))


def test_a_number_beyond_scaling_is_refused_at_once_even_in_the_test_part(tmp_path: Path) -> None:
    table = columns()
    *_, test = split_of(np.unique(table["label"], return_inverse=True)[1])
    path = write_csv(tmp_path / "rows.csv", {**table, "size": at(test[0], 1e300)(list(table["size"]))})
    with pytest.raises(OwnDataError, match="too large to be scaled"):
        opened(path, "label")


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_arrays_of_bytes_are_pictures_and_bring_their_test_part(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    x, y = draw.integers(0, 256, (60, 5, 4), np.uint8), np.arange(60) % 3 + 10
    path = write_npz(tmp_path / "a.npz", x=x, y=y, x_test=x[:6] // 2, y_test=y[:6, None])
    dataset = opened(path)
    assert [len(part) for part in parts(dataset)] == [50, 10, 6, 60]
    assert dataset.shape == (5, 4)
    np.testing.assert_array_equal(dataset.full.inputs, x.reshape(60, 20).astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(dataset.test.inputs, (x[:6] // 2).reshape(6, 20).astype(np.float32) / np.float32(255))
    assert dataset.test.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert dataset.class_names == ("10", "11", "12")
    assert dataset.fingerprint()["test"] == 6


def test_arrays_of_other_numbers_are_scaled_by_the_training_part(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    y = np.arange(60) % 2
    train, _, test = split_of(y)
    flat, cubes = draw.normal(5, 3, (60, 7)), draw.normal(5, 3, (60, 2, 3, 3)).astype(np.float32)
    table, pictures = (opened(write_npz(tmp_path / f"{x.ndim}.npz", x=x, y=y)) for x in (flat, cubes))
    expected = (flat[test] - flat[train].mean(axis=0)) / flat[train].std(axis=0)
    np.testing.assert_allclose(table.test.inputs, expected, rtol=1e-5, atol=1e-6)
    assert (pictures.train.inputs.min(), pictures.train.inputs.max()) == (0, 1)
    low, high = cubes[train].min(), cubes[train].max()
    np.testing.assert_allclose(pictures.test.inputs, (cubes[test].reshape(-1, 18) - low) / (high - low), rtol=1e-5)
    assert pictures.shape == (2, 3, 3)


# --- folders ----------------------------------------------------------------------------------------------------------


def picture(path: Path, value: Any, mode: str = "L", size: tuple[int, int] = (4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def half(path: Path) -> None:
    noise = np.random.default_rng(4).integers(0, 256, (32, 32), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:500])


def gallery(folder: Path, count: int = 12) -> Path:
    for label, shade in (("cat", 0), ("dog", 100)):
        for number in range(count):
            picture(folder / label / f"{number:02}.png", shade + number)
    return folder


def test_a_folder_of_grey_pictures(tmp_path: Path) -> None:
    dataset = opened(gallery(tmp_path / "pets"))
    assert (dataset.name, dataset.class_names, dataset.shape) == ("pets", ("cat", "dog"), (3, 4))
    shades = [*range(12), *range(100, 112)]
    seen = torch.cat([dataset.full.inputs, dataset.test.inputs])
    np.testing.assert_array_equal(np.sort(seen[:, 0]), np.asarray(shades, np.float32) / np.float32(255))
    assert (seen == seen[:, :1]).all()
    assert ((dataset.full.inputs[:, 0] > 0.3) == (dataset.full.targets == 1)).all()


def test_one_picture_with_colours_makes_all_of_them_three_planes(tmp_path: Path) -> None:
    folder = gallery(tmp_path / "pets")
    picture(folder / "dog" / "00.png", (255, 0, 51), "RGB")
    picture(folder / "dog" / "01.png", (9, 9, 9, 0), "RGBA")  # transparent: the paper is white
    picture(folder / ".hidden" / "x.png", 0)
    (folder / "README.txt").write_text("not looked at")
    (folder / "cat" / ".DS_Store").write_text("not looked at")
    dataset = opened(folder)
    assert dataset.shape == (3, 3, 4)
    pixels = torch.cat([dataset.full.inputs, dataset.test.inputs]).view(-1, 3, 12)
    assert (pixels == pixels[:, :, :1]).all()
    colours = set(map(tuple, (pixels[:, :, 0] * 255).round().int().tolist()))
    assert {(255, 0, 51), (255, 255, 255), (3, 3, 3)} < colours


def test_a_photograph_lies_as_its_camera_says(tmp_path: Path) -> None:
    folder = gallery(tmp_path / "pets")
    for file in (folder / "cat").iterdir():
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter
        Image.new("L", (3, 4), 7).save(file, exif=exif)
    assert opened(folder).shape == (3, 4)


# --- identity ---------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_of_the_content_and_not_of_its_place(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", columns())
    (tmp_path / "other").mkdir()
    copied = Path(shutil.copy(path, tmp_path / "other"))
    fingerprint = opened(path, "label").fingerprint()
    assert fingerprint == opened(copied, "label").fingerprint() == json.loads(json.dumps(fingerprint))
    assert {
        key: fingerprint[key] for key in ("name", "target", "seed", "train", "validation", "test", "stratified")
    } == {
        "name": "rows.csv",
        "target": "label",
        "seed": SPLIT_SEED,
        "train": 80,
        "validation": 16,
        "test": 24,
        "stratified": True,
    }
    assert fingerprint != opened(path, "price").fingerprint()
    write_csv(copied, columns(1))
    assert fingerprint["sha256"] != opened(copied, "label").fingerprint()["sha256"]


def test_a_folder_is_known_by_its_files_and_their_names(tmp_path: Path) -> None:
    folder = gallery(tmp_path / "pets")
    before = opened(folder).fingerprint()
    assert before == opened(folder).fingerprint()
    (folder / "cat" / "00.png").rename(folder / "dog" / "12.png")
    assert before["sha256"] != opened(folder).fingerprint()["sha256"]


def test_a_source_is_hashable_and_reads_nothing(tmp_path: Path) -> None:
    source = data("not/there.csv", target="y")
    assert source == DataSource("there.csv", "not/there.csv", "y")
    assert len({source, data("not/there.csv", target="y")}) == 1


def test_a_relative_path_is_looked_for_in_the_data_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "rows.csv", columns())
    monkeypatch.chdir(Path("/"))
    with pytest.raises(OwnDataError, match=r"no such file or folder: rows\.csv$"):
        open_dataset(data("rows.csv", target="label"))
    assert open_dataset(data("rows.csv", target="label"), "cpu", tmp_path).classes == 3


def test_samples_are_taken_by_rows(tmp_path: Path) -> None:
    full = opened(write_csv(tmp_path / "rows.csv", columns()), "label").full
    taken = full.take(torch.tensor([5, 2])).to("cpu")
    assert torch.equal(taken.inputs, full.inputs[[5, 2]])
    assert taken.targets.tolist() == full.targets[[5, 2]].tolist()


# --- what is refused --------------------------------------------------------------------------------------------------

Make = Callable[[Path], tuple[Path, str | None]]


def table_with(**changes: Any) -> Make:
    """A CSV file in which columns are other; a callable changes a column's values."""

    def make(folder: Path) -> tuple[Path, str]:
        table = columns()
        changed = {name: new(list(table[name])) if callable(new) else new for name, new in changes.items()}
        return write_csv(folder / "rows.csv", {**table, **changed}), "label"

    return make


def table_for(target: str | None) -> Make:
    return lambda folder: (write_csv(folder / "rows.csv", columns()), target)


def text(content: str | bytes, name: str = "rows.csv", target: str | None = "y") -> Make:
    def make(folder: Path) -> tuple[Path, str | None]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name, target

    return make


def arrow(values: Any) -> Make:
    def make(folder: Path) -> tuple[Path, str]:
        parquet.write_table(pa.table({"x": values, "y": ["a", "b"] * (len(values) // 2)}), folder / "rows.parquet")
        return folder / "rows.parquet", "y"

    return make


def arrays(**changes: Any) -> Make:
    good = {"x": np.ones((30, 4)), "y": np.arange(30) % 2}
    kept = {name: values for name, values in (good | changes).items() if values is not None}
    return lambda folder: (write_npz(folder / "a.npz", **kept), None)


def folder_with(spoil: Callable[[Path], object]) -> Make:
    def make(folder: Path) -> tuple[Path, None]:
        spoil(gallery(folder / "pets"))
        return folder / "pets", None

    return make


def at(row: int, value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [value if place == row else old for place, old in enumerate(values)]


def header_only(folder: Path) -> tuple[Path, None]:
    """Arrays of four terabytes, of which only the header is there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (10**9, 1000), "fortran_order": False, "descr": "<f4"})
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, header.getvalue())
    return folder / "a.npz", None


def terabytes(folder: Path) -> tuple[Path, str]:
    """A file of four terabytes, all of it a hole."""
    with (folder / "rows.csv").open("wb") as file:
        file.truncate(4 * 10**12)
    return folder / "rows.csv", "y"


def wide(folder: Path) -> tuple[Path, str]:
    """Texts that are small in a file, and one-hot as many inputs as there are of them."""
    rows_of_it = "".join(f"name{row}," + ("a" if row % 2 else "b") + "\n" for row in range(MAX_CATEGORIES + 1))
    (folder / "rows.csv").write_text("x,y\n" + rows_of_it)
    return folder / "rows.csv", "y"


BAD: dict[str, tuple[Make, str]] = {
    "no file": (lambda folder: (folder / "gone.csv", "y"), r"no such file or folder: .*gone\.csv"),
    "another kind of file": (text("x", "rows.xlsx", None), r"neither \.csv, \.parquet nor \.npz, nor a folder"),
    "a target for a folder": (lambda folder: (gallery(folder / "pets"), "y"), 'no table and has no column "y"'),
    "empty": (text(""), r"rows\.csv is empty"),
    "names alone": (text("x,y\n"), r"rows\.csv has no rows"),
    "ragged": (text("x,y\n1,a\n2\n"), "cannot read .* as a table: .*Expected 2 columns, got 1"),
    "names that are not UTF-8": (text("größe,y\n1,a\n".encode("latin-1")), "its names are not UTF-8: save it as UTF-8"),
    "text that is not UTF-8": (text("x,y\nä,a\nb,b\n".encode("latin-1")), 'column "x" of .* is not UTF-8: save'),
    "no Parquet": (text("PAR1", "rows.parquet"), "cannot read .* as a table: "),
    "no target": (table_for(None), r'say which column .* data\("rows.csv", target=...\); it has: place, size'),
    "another target": (table_for("lable"), 'has no column "lable" for a target; it has: place, size, colour'),
    "nothing but the target": (text("y\na\nb\n"), 'no column but "y"'),
    "a name twice": (text("x,x,y\n1,2,a\n"), 'two columns "x"'),
    "a missing number": (
        table_with(size=at(6, "")),
        'row 7 has no value in column "size" \\(empty, NA or null; 1 row without one\\): fill',
    ),
    "a missing text": (table_with(colour=at(0, "NA")), 'row 1 has no value in column "colour"'),
    "a missing target": (table_with(label=at(119, "")), 'row 120 has no value in column "label"'),
    "an infinite number": (table_with(size=at(6, math.inf)), r'column "size" of rows\.csv has inf in row 7'),
    "NaN in Parquet": (arrow([1.0, math.nan] * 20), r'column "x" of rows\.parquet has nan in row 2'),
    "null in Parquet": (arrow([1.0, 2.0, None, 4.0]), 'row 3 has no value in column "x"'),
    "nested values": (arrow([[1.0], [2.0]] * 20), r'column "x" of rows\.parquet holds list'),
    "dates": (table_with(size=["2026-01-02"] * ROWS), r'column "size" of rows\.csv holds date32.*make numbers'),
    "numbers beyond scaling": (table_with(size=at(6, 1e300)), "too large to be scaled"),
    "names for categories": (wide, r'column "x" of rows\.csv has 1001 different texts'),
    "one class": (table_with(label=["a"] * ROWS), 'should have two values or more and has one only, "a"'),
    "a rare class": (table_with(label=at(3, "z")), 'class "z" has 1 row and none in the .* part; give at least 10'),
    "few rows": (text("x,y\n" + "1,0.5\n2,1.5\n" * 2), "has 4 rows, too few: give at least 10"),
    "four terabytes": (terabytes, r"too large for the memory: 4 TB are needed and .* GB free on cpu; give fewer"),
    "no npz": (text("hello", "a.npz", None), "cannot read .* as NumPy's arrays: .*numpy.savez"),
    "no y": (arrays(y=None), r"has no array y; it has: x"),
    "no arrays": (arrays(x=None, y=None, z=np.ones(3)), r"has no array x; it has: z"),
    "x_test alone": (arrays(x_test=np.ones((3, 4))), r"has no array y_test; it has: x, y, x_test"),
    "unequal lengths": (arrays(y=np.arange(29) % 2), "has 30 rows of x and 29 of y"),
    "unequal test lengths": (arrays(x_test=np.ones((3, 4)), y_test=np.arange(2)), "3 rows of x_test and 2 of y_test"),
    "other test inputs": (
        arrays(x_test=np.ones((2, 5)), y_test=np.arange(2)),
        r"x_test has the shape \(5,\), one of x",
    ),
    "other test numbers": (
        arrays(x_test=np.ones((2, 4), np.uint8), y_test=np.arange(2)),
        "x_test holds uint8, x float64",
    ),
    "another test class": (arrays(x_test=np.ones((2, 4)), y_test=np.arange(1, 3)), 'y_test .* has "2", which y of'),
    "test without a class": (arrays(x_test=np.ones((2, 4)), y_test=np.zeros(2, int)), 'has no row of class "1"'),
    "test of another kind": (arrays(x_test=np.ones((2, 4)), y_test=np.array(["0", "1"])), 'has "0", which y of'),
    "x in one dimension": (arrays(x=np.ones(30)), r"shape \(30,\): give rows"),
    "x without rows": (arrays(x=np.ones((0, 4)), y=np.ones(0)), r"shape \(0, 4\): give rows"),
    "y in two dimensions": (arrays(y=np.ones((30, 2))), r"y of .* has the shape \(30, 2\): give one value a row"),
    "text in x": (arrays(x=np.full((30, 4), "one")), "x of .* holds <U3: give numbers"),
    "objects in x": (arrays(x=np.full((30, 4), None)), "x of .* holds object: give numbers"),
    "complex y": (arrays(y=np.ones(30, complex)), "y of .* holds complex128: give numbers or text"),
    "NaN in x": (arrays(x=np.diag([math.nan] + [1.0] * 29)), r"x of a\.npz has nan in row 1"),
    "NaN in y": (arrays(y=np.r_[1.5, math.inf, np.ones(28)]), r"y of a\.npz has inf in row 2"),
    "terabytes of arrays": (header_only, r"too large for the memory: 32 TB are needed"),
    "no subfolders": (lambda folder: (folder, None), "has no subfolders with pictures"),
    "one subfolder": (folder_with(lambda pets: shutil.rmtree(pets / "dog")), 'one only, "cat"'),
    "an empty subfolder": (folder_with(lambda pets: (pets / "emu").mkdir()), r"emu has no pictures"),
    "a folder too deep": (folder_with(lambda pets: (pets / "cat" / "old").mkdir()), "old is a folder in a class's"),
    "no picture": (
        folder_with(lambda pets: (pets / "cat" / "x.png").write_text("x")),
        "cannot read .*x.png .* remove it",
    ),
    "half a picture": (
        folder_with(lambda pets: half(pets / "cat" / "0.png")),
        r"cannot read .*0\.png as a picture",
    ),
    "another size": (
        folder_with(lambda pets: picture(pets / "dog" / "x.png", 0, size=(5, 5))),
        r"x\.png has 5 x 5 pixels, 00\.png 4 x 3: resize all",
    ),
    "16 bits": (folder_with(lambda pets: picture(pets / "cat" / "x.png", 0, "I;16")), "more than 8 bits a pixel"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused_in_one_line_that_says_how_to_mend_it(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    path, target = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OwnDataError, match=message) as raised:
        opened(path, target)
    assert isinstance(raised.value, DataError)
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_integers_with_rare_values_are_told_how_to_be_numbers(tmp_path: Path) -> None:
    ages = [*range(90), *range(30)]
    path = write_csv(tmp_path / "rows.csv", {**columns(), "age": ages})
    with pytest.raises(OwnDataError, match="or write the target with a decimal point if it is a number"):
        opened(path, "age")
    write_csv(path, {**columns(), "age": [float(age) for age in ages]})
    assert opened(path, "age").classes is None


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to(tmp_path / "rows.csv")
    with pytest.raises(OwnDataError, match="no such file or folder"):
        opened(tmp_path / "rows.csv", "y")


def test_memory_is_what_is_free_within_the_groups_limit(tmp_path: Path) -> None:
    assert 0 < free_bytes(torch.device("cpu")) < 10**15
    assert left_in(tmp_path) is None
    for name, content in (("max", "1000\n"), ("current", "900\n"), ("stat", "anon 5\ninactive_file 300\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    assert left_in(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert left_in(tmp_path) is None


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (2500, "2.5 kB"), (31_000_000, "31 MB"), (10**13, "10 TB")]
)
def test_sizes_are_said_in_a_fitting_unit(size: int, words: str) -> None:
    assert in_words(size) == words
