"""Data by name. Each is checked file by file before it is used, fetched where it is missing, and read whole.

    digits           1,797 pictures of 8 x 8; come with scikit-learn, no network needed
    mnist            70,000 of 28 x 28; 10,000 of its 60,000 are held out
    fashion-mnist    70,000 of 28 x 28, as MNIST
    kmnist           70,000 of 28 x 28, as MNIST
    emnist-digits    280,000 of 28 x 28, and emnist-letters 145,600: lying on their side, as the files have them
    cifar10          60,000 of 3 x 32 x 32

MNIST and Fashion-MNIST are checked by SHA-256. Of the others only the MD5 is published that torchvision checks by: it
finds a broken file, but not one that somebody forged to have that MD5.

mnist lies in the data directory itself, as before there were others; the others each in a directory of their own in it.
"""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import platformdirs

from model.data.files import Check, FileSet
from model.data.mnist import MNIST, VALIDATION, default_data_dir
from model.data.raw import Array, Raw, Target, content_hash, divided, file_hash, flattened, own_split
from model.data.sources import SOURCES, DebianPackage, Installed, Mirrors, Progress, Source
from model.data.split import SPLIT_SEED, stratified_split
from model.errors import DataError

Pair = tuple[Array, Array]
"""Pictures, uint8 (n, ...), and their labels, int64 (n,)."""

FASHION = "usr/share/datasets/fashion-mnist"
HOUR = 3600.0  # for the two large archives


@dataclass(frozen=True)
class Published:
    """A data set of pictures that others published as files, with a test part of its own."""

    files: FileSet
    sources: Sequence[Source]
    folder: str  # in the data directory
    read: Callable[[Path, bool], Pair]  # from a directory, the training part or (True) the test part
    test_size: int

    def raw(self, name: str, directory: Path | None, say: Progress) -> Raw:
        """Return the data, fetching them where needed; see `FileSet.provide`. The test part is read when asked for."""
        where = self.files.provide(_place(self.folder, directory), say, self.sources)
        inputs, labels = self.read(where, False)
        target = Target.of(labels, name)
        return Raw(
            name=name,
            sha256=content_hash((file, self._sha256(where / file)) for file in self.files.checks),
            inputs=inputs,
            targets=labels,
            target=target,
            fit=flattened,
            shape=inputs.shape[1:],
            read_test=partial(self._read_test, where),
            read_again=partial(self._read_checked, where, False),
            test_size=self.test_size,
            split=_as_mnist if name == "mnist" else own_split,
        )

    def _sha256(self, path: Path) -> str:
        check = self.files.checks[path.name]
        return check.digest if check.algorithm == "sha256" else file_hash(path)

    def _read_checked(self, directory: Path, test: bool) -> Pair:
        for file in self.files.checks:
            self.files.recheck(directory / file)
        return self.read(directory, test)

    def _read_test(self, directory: Path) -> Pair:
        inputs, labels = self._read_checked(directory, True)
        if len(inputs) != self.test_size:
            raise DataError(f"{directory} has {len(inputs)} test pictures instead of {self.test_size}")
        return inputs, labels


