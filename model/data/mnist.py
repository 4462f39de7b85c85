"""MNIST's files: which they are, where they lie, and how they are fetched and checked.

A *file* is one of MNIST's four original files, uncompressed, under its original name; `FILES` says what is in
it. Lines of progress go to a callback and are written for people.

`python -m model.data` does the first half alone: it fetches what is missing and says where the files lie.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import platformdirs

from model.data.files import Check, FileSet
from model.data.sources import SOURCES, Progress, Source
from model.data.split import SPLIT_SEED
from model.errors import DataError

VALIDATION = 10_000
"""Images held out of the 60,000: as many as the test set has, so that the two figures are equally sharp."""

FILES = {
    "train-images-idx3-ubyte": (47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
"""Bytes and SHA-256 of each file, uncompressed."""

MEND = "put MNIST's four files, uncompressed, there or name a directory that holds them (--data-dir or SWEETSPOT_DATA)"
MNIST = FileSet("MNIST", {name: Check(digest, size) for name, (size, digest) in FILES.items()}, MEND)


def default_data_dir() -> Path:
    """`SWEETSPOT_DATA` where it is set, else `sweetspot/mnist` in the user's cache directory."""
    named = os.environ.get("SWEETSPOT_DATA")
    return Path(named) if named else platformdirs.user_cache_path("sweetspot", appauthor=False) / "mnist"


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
