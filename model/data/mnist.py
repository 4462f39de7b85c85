"""MNIST as whole tensors on one device, checked byte for byte at every load.

Conventions: pixels are uint8 from 0 to 255, one image a row of 784 (28 rows of 28, top first); labels are int64 from
0 to 9. A *file* is one of MNIST's four original files, uncompressed, under its original name; `FILES` says what is in
it. Lines of progress go to a callback and are written for people.

`python -m model.data` does the first half alone: it fetches what is missing and says where the files lie.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import platformdirs
import torch
from scipy.sparse import csr_array
from torch import Tensor

from model.data.files import Check, FileSet
from model.data.sources import SOURCES, Progress, Source
from model.data.split import SPLIT_SEED, stratified_split
from model.errors import DataError

VALIDATION = 10_000
"""Images held out of the 60,000: as many as the test set has, so that the two figures are equally sharp."""

OFTEN = 1 / 3
"""Share of the images from which on it costs less to multiply by a pixel always than where it is lit: as measured."""

FILES = {
    "train-images-idx3-ubyte": (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
"""Bytes and SHA-256 of each file, uncompressed."""

MEND = "put MNIST's four files, uncompressed, there or name a directory that holds them (--data-dir or SWEETSPOT_DATA)"
MNIST = FileSet("MNIST", {name: Check(digest, size) for name, (size, digest) in FILES.items()}, MEND)


@dataclass(frozen=True, eq=False)
class Lit:
    """Images on the CPU by what is lit in them; a 785th input is always 255, for a bias."""

    where: Tensor  # int64 (k,), the inputs that are lit in more than `OFTEN` of the images
    often: Tensor  # uint8 (n, k), those inputs
    seldom: Any  # a sparse matrix of SciPy's, uint8 (n, 785), 5 bytes a lit pixel: the others


@dataclass(frozen=True, eq=False)
class Images:
    """`n` images and their labels on one device."""

    pixels: Tensor  # uint8 (n, 784)
    labels: Tensor  # int64 (n,)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.pixels.device

    def first(self, count: int) -> "Images":
        """Return the first of them."""
        return Images(self.pixels[:count], self.labels[:count])

    @cached_property
    def lit(self) -> Lit:
        """The same by what is lit; made when first asked for, and half of what MNIST's images take."""
        inputs = torch.nn.functional.pad(self.pixels, (0, 1), value=255)
        is_often = torch.count_nonzero(inputs, 0) > OFTEN * len(self)
        often = inputs[:, is_often]
        inputs[:, is_often] = 0
        return Lit(is_often.nonzero().flatten(), often, csr_array(inputs.numpy()))

    def to(self, device: torch.device | str) -> "Images":
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def take(self, rows: Tensor) -> "Images":
        """The images at `rows` (int64 indices), in that order."""
        return Images(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Mnist:
    """All of MNIST; every part keeps the order of the original files.

    `full` and `test` are read from disk when first asked for and not before, so that a search, which never names
    them, never holds them: `"test" in vars(mnist)` tells whether anyone did.
    """

    train: Images  # 50,000, what a trial learns from
    validation: Images  # 10,000, what the search selects on
    read_full: Callable[[], Images] = field(repr=False)
    read_test: Callable[[], Images] = field(repr=False)

    @cached_property
    def full(self) -> Images:
        """The 60,000, train and validation together, for the article's protocol. Raises as `test` does."""
        return self.read_full()

    @cached_property
    def test(self) -> Images:
        """The 10,000 test images, for final figures only. Raises `DataError` if the files have gone bad since."""
        return self.read_test()


def default_data_dir() -> Path:
    """`SWEETSPOT_DATA` where it is set, else `sweetspot/mnist` in the user's cache directory."""
    named = os.environ.get("SWEETSPOT_DATA")
    return Path(named) if named else platformdirs.user_cache_path("sweetspot", appauthor=False) / "mnist"


def load(
    data_dir: Path | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    sources: Sequence[Source] = SOURCES,
) -> Mnist:
    """MNIST on `device`, from files that were checked just now; see `provide` for how they come and what it raises.

    `train` and `validation` are the fixed split that `split_fingerprint` names, the same on every device.
    """
    directory = provide(data_dir, progress, sources)
    full = _read(directory, "train", device)
    train, validation = (rows.to(device) for rows in stratified_split(full.labels.cpu(), VALIDATION, SPLIT_SEED))
    later = (partial(_read, directory, part, device) for part in ("train", "t10k"))
    return Mnist(full.take(train), full.take(validation), *later)


def _read(directory: Path, part: str, device: torch.device | str) -> Images:
    images, labels = directory / f"{part}-images-idx3-ubyte", directory / f"{part}-labels-idx1-ubyte"
    for path in (images, labels):
        MNIST.recheck(path)
    from torchvision.datasets.mnist import read_image_file, read_label_file  # noqa: PLC0415  # see model/__init__.py

    # The checksums vouch for the headers too: 60,000 or 10,000 images of 28 x 28.
    return Images(read_image_file(images).flatten(start_dim=1), read_label_file(labels)).to(device)


def split_fingerprint() -> dict[str, int | bool]:
    """What a study stores of the split and compares on resume."""
    return {"seed": SPLIT_SEED, "train": 60_000 - VALIDATION, "validation": VALIDATION, "stratified": True}


def provide(
    data_dir: Path | None = None, progress: Progress | None = None, sources: Sequence[Source] = SOURCES
) -> Path:
    """The directory where all four files lie and are right, fetching what is not; `default_data_dir` if none is named.

    See `FileSet.provide` for what is done about wrong files, and what it raises.
    """
    return MNIST.provide(data_dir or default_data_dir(), progress or _silent, sources)


def wrong_files(directory: Path) -> dict[str, str]:
    """What is wrong with each file that is not exactly as it should be: `MISSING`, its size, its checksum."""
    return MNIST.wrong(directory)


def _silent(_: str) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch and check the files, say where they lie; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.data", description="Fetch MNIST and check it.")
    parser.add_argument("--data-dir", type=Path, help="default: SWEETSPOT_DATA, else the user's cache directory")
    try:
        directory = provide(parser.parse_args(arguments).data_dir, partial(print, file=sys.stderr, flush=True))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"MNIST: all four files are right in {directory}")
    return 0
