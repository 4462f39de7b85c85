"""Files known by their hashes, in a directory: checked at every use, fetched where they are missing or wrong.

provide ─ wrong: nothing? then no lock is taken and nothing is written
   └─ under a file lock: set wrong files aside ─ ask each source for what is still missing
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from model.data.sources import Progress, Source, reason
from model.errors import DataDirError, DataError

MISSING = "missing"
LABELS = {"sha256": "SHA-256", "md5": "MD5"}


@dataclass(frozen=True)
class Check:
    """What a file must be."""

    digest: str  # hexadecimal
    size: int | None = None  # bytes; None where nobody published them
    algorithm: str = "sha256"  # or "md5", where nobody published a better one

    def problem(self, path: Path) -> str | None:
        """Return what is wrong with a file, `MISSING` where it is not there; None where it is right."""
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno()).st_size
                if self.size is not None and found != self.size:
                    return f"{found} bytes instead of {self.size}"
                digest = hashlib.file_digest(file, self.algorithm).hexdigest()
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            return f"unreadable ({reason(error)})"
        label = LABELS[self.algorithm]
        return None if digest == self.digest else f"{label} {digest[:12]} instead of {self.digest[:12]}"


@dataclass(frozen=True)
class FileSet:
    """The files of one data set, how each is checked, and where they come from."""

    title: str  # what to call it in a message
    checks: Mapping[str, Check] = field(repr=False)  # by the file's name
    mend: str  # what a person can do where no source has them

    def provide(self, directory: Path, say: Progress, sources: Sequence[Source]) -> Path:
        """Return `directory`, absolute, where all files lie and are right, fetching what is not.

        A wrong file is set aside under another name. Processes that start together fetch once. Raises `DataDirError`
        if `directory` is no directory, `DataError` if a file is wrong and no source has it or the directory cannot be
        written.
        """
        directory = data_directory(directory)
        if wrong := self.wrong(directory):
            try:
                with _locked(directory, self.title, say):
                    self._mend(directory, sources, say)
            except OSError as error:
                why = f"{directory} cannot be written ({reason(error)})"
                raise DataError(f"{_list(wrong)}; {why}: {self.mend}") from error
        return directory

    def wrong(self, directory: Path) -> dict[str, str]:
        """Return what is wrong with each file that is not exactly as it should be."""
        problems = {name: check.problem(directory / name) for name, check in self.checks.items()}
        return {name: problem for name, problem in problems.items() if problem}

    def recheck(self, path: Path) -> None:
        """Raise `DataError` if a file that was right is so no more."""
        if problem := self.checks[path.name].problem(path):
            raise DataError(f"{path} changed while in use: {problem}")

    def _mend(self, directory: Path, sources: Sequence[Source], say: Progress) -> None:
        # Looked at again, since whoever held the lock before us may have fetched everything.
        tried = [_set_aside(directory / name, problem, say) for name, problem in self.wrong(directory).items()]
        for source in sources:
            if missing := list(self.wrong(directory)):
                tried += [f"{source.name}: {why}" for why in self._fetch(source, missing, directory, say)]
        if missing := list(self.wrong(directory)):
            story = "; ".join(line for line in tried if line)
            raise DataError(f"{', '.join(missing)} missing in {directory} and not to be had ({story}): {self.mend}")

    def _fetch(self, source: Source, names: Sequence[str], directory: Path, say: Progress) -> list[str]:
        """Move into place what `source` delivers right; return why it delivered no more."""
        reasons = []
        with _scratch(directory) as scratch:
            try:
                source.fetch(names, scratch, say)
            except (OSError, DataError) as error:
                reasons.append(reason(error))
            for name in names:
                if problem := self.checks[name].problem(scratch / name):
                    reasons.append(f"{name}: {problem}")
                else:
                    (scratch / name).replace(directory / name)
        return reasons[:1]  # the first is the cause, the others follow from it


def data_directory(named: Path) -> Path:
    """Return a data directory, which need not be there yet. Raises `DataDirError` if something else lies there."""
    directory = named.expanduser().absolute()
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise DataDirError(f"the data directory {directory} is not a directory")
    return directory


@contextmanager
def _locked(directory: Path, title: str, say: Progress) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".download.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"another process is fetching {title} into {directory}: waiting for it")
        lock.acquire()  # without a limit: each source has its own, and the lock of a killed process is free
    try:
        yield
    finally:
        lock.release()


def _set_aside(path: Path, problem: str, say: Progress) -> str | None:
    if problem == MISSING:
        return None
    names = (f"{path.name}.wrong-{number}" for number in count(1))
    kept = next(name for name in names if not os.path.lexists(path.with_name(name)))
    path.rename(path.with_name(kept))
    note = f"{path.name} had {problem} and was set aside as {kept}"
    say(note)
    return note


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