def digits() -> Raw:
    """Return scikit-learn's digits: 1,797 pictures of 8 x 8, whose values from 0 to 16 become 0 to 1."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  # a second that only this needs

    pictures, labels = load_digits(return_X_y=True)
    pictures, labels = pictures.astype("<f8").reshape(-1, 8, 8), labels.astype("<i8")
    content = ((name, _digest(array)) for name, array in (("data", pictures), ("target", labels)))
    return Raw("digits", content_hash(content), pictures, labels, Target.of(labels, "digits"), divided(16), (8, 8))


def read_named(name: str, directory: Path | None, say: Progress) -> Raw:
    """Return the data of a name from `NAMES`. Raises `DataError` where they are not to be had."""
    return digits() if name == "digits" else PUBLISHED[name].raw(name, directory, say)


def idx(content: bytes) -> Array:
    """Return an array of bytes from MNIST's format: two zeros, type 8, dimensions, their sizes, then the values.

    Raises `DataError` for anything else.
    """
    dimensions = content[3] if len(content) >= 4 and content[:3] == b"\0\0\x08" else 0
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start], ">i4") if dimensions and len(content) >= start else np.zeros(1, int)
    if not dimensions or len(content) - start != int(np.prod(shape, dtype=np.int64)):
        raise DataError("a file is not in MNIST's format (IDX of bytes)")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _digest(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _place(folder: str, directory: Path | None) -> Path:
    """Return where files lie: in `folder` of the data directory named, by option or environment, else of the cache."""
    named = directory or (Path(os.environ["SWEETSPOT_DATA"]) if os.environ.get("SWEETSPOT_DATA") else None)
    if not folder:
        return directory or default_data_dir()
    return (named or platformdirs.user_cache_path("sweetspot", appauthor=False)) / folder


def _as_mnist(labels: Any) -> Any:
    return stratified_split(labels, VALIDATION, SPLIT_SEED)


def _read_idx(directory: Path, test: bool, packed: bool = False) -> Pair:
    part, suffix = "t10k" if test else "train", ".gz" if packed else ""
    images, labels = (directory / f"{part}-{kind}-ubyte{suffix}" for kind in ("images-idx3", "labels-idx1"))
    unpacked = gzip.decompress if packed else bytes
    return idx(unpacked(images.read_bytes())), idx(unpacked(labels.read_bytes())).astype(np.int64)


def _read_emnist(directory: Path, test: bool, kind: str) -> Pair:
    with zipfile.ZipFile(directory / "gzip.zip") as archive:
        stem = f"gzip/emnist-{kind}-{'test' if test else 'train'}"
        images, labels = (
            idx(gzip.decompress(archive.read(f"{stem}-{file}-ubyte.gz"))) for file in ("images-idx3", "labels-idx1")
        )
    return images, labels.astype(np.int64) - (kind == "letters")  # of the letters the first is 1


def _read_cifar(directory: Path, test: bool) -> Pair:
    names = ["test_batch"] if test else [f"data_batch_{number}" for number in range(1, 6)]
    with tarfile.open(directory / "cifar-10-python.tar.gz") as archive:
        batches = [_Arrays(_member(archive, f"cifar-10-batches-py/{name}"), encoding="bytes").load() for name in names]
    pictures = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return pictures, np.concatenate([batch[b"labels"] for batch in batches]).astype(np.int64)


def _member(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    file = archive.extractfile(name)
    if file is None:
        raise DataError(f"the archive has no file {name}")
    return io.BytesIO(file.read())


class _Arrays(pickle.Unpickler):
    """Reads a pickle of NumPy's arrays and runs nothing else that may stand in one."""

    ALLOWED: ClassVar = {"_reconstruct", "ndarray", "dtype"}

    def find_class(self, module: str, name: str) -> Any:
        """Return one of NumPy's three names. Raises `DataError`."""
        if module.partition(".")[0] != "numpy" or name not in self.ALLOWED:
            raise DataError(f"a file of CIFAR-10 asks for {module}.{name}, which arrays do not need")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _mend(title: str, files: str) -> str:
    return f"put {title}'s {files} there, or name a data directory that has them (--data-dir or SWEETSPOT_DATA)"


def _md5(title: str, files: dict[str, str]) -> FileSet:
    checks = {name: Check(digest, algorithm="md5") for name, digest in files.items()}
    return FileSet(title, checks, _mend(title, " and ".join(files) if len(files) < 3 else "four files, as .gz,"))


FASHION_MNIST = FileSet(
    "Fashion-MNIST",
    {
        "train-images-idx3-ubyte": Check(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47_040_016
        ),
        "train-labels-idx1-ubyte": Check("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60_008),
        "t10k-images-idx3-ubyte": Check("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7_840_016),
        "t10k-labels-idx1-ubyte": Check("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10_008),
    },
    _mend("Fashion-MNIST", "four files, uncompressed,"),
)
KMNIST = _md5(
    "KMNIST",
    {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    },
)
EMNIST = _md5("EMNIST", {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"})
CIFAR10 = _md5("CIFAR-10", {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"})


def _emnist(kind: str, test_size: int) -> Published:
    mirrors = Mirrors(dataset="EMNIST", unpack=False, limit=HOUR)
    return Published(EMNIST, (mirrors,), "emnist", partial(_read_emnist, kind=kind), test_size)


PUBLISHED = {
    "mnist": Published(MNIST, SOURCES, "", _read_idx, 10_000),
    "fashion-mnist": Published(
        FASHION_MNIST,
        (
            Installed(Path("/") / FASHION),
            Mirrors(dataset="FashionMNIST"),
            DebianPackage("dataset-fashion-mnist", FASHION, 31),
        ),
        "fashion-mnist",
        _read_idx,
        10_000,
    ),
    "kmnist": Published(
        KMNIST, (Mirrors(dataset="KMNIST", unpack=False),), "kmnist", partial(_read_idx, packed=True), 10_000
    ),
    "emnist-digits": _emnist("digits", 40_000),
    "emnist-letters": _emnist("letters", 20_800),
    "cifar10": Published(
        CIFAR10, (Mirrors(dataset="CIFAR10", unpack=False, limit=HOUR),), "cifar10", _read_cifar, 10_000
    ),
}
NAMES = ("digits", *PUBLISHED)
"""What `open_dataset` knows by name."""
