"""Reads the URL of a database, and finds its password without anybody seeing it.

A password may stand in the URL; it is better kept out of it, since a command line is visible to everybody on the
machine. In this order: the URL, SWEETSPOT_STORAGE_PASSWORD, the file that SWEETSPOT_STORAGE_PASSWORD_FILE names, and
what PostgreSQL's own library reads: PGPASSWORD, PGPASSFILE, ~/.pgpass.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

import sqlalchemy as sa

from search.errors import UsageError

PASSWORD = "SWEETSPOT_STORAGE_PASSWORD"
PASSWORD_FILE = "SWEETSPOT_STORAGE_PASSWORD_FILE"

_HINT = "use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_USERINFO = re.compile(r"(?P<head>[\w+]+://[^:/@]*:)(?P<tail>.*@.*)", re.DOTALL)
_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.,-]*)(:\d*)?(/[^@?/]*)?(\?.*)?", re.DOTALL)  # HOST:PORT/DATABASE?OPTIONS
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")


def parse_url(text: str) -> sa.URL:
    """Read a storage URL; SQLite paths become absolute, PostgreSQL gets its driver and its password.

    Raises `UsageError` for what is not a URL of SQLite or PostgreSQL.
    """
    try:
        url = sa.make_url(_encoded(text))
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(f"--storage is not a database URL; {_HINT}") from None
    if url.drivername in _SQLITE:
        return _sqlite(url, text)
    if url.drivername in _POSTGRESQL:
        return _with_password(url.set(drivername="postgresql+psycopg"))
    if url.get_backend_name() in ("sqlite", "postgresql"):
        raise UsageError(f"--storage: the driver of {url.drivername!r} is not supported; {_HINT}")
    raise UsageError(f"--storage: {url.get_backend_name()!r} is not supported; {_HINT}")


def redacted(url: sa.URL) -> str:
    """Return the URL as it may be printed: with the password hidden."""
    return url.render_as_string(hide_password=True)


def is_file(url: sa.URL) -> bool:
    """Return whether the database is a file, which processes of other machines cannot share."""
    return url.get_backend_name() == "sqlite"


def names_password(text: str) -> bool:
    """Return whether a password stands in this URL."""
    try:
        return bool(sa.make_url(_encoded(text)).password)
    except (sa.exc.ArgumentError, ValueError):
        return False


def _sqlite(url: sa.URL, text: str) -> sa.URL:
    if url.host or url.username or url.password:
        raise UsageError("--storage: an SQLite URL has three slashes, or four before an absolute path; " + _HINT)
    if url.database in (None, "", ":memory:"):
        raise UsageError(f"--storage: a study in memory would be lost at exit; {_HINT}")
    if "?" in text or url.database.startswith("file:"):
        raise UsageError("--storage: an SQLite URL takes no options; " + _HINT)
    if "\0" in url.database:
        raise UsageError("--storage: a file name cannot hold a zero byte")
    return url.set(database=str(Path(url.database).absolute()))


def _with_password(url: sa.URL) -> sa.URL:
    if url.password:
        return url
    if password := os.environ.get(PASSWORD):
        return url.set(password=password)
    return url.set(password=_from_file(named)) if (named := os.environ.get(PASSWORD_FILE)) else url


def _from_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{PASSWORD_FILE}: cannot read {name}: {reason}") from None


def _encoded(text: str) -> str:
    """Return the URL with its password percent-encoded, as SQLAlchemy wants it.

    Users paste passwords as they are. Where only one reading is possible it is taken; else `UsageError` says how to
    write it.
    """
    found = _USERINFO.fullmatch(text)
    if found is None or text.startswith("sqlite"):
        return text
    tail = found["tail"]
    ends = [i for i, c in enumerate(tail) if c == "@" and _PLACE.fullmatch(tail[i + 1 :])]
    if not ends:
        raise UsageError(f"--storage is not a database URL; {_HINT}")
    if len(ends) > 1:
        raise _ambiguous()
    return f"{found['head']}{quote(_literal(tail[: ends[0]]), safe='')}@{tail[ends[0] + 1 :]}"


def _literal(password: str) -> str:
    """Return what a password means: itself, unless it is percent-encoded throughout."""
    if not _ESCAPE.search(password):
        return password
    if re.search(r"[@/:#?]", password) or "%" in _ESCAPE.sub("", password):
        raise _ambiguous()
    return unquote(password)


def _ambiguous() -> UsageError:
    return UsageError(
        "--storage: the password can be read in two ways; write its @ / : # ? % as %40 %2F %3A %23 %3F %25, "
        f"or leave it out of the URL and set {PASSWORD}"
    )
