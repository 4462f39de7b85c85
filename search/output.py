"""What commands print, on any terminal and into any file; no failure to print costs a run or its exit code.

A character that the output's encoding lacks becomes a plain one. An output that is gone (a closed pipe or terminal, a
full disk) gets nothing more, and the command goes on: its work is in SQL, not in what it prints.
"""

import codecs
import json
import math
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PLAIN = "sweetspot-plain"  # the error handler's name
SIGNS = {"·": "-", "●": "*", "±": "+-", "→": "->", "─": "-", "│": "|"}
NAMES = {
    "SHADE": "-",
    "BLOCK": "#",
    "BOX DRAWINGS": "+",
    "BRAILLE": "*",
    "DASH": "-",
    "QUOTATION": "'",
    "MULTIPLI": "x",
}


def plain(character: str) -> str:
    """Return ASCII for a character: what it looks like where we know it, else its code, as Python writes it."""
    if character in SIGNS:
        return SIGNS[character]
    name = unicodedata.name(character, "")
    drawn = next((sign for part, sign in NAMES.items() if part in name), None)
    folded = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return drawn or folded or character.encode("ascii", "backslashreplace").decode()


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(plain, error.object[error.start : error.end])), error.end


codecs.register_error(PLAIN, _plain)


class Output:
    """A stream to which writing never fails; all else is the stream's own."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        with suppress(AttributeError, ValueError):  # a stream of its own kind, as tests have
            stream.reconfigure(errors=PLAIN)

    def write(self, text: str) -> int:
        """Write, or do without where the stream is gone."""
        try:
            self._stream.write(text)
        except (OSError, ValueError):  # ValueError: it is closed
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, or do without where the stream is gone."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._give_up()

    def _give_up(self) -> None:
        """Send what is left, and all that follows, nowhere; Python would complain of it at its end."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _occupy() -> None:
    """Open what is closed of standard input, output and error: else a database's file would get that number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


@contextmanager
def printing() -> Iterator[None]:
    """Print as this module says; for as long as a command runs."""
    _occupy()
    before = sys.stdout, sys.stderr
    nowhere = [open(os.devnull, "w", encoding="utf-8") if stream is None else None for stream in before]  # noqa: SIM115
    sys.stdout, sys.stderr = (Output(stream or other) for stream, other in zip(before, nowhere, strict=True))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
        for other in nowhere:
            if other is not None:
                other.close()


def strict_json(document: Any) -> str:
    """Return strict JSON in pure ASCII; a number that JSON has not, such as infinity, is null."""
    return json.dumps(_finite(document), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value
