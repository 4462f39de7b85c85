"""A search and a confirmation small enough for tests: a few dozen made-up images, two epochs."""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

import torch
from rich.console import Console

from model.data import Images, Mnist
from search.confirm import ConfirmLedger, confirm, open_confirmation
from search.display import Lines
from search.engine import Engine
from search.ledger import Ledger, open_ledger
from search.storage import Storage, open_storage
from studies.sweet_spot import sweet_spot

EPOCHS = 2
ROOM = 512
quiet = Console(quiet=True)
_folders: list[tempfile.TemporaryDirectory[str]] = []  # removed when the tests end


def images(n: int, seed: int) -> Images:
    """Made-up digits: a bright row that names the label, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 10
    pixels = torch.randint(0, 90, (n, 784), generator=generator, dtype=torch.uint8)
    for i, label in enumerate(labels.tolist()):
        pixels[i, 28 * label : 28 * label + 28] += 120
    return Images(pixels, labels)


def tiny_mnist() -> Mnist:
    """MNIST's parts in miniature; the test images are read when asked for, as the real ones are."""
    return Mnist(images(120, 1), images(60, 2), lambda: images(180, 3), lambda: images(60, 4))


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def storage_at(path: Path) -> Storage:
    return open_storage(url_of(path), create=True)


def search_at(path: Path, name: str = "sweet-spot", trials: int = 4) -> Ledger:
    """Search for a moment."""
    ledger = open_ledger(storage_at(path), sweet_spot(name, EPOCHS), 7)
    ledger.aim(trials)
    Engine(ledger, tiny_mnist(), ROOM, Lines(ledger, trials, quiet)).search(lambda: False)
    return ledger


def confirmed_at(path: Path, seeds: int = 3, name: str = "sweet-spot") -> ConfirmLedger:
    """Search and confirm."""
    ledger = open_confirmation(search_at(path, name), seeds, EPOCHS)
    assert confirm(ledger, tiny_mnist(), ROOM, quiet, lambda: False)
    return ledger


@cache
def confirmed_once() -> Path:
    """Search and confirm three seeds, once for all tests; they read the file, or copy it."""
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
