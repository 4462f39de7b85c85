"""Data by name: as published and checked by hash; what is out of reach, from made-up files in the published formats."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from model.data.dataset import Dataset, open_dataset
from model.data.files import Check, FileSet
from model.data.mnist import split_fingerprint
from model.data.named import FASHION_MNIST, NAMES, PUBLISHED, idx
from model.data.samples import Parts
from model.data.sources import DebianPackage, Installed, torchvision_mirrors
from model.data.split import SPLIT_SEED
from model.errors import DataDirError, DataError, OwnDataError

DRAW = np.random.default_rng(5)
PIXELS = DRAW.integers(0, 256, (130, 28, 28), np.uint8)
LABELS = (np.arange(130) % 10).astype(np.uint8)


def content(array: np.ndarray) -> bytes:
    """An array in MNIST's format."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def published(name: str, directory: Path, files: dict[str, bytes]) -> Dataset:
    """The data of a name, its files being these."""
    known = PUBLISHED[name]
    place = directory / known.folder
    place.mkdir()
    for file, written in files.items():
        (place / file).write_bytes(written)
    assert set(files) == set(known.files.checks)
    checks = {file: Check(hashlib.md5(written).hexdigest(), algorithm="md5") for file, written in files.items()}
    ours = replace(known, files=replace(known.files, checks=checks), sources=(), test_size=30)
    return Dataset(ours.raw(name, directory, lambda _: None))


def as_pixels(part: torch.Tensor) -> np.ndarray:
    return (part * 255).round().numpy().astype(np.uint8)


# --- what is read -----------------------------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    dataset = open_dataset("digits")
    pictures, labels = load_digits(return_X_y=True)
    whole = np.concatenate([pictures, labels[:, None]], axis=1)
    seen = [
        torch.cat([part.inputs * 16, part.targets[:, None]], dim=1)
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    ours = torch.cat(seen).numpy()
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], whole[np.lexsort(whole.T)])
    assert [len(part) for part in seen] == [1199, 239, 359]
    assert (dataset.shape, dataset.classes) == ((8, 8), 10)
    # Another release that had other pictures would be other data.
    assert dataset.fingerprint()["sha256"] == "d4e61186d45c9175aec748e2ea94f88f1d184ede3b4f6c00afdd80f9f92d0c38"


def test_mnist_has_the_parts_that_it_always_had(mnist: Parts, mnist_dir: Path) -> None:
    dataset = open_dataset("mnist", "cpu", mnist_dir)
    for part in ("train", "validation", "full", "test"):
        ours, before = getattr(dataset, part), getattr(mnist, part)
        assert torch.equal(ours.inputs, before.pixels.float() / 255)
        assert torch.equal(ours.targets, before.targets)
    assert (dataset.name, dataset.shape, dataset.classes) == ("mnist", (28, 28), 10)
    assert split_fingerprint().items() <= dataset.fingerprint().items()


def test_fashion_mnist_is_the_published_one() -> None:
    known = PUBLISHED["fashion-mnist"]
    installed = known.sources[0]
    assert isinstance(installed, Installed)
    where = Path(os.environ.get("SWEETSPOT_DATA") or Path("~/.cache/sweetspot").expanduser()) / "fashion-mnist"
    if FASHION_MNIST.wrong(where) and not installed.directory.is_dir():
        pytest.skip(f"not fetched: Fashion-MNIST, in {where}")
    dataset = open_dataset("fashion-mnist")
    assert "test" not in vars(dataset)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [50_000, 10_000, 10_000]
    # The labels that its own page and torchvision show first.
    assert dataset.full.targets[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert dataset.test.targets[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    for part, count in ((dataset.train, 5000), (dataset.validation, 1000), (dataset.test, 1000)):
        assert part.targets.bincount().tolist() == [count] * 10
    assert dataset.full.inputs.mean() == pytest.approx(0.2860, abs=5e-5)  # as many publish them
    assert dataset.full.inputs.std() == pytest.approx(0.3530, abs=5e-5)


def test_kmnist_is_read_from_its_gzip_files(tmp_path: Path) -> None:
    files = {
        f"{part}-{kind}-ubyte.gz": gzip.compress(content(array[rows]), mtime=0)
        for part, rows in (("train", slice(100)), ("t10k", slice(100, None)))
        for kind, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS))
    }
    dataset = published("kmnist", tmp_path, files)
    assert as_pixels(dataset.full.inputs).tobytes() == PIXELS[:100].tobytes()
    assert as_pixels(dataset.test.inputs).tobytes() == PIXELS[100:].tobytes()
    assert dataset.test.targets.tolist() == LABELS[100:].tolist()


