"""How a command is stopped: politely at the first signal or the timeout, at once at the second signal."""

import os
import signal
import time
from types import FrameType


class Stop:
    """Turns the first SIGINT or SIGTERM, or a timeout, into a polite end; the second signal ends at once."""

    def __init__(self, timeout: float | None) -> None:
        self.signal: int | None = None
        self.deadline = None if timeout is None else time.monotonic() + timeout

    def __enter__(self) -> "Stop":
        self.old = {number: signal.signal(number, self._caught) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.signal is not None or (self.deadline is not None and time.monotonic() >= self.deadline)

    def _caught(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL)
        os.write(2, b"\nstopping after this epoch; open trials are given back (again to stop at once)\n")
