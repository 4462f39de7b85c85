"""What to do when the database does not answer: wait while that helps, else say why in a line.

A database that is *away* is one that may come back by itself: a connection that broke, a server that restarts or cannot
be written to for a while, an SQLite file that another process holds. A transaction that lost against another is run
*again*. Everything else (a full disk, a missing right) needs somebody to act. What PostgreSQL says is sorted by its
SQLSTATE, in `STATES`; what it says to a connection that it refuses has none here, and is known by its words.
"""

import logging
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError

from search.errors import StorageError, UsageError

DATABASE_ERRORS = (sa.exc.SQLAlchemyError, StorageInternalError)
RETRY_VARIABLE = "SWEETSPOT_STORAGE_PATIENCE"  # environment variable: seconds that a database may stay away
AWAY_SECONDS = 300.0  # unless it says otherwise
HASTY_SECONDS = 5.0  # when we are to stop
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0  # seconds between two tries; it doubles
NOTICEABLE = 10.0  # seconds after which an answer that came at last counts as the end of an outage

WAIT, AGAIN, END = "wait", "again", "end"
STATES = {
    "08": (WAIT, "the connection broke, or none could be made"),
    "25006": (WAIT, "read-only: a standby that is about to take over, or a server that was told so"),
    "25P02": (AGAIN, "a statement before it failed, was cancelled say, and nobody noticed"),
    "25P03": (WAIT, "the server closed a connection that idled in a transaction; there are others"),
    "53100": (END, "its disk is full: somebody has to make room"),
    "53200": (WAIT, "out of memory: others will give theirs back"),
    "53300": (WAIT, "too many connections: others will close theirs"),
    "57P01": (WAIT, "shut down by an administrator: it may be a restart"),
    "57P02": (WAIT, "it crashed, and recovers by itself"),
    "57P03": (WAIT, "starting up, shutting down or recovering"),
    "57P05": (WAIT, "the server closed an idle connection; there are others"),
    "40001": (AGAIN, "lost against another transaction (serialization)"),
    "40003": (AGAIN, "nobody knows whether it was done: what we run is safe to run again"),
    "40P01": (AGAIN, "lost against another transaction (deadlock)"),
    "55P03": (AGAIN, "another transaction holds a lock for longer than lock_timeout"),
    "57014": (AGAIN, "cancelled, by statement_timeout or somebody"),
}
"""What to do about a SQLSTATE, or a class of them, and why; a server that says any other needs somebody to act.

Source: PostgreSQL's manual, appendix A.
"""

_log = logging.getLogger(__name__)
T = TypeVar("T")


