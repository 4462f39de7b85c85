"""A search and a confirmation small enough for tests: a few dozen made-up images, two epochs."""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.faults import as_mnist
from model.data.samples import Parts, Samples
from search.store.storage import Storage, open_storage
from search.store.study import StudyStore, open_study
from search.training.display import Lines
from search.training.engine import Engine
from search.verdict.boundary import FIRST
from search.verdict.confirmation import ConfirmationStore, confirm, open_confirmation
from studies.sweet_spot import sweet_spot

EPOCHS = 2
FAMILY = sweet_spot().family
CAPACITY = 512
SEEDS = FIRST  # with fewer nothing is judged
quiet = Console(quiet=True)
_folders: list[tempfile.TemporaryDirectory[str]] = []  # removed when the tests end


def images(n: int, seed: int) -> Samples:
    """Made-up digits: a bright row that names the label, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 10
    pixels = torch.randint(0, 90, (n, 784), generator=generator, dtype=torch.uint8)
    for i, label in enumerate(labels.tolist()):
        pixels[i, 28 * label : 28 * label + 28] += 120
    return Samples(pixels, labels)


def tiny_mnist() -> Parts:
    """MNIST's parts in miniature; the test images are read when asked for, as the real ones are."""
    return as_mnist(Parts(images(120, 1), images(60, 2), lambda: images(180, 3), lambda: images(60, 4)))


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def storage_at(path: Path) -> Storage:
    return open_storage(url_of(path), create=True)


def search_at(path: Path, name: str = "sweet-spot", trials: int = 4) -> StudyStore:
    """Search for a moment."""
    store = open_study(storage_at(path), sweet_spot(name, EPOCHS), 7)
    store.set_budget(trials)
    Engine(store, tiny_mnist(), CAPACITY, Lines(store, trials, quiet)).search(lambda: False)
    return store


def confirmed_at(path: Path, seeds: int = SEEDS, name: str = "sweet-spot") -> ConfirmationStore:
    """Search and confirm."""
    store = open_confirmation(search_at(path, name), seeds, EPOCHS)
    assert confirm(store, tiny_mnist(), CAPACITY, quiet, lambda: False)
    return store


@cache
def confirmed_once() -> Path:
    """Search and confirm, once for all tests; they read the file, or copy it."""
    folder = tempfile.TemporaryDirectory(prefix="sweetspot-tests-")
    _folders.append(folder)
    confirmed_at(Path(folder.name) / "s.db")
    return Path(folder.name) / "s.db"


def copy_of(path: Path, folder: Path) -> Path:
    """Copy a database of SQLite's, whoever has it open; a folder holds one copy, since the first may be in use."""
    copy = folder / path.name
    copy.touch(exist_ok=False)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