@pytest.mark.parametrize(("name", "first"), [("emnist-digits", 0), ("emnist-letters", 1)])
def test_emnist_is_read_from_its_archive(name: str, first: int, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part, rows in (("train", slice(100)), ("test", slice(100, None))):
            for kind, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS + np.uint8(first))):
                archive.writestr(f"gzip/{name}-{part}-{kind}-ubyte.gz", gzip.compress(content(array[rows])))
    dataset = published(name, tmp_path, {"gzip.zip": packed.getvalue()})
    assert as_pixels(dataset.full.inputs).tobytes() == PIXELS[:100].tobytes()
    assert dataset.test.targets.tolist() == LABELS[100:].tolist()
    assert dataset.classes == 10


class Python2(pickle._Pickler):
    """Pickles text and bytes as Python 2 did its strings."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        written = value.encode() if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(written)) + written)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    Python2(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")


def cifar(batches: dict[str, Any]) -> bytes:
    """An archive like CIFAR-10's, whose batches were pickled by Python 2."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, batch in batches.items():
            written = pickled(batch)
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(written)
            archive.addfile(entry, io.BytesIO(written))
    return packed.getvalue()


def test_cifar10_is_read_from_its_archive(tmp_path: Path) -> None:
    pixels = DRAW.integers(0, 256, (130, 3072), np.uint8)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    batches = {
        name: {
            b"data": pixels[20 * k : 20 * k + 20 + 10 * (k == 5)],
            b"labels": (np.arange(20 + 10 * (k == 5)) % 10).tolist(),
        }
        for k, name in enumerate(names)
    }
    dataset = published("cifar10", tmp_path, {"cifar-10-python.tar.gz": cifar(batches)})
    assert dataset.shape == (3, 32, 32)
    assert as_pixels(dataset.full.inputs).tobytes() == pixels[:100].tobytes()
    assert as_pixels(dataset.test.inputs).tobytes() == pixels[100:].tobytes()
    assert dataset.full.targets[:20].tolist() == list(range(10)) * 2


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def test_a_pickle_in_cifar10_runs_nothing(tmp_path: Path) -> None:
    batches = {f"data_batch_{number}": Harmful() for number in range(1, 6)}
    with pytest.raises(DataError, match=r"asks for posix\.system"):
        published("cifar10", tmp_path, {"cifar-10-python.tar.gz": cifar(batches)})


@pytest.mark.parametrize(
    "rubbish", [b"", b"\0\0\x08", b"\0\0\x08\x01\0\0\0\x03ab", b"\0\0\x0d\x01\0\0\0\x01abcd", b"hello"]
)
def test_what_is_not_in_mnists_format_is_refused(rubbish: bytes) -> None:
    with pytest.raises(DataError, match="not in MNIST's format"):
        idx(rubbish)


# --- what is checked, and where it comes from -------------------------------------------------------------------------


def test_the_hashes_are_those_that_torchvision_checks_by() -> None:
    from torchvision.datasets import CIFAR10, EMNIST, KMNIST

    checks = {name: {file: check.digest for file, check in PUBLISHED[name].files.checks.items()} for name in PUBLISHED}
    assert checks["kmnist"] == dict(KMNIST.resources)
    assert checks["emnist-digits"] == checks["emnist-letters"] == {EMNIST.url.rpartition("/")[2]: EMNIST.md5}
    assert checks["cifar10"] == {CIFAR10.filename: CIFAR10.tgz_md5}
    assert torchvision_mirrors("EMNIST") == (EMNIST.url.removesuffix("gzip.zip"),)
    assert torchvision_mirrors("CIFAR10") == (CIFAR10.url.removesuffix(CIFAR10.filename),)
    assert torchvision_mirrors("KMNIST") == tuple(KMNIST.mirrors)


def test_test_pictures_that_changed_after_loading_are_refused(tmp_path: Path) -> None:
    files = {
        f"{part}-{kind}-ubyte.gz": gzip.compress(content(array[:100]))
        for part in ("train", "t10k")
        for kind, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS))
    }
    dataset = published("kmnist", tmp_path, files)
    (tmp_path / "kmnist" / "t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz changed while in use: MD5"):
        _ = dataset.test


