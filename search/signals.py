"""How a command is stopped: politely at the first signal or the timeout, at once at the second signal.

But for SIGHUP: a terminal that closes may send it twice, as itself and by its shell.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

PARENT = "SWEETSPOT_PARENT"  # environment variable: the process that started this one as its worker
SERVICE = "SWEETSPOT_SERVICE"  # environment variable: the process that started this one as one of its services
NAP_SECONDS = 0.25  # a signal that comes while we rest is answered within these


def is_worker() -> bool:
    """Return whether this process was started by another one to share its work."""
    return PARENT in os.environ


def orphaned() -> bool:
    """Return whether the process that started this one to work is gone; False for who was started by hand."""
    parents = {os.environ[name] for name in (PARENT, SERVICE) if name in os.environ}
    return bool(parents - {str(os.getppid())})


def stopping() -> list[int]:
    """Return the signals that end a command politely: SIGINT, SIGTERM and, of a closed terminal, SIGHUP.

    Not SIGHUP where it is ignored, as by `nohup`, or where there is none, as on Windows.
    """
    hangups = [number for number in signal.valid_signals() if getattr(number, "name", "") == "SIGHUP"]
    return [signal.SIGINT, signal.SIGTERM, *(one for one in hangups if signal.getsignal(one) != signal.SIG_IGN)]


@contextmanager
def ending() -> Iterator[None]:
    """Let a signal of `stopping` but Ctrl-C, which does so anyway, end a command through all that it has to tidy up."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    old = {number: signal.signal(number, end) for number in stopping() if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Stop:
    """Turns a signal of `stopping`, a timeout or the parent's end into a polite end; a second signal ends at once."""

    def __init__(self, timeout: float | None) -> None:
        self.signal: int | None = None
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def __enter__(self) -> "Stop":
        self.old = {number: signal.signal(number, self._caught) for number in stopping()}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether to stop."""
        late = self.deadline is not None and time.monotonic() >= self.deadline
        return self.signal is not None or late or orphaned()

    def rest(self, seconds: float) -> None:
        """Do nothing for a while, or until it is time to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self():
            time.sleep(min(left, NAP_SECONDS))

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        polite = number == getattr(signal, "SIGHUP", None)
        signal.signal(number, signal.SIG_IGN if polite else signal.SIG_DFL)
        with suppress(OSError):  # the terminal is gone
            os.write(2, b"\nstopping after this epoch; open trials are given back (again to stop at once)\n")
