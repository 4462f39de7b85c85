"""MNIST as whole tensors on one device, checked byte for byte at every load.

Conventions: pixels are uint8 from 0 to 255, one image a row of 784 (28 rows of 28, top first); labels are int64 from
0 to 9. A *file* is one of MNIST's four original files, uncompressed, under its original name; `FILES` says what is in
it. Lines of progress go to a callback and are written for people.

    load ─ provide ─ wrong_files: nothing wrong? then no lock is taken and nothing is written
              └─ under a file lock: set wrong files aside ─ ask each source for what is still missing

`python -m model.data` does the first half alone: it fetches what is missing and says where the files lie.
"""

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import platformdirs
import torch
from filelock import FileLock, Timeout
from scipy.sparse import csr_array
from torch import Tensor

from model.data.sources import SOURCES, Progress, Source, reason
from model.errors import DataDirError, DataError

SPLIT_SEED = 20241121
"""Seed of the train / validation split: the day of the article whose claim is on trial. Changing it changes every
figure, so it goes into every study by way of `split_fingerprint`."""

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

MISSING = "missing"
MEND = "put MNIST's four files, uncompressed, there or name a directory that holds them (--data-dir or SWEETSPOT_DATA)"


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
        if problem := _problem(path):
            raise DataError(f"{path} changed while in use: {problem}")
    from torchvision.datasets.mnist import read_image_file, read_label_file  # noqa: PLC0415  # see model/__init__.py

    # The checksums vouch for the headers too: 60,000 or 10,000 images of 28 x 28.
    return Images(read_image_file(images).flatten(start_dim=1), read_label_file(labels)).to(device)


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to keep and rows held out, both ascending; `held_out` of them are drawn by `seed`, class by class.

    labels: int64 (n,) on the CPU, n >= held_out. Each class's number of held-out rows differs from its exact share
    by less than one (largest remainders).
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label, quota in enumerate(_quotas(torch.bincount(labels), held_out)):
        rows = (labels == label).nonzero().flatten()
        chosen[rows[torch.randperm(len(rows), generator=generator)[:quota]]] = True
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


def _quotas(counts: Tensor, total: int) -> list[int]:
    shares = counts * total  # in units of 1 / counts.sum(), so that the arithmetic is exact
    quotas = shares // counts.sum()
    largest = (shares % counts.sum()).argsort(descending=True, stable=True)
    quotas[largest[: total - int(quotas.sum())]] += 1
    return [int(quota) for quota in quotas]


def split_fingerprint() -> dict[str, int | bool]:
    """What a study stores of the split and compares on resume."""
    return {"seed": SPLIT_SEED, "train": 60_000 - VALIDATION, "validation": VALIDATION, "stratified": True}


def provide(
    data_dir: Path | None = None, progress: Progress | None = None, sources: Sequence[Source] = SOURCES
) -> Path:
    """The directory where all four files lie and are right, fetching what is not; `default_data_dir` if none is named.

    A wrong file is set aside under another name. Processes that start together fetch once. Raises `DataDirError` if
    `data_dir` is no directory, `DataError` if a file is wrong and no source has it or the directory cannot be written.
    """
    directory = (data_dir or default_data_dir()).expanduser().absolute()
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise DataDirError(f"the data directory {directory} is not a directory")
    if wrong := wrong_files(directory):
        try:
            with _locked(directory, progress or _silent):
                _mend(directory, sources, progress or _silent)
        except OSError as error:
            raise DataError(f"{_list(wrong)}; {directory} cannot be written ({reason(error)}): {MEND}") from error
    return directory


def wrong_files(directory: Path) -> dict[str, str]:
    """What is wrong with each file that is not exactly as it should be: `MISSING`, its size, its checksum."""
    problems = {name: _problem(directory / name) for name in FILES}
    return {name: problem for name, problem in problems.items() if problem}


def _problem(path: Path) -> str | None:
    size, sha256 = FILES[path.name]
    try:
        with path.open("rb") as file:
            if (found := os.fstat(file.fileno()).st_size) != size:
                return f"{found} bytes instead of {size}"
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"unreadable ({reason(error)})"
    return None if digest == sha256 else f"SHA-256 {digest[:12]} instead of {sha256[:12]}"


@contextmanager
def _locked(directory: Path, say: Progress) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".download.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"another process is fetching MNIST into {directory}: waiting for it")
        lock.acquire()  # without a limit: each source has its own, and the lock of a killed process is free
    try:
        yield
    finally:
        lock.release()


def _mend(directory: Path, sources: Sequence[Source], say: Progress) -> None:
    # Looked at again, since whoever held the lock before us may have fetched everything.
    tried = [_set_aside(directory / name, problem, say) for name, problem in wrong_files(directory).items()]
    for source in sources:
        if missing := list(wrong_files(directory)):
            tried += [f"{source.name}: {why}" for why in _fetch(source, missing, directory, say)]
    if missing := list(wrong_files(directory)):
        story = "; ".join(line for line in tried if line)
        raise DataError(f"{', '.join(missing)} missing in {directory} and not to be had ({story}): {MEND}")


def _set_aside(path: Path, problem: str, say: Progress) -> str | None:
    if problem == MISSING:
        return None
    names = (f"{path.name}.wrong-{number}" for number in count(1))
    kept = next(name for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(path.with_name(kept))
    note = f"{path.name} had {problem} and was set aside as {kept}"
    say(note)
    return note


def _fetch(source: Source, names: Sequence[str], directory: Path, say: Progress) -> list[str]:
    """Move into place what `source` delivers right; return why it delivered no more."""
    reasons = []
    with _scratch(directory) as scratch:
        try:
            source.fetch(names, scratch, say)
        except (OSError, DataError) as error:
            reasons.append(reason(error))
        for name in names:
            if problem := _problem(scratch / name):
                reasons.append(f"{name}: {problem}")
            else:
                (scratch / name).replace(directory / name)
    return reasons[:1]  # the first is the cause, the others follow from it


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    # Inside the data directory, so that the renames are atomic; one name, so that a killed process leaves one at most.
    path = directory / ".fetching"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _list(problems: dict[str, str]) -> str:
    return ", ".join(f"{name}: {problem}" for name, problem in problems.items())


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