def retry_seconds() -> float:
    """Return how long a database may stay away. Raises `UsageError` for a bad environment variable."""
    text = os.environ.get(RETRY_VARIABLE, str(AWAY_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{RETRY_VARIABLE} must be a number of seconds, not {text!r}")
    return seconds


@dataclass
class Retry:
    """Runs what talks to the database, again and again while it is away; so it must be safe to run again."""

    database: str  # the database's URL, as it may be printed
    seconds: float = field(default_factory=retry_seconds)
    passes: Callable[[BaseException], bool] = field(default_factory=lambda: is_away)  # which errors to wait out
    stop: Callable[[], bool] = lambda: False  # with it waiting ends soon
    returned: float = -math.inf  # when an outage last ended, by the monotonic clock

    def __call__(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns. Raises `StorageError` when the database stays away, or at once if it is not
        away but broken.
        """
        start, delay, said = time.monotonic(), FIRST_DELAY, False
        while True:
            try:
                result = attempt()
            except DATABASE_ERRORS as error:
                self._check(error, time.monotonic() - start)
                if not said and what_to_do(error) == WAIT:
                    _log.warning("%s is away (%s); waiting up to %.0f s", self.database, reason(error), self.seconds)
                    said = True
                time.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                self._note(time.monotonic() - start, said)
                return result

    def _check(self, error: BaseException, waited: float) -> None:
        if not self.passes(error):
            raise StorageError(f"cannot use {self.database}: {reason(error)}") from error
        if waited >= self.seconds or (self.stop() and waited >= HASTY_SECONDS):
            raise StorageError(
                f"{self.database} has been away for {waited:.0f} s ({reason(error)}); nothing that was stored is lost, "
                "run the same command to go on"
            ) from error

    def _note(self, waited: float, said: bool) -> None:
        if said:
            _log.warning("%s is back after %.1f s", self.database, waited)
        if said or waited > NOTICEABLE:
            self.returned = time.monotonic()


def is_away(error: BaseException) -> bool:
    """Return whether to run again what failed: the database may come back by itself, or is there already."""
    return what_to_do(error) != END


def what_to_do(error: BaseException) -> str:
    """Return `WAIT`, `AGAIN` or `END`."""
    error = _cause(error)
    if isinstance(error, sa.exc.PendingRollbackError):  # the connection broke just before
        return WAIT
    if not isinstance(error, sa.exc.DBAPIError):
        return END
    state = getattr(error.orig, "sqlstate", None) or ""
    if known := STATES.get(state) or STATES.get(state[:2]):
        return known[0]
    if type(error.orig).__module__.startswith("sqlite3"):
        return WAIT if "locked" in str(error.orig) else END
    unsaid = not state and isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError))  # as of no connection
    return WAIT if (unsaid and not _refused(error)) or error.connection_invalidated else END


def _refused(error: BaseException) -> bool:
    """Return whether every server that answered a connection did so by refusing us for good, in English.

    The driver has no SQLSTATE of a connection that was not made. One that starts up says so before it looks at us.
    """
    fatal = str(getattr(error, "orig", None)).split("FATAL: ")[1:]
    return bool(fatal) and all(_REFUSAL.match(said.strip()) for said in fatal)


def is_restarting(error: BaseException) -> bool:
    """Return whether a server is there and cannot serve yet: what is worth waiting for when a database is opened."""
    return what_to_do(error) == AGAIN or (is_away(error) and any(sign in reason(error) for sign in _BROKEN_OFF))


def reason(error: BaseException) -> str:
    """Return the database's own words as one line, with what helps where we know it."""
    error = _cause(error)
    said = str(getattr(error, "orig", None) or error).strip()
    line = " ".join(said.split()).removeprefix("connection failed: ")
    return next((f"{line}; {advice}" for sign, advice in _ADVICE.items() if sign in line.lower()), line)


_REFUSAL = re.compile(
    r'database ".*" does not exist'  # 3D000
    r'|role ".*" does not exist|role ".*" is not permitted to log in|no pg_hba\.conf entry'  # 28000
    r"|password authentication failed"  # 28P01
    r"|permission denied for database"  # 42501
)
_BROKEN_OFF = (
    "terminating",
    "closed the connection",
    "starting up",
    "shutting down",
    "accepting connections",
    "locked",
    "too many clients",
    "too many connections",
    "connection slots",
)
_ADVICE = {
    "disk is full": "make room on its disk and run the same command again",
    "no space left": "make room on its disk and run the same command again",
    "disk i/o error": "is its disk full or broken? All that was stored is kept",
    "read-only transaction": "the server is a standby, or was told to be read-only: name the one that is written to",
    "readonly database": "the file or its directory may not be written to",
    "not a database": "the file is something else; choose another",
    "no password supplied": "set SWEETSPOT_STORAGE_PASSWORD, PGPASSWORD or PGPASSFILE",
    "password authentication failed": "check SWEETSPOT_STORAGE_PASSWORD, PGPASSWORD or the URL",
    "no module named": "install the driver: pip install 'psycopg[binary]'",
    "resolve host": "check the host's name",
}


def _cause(error: BaseException) -> BaseException:
    """Optuna wraps what SQLAlchemy raised, and says nothing of it."""
    while isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    return error