def test_the_test_part_has_to_be_as_large_as_it_was_said(tmp_path: Path) -> None:
    files = {
        f"{part}-{kind}-ubyte.gz": gzip.compress(content(array[:100]))
        for part in ("train", "t10k")
        for kind, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS))
    }
    with pytest.raises(DataError, match="has 100 test pictures instead of 30"):
        _ = published("kmnist", tmp_path, files).test


def small(checks: dict[str, bytes]) -> FileSet:
    known = {name: Check(hashlib.sha256(text).hexdigest(), len(text)) for name, text in checks.items()}
    return FileSet("Small", known, "put them there")


def test_a_package_of_the_system_is_unpacked_where_it_is_installed(tmp_path: Path) -> None:
    there, target = tmp_path / "usr", tmp_path / "data"
    with pytest.raises(DataError, match=r"a missing in .* and not to be had \(.*usr: not installed\): put them there"):
        small({"a": b"text"}).provide(target, lambda _: None, [Installed(there)])
    there.mkdir()
    (there / "a.gz").write_bytes(gzip.compress(b"text"))
    small({"a": b"text"}).provide(target, lambda _: None, [Installed(there)])
    assert (target / "a").read_bytes() == b"text"


def test_half_a_file_of_a_package_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text" * 100)[:-9])
    with pytest.raises(DataError, match=r"a\.gz: Compressed file ended"):
        small({"a": b"text" * 100}).provide(tmp_path / "data", lambda _: None, [Installed(tmp_path)])


def debian(tmp_path: Path, script: str) -> DebianPackage:
    """The real source, and dpkg-deb, with a program in apt-get's place."""
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\n{script}\n")
    apt.chmod(0o755)
    return DebianPackage("dataset-small", "usr/share/small", 1, limit=20, apt=str(apt))


def test_a_package_of_debian_is_downloaded_and_unpacked(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/small").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: dataset-small\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: small\n"
    )
    (tree / "usr/share/small/a.gz").write_bytes(gzip.compress(b"text"))
    try:
        subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "small.deb"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("not installed: dpkg-deb")
    source = debian(tmp_path, f'[ "$*" = "download --quiet dataset-small" ] && cp {tmp_path}/small.deb .')
    lines: list[str] = []
    small({"a": b"text"}).provide(tmp_path / "data", lines.append, [source])
    assert (tmp_path / "data" / "a").read_bytes() == b"text"
    assert lines == ["downloading Debian's package dataset-small (1 MB)"]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'E: Unable to locate package' >&2; exit 100", "E: Unable to locate package"),
        ("exit 0", "apt-get delivered no package"),
        ("echo rubbish > a.deb", "dpkg-deb: error: .*not a Debian format archive"),
    ],
)
def test_a_package_that_is_not_to_be_had_says_why(script: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"Debian's package dataset-small: .*{problem}"):
        small({"a": b"text"}).provide(tmp_path / "data", lambda _: None, [debian(tmp_path, script)])


def test_without_apt_a_package_is_not_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="apt-get and dpkg-deb are not on PATH"):
        DebianPackage("a", "usr", 1, apt="no-such-apt").fetch(["a"], tmp_path, lambda _: None)


# --- where it lies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - {"mnist"}))
def test_each_has_a_directory_of_its_own_and_mnists_files_are_left_alone(
    name: str, mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fashion-MNIST's files are called as MNIST's: in one directory they would set each other aside."""
    for file in PUBLISHED["mnist"].files.checks:
        (tmp_path / file).symlink_to(mnist_dir / file)
    offline = replace(PUBLISHED[name], sources=())
    monkeypatch.setenv("SWEETSPOT_DATA", str(tmp_path))
    for directory in (None, tmp_path):
        with pytest.raises(
            DataError, match=rf"missing in {tmp_path}/\w[\w-]* and not to be had .*: put .* there"
        ) as raised:
            offline.raw(name, directory, lambda _: None)
        assert "\n" not in str(raised.value)
        assert "--data-dir or SWEETSPOT_DATA" in str(raised.value)
    assert PUBLISHED["mnist"].files.wrong(tmp_path) == {}


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(OwnDataError, match=f'called "mnits"; there are: {", ".join(NAMES)}; name a file') as raised:
        open_dataset("mnits")
    assert raised.value.exit_code == 2


def test_a_file_in_place_of_the_data_directory_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError):
        open_dataset("mnist", "cpu", tmp_path / "file")


def test_every_split_is_of_the_one_seed() -> None:
    assert open_dataset("digits").fingerprint()["seed"] == SPLIT_SEED
