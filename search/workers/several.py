"""Several services on this machine, one for each of its cards say: `python -m search.worker --workers auto`.

Each is the same command for one device. They share what services on several machines share: the rows of the database.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from search.signals import SERVICE
from search.workers.local import thread_variables

POLL_SECONDS = 0.2

_log = logging.getLogger(__name__)
Service = subprocess.Popen[bytes]


def serve_on(devices: Sequence[str], options: Sequence[str], storage: str, stop: Callable[[], bool]) -> int:
    """Run a service on each of these devices until told to stop, or until one has ended; return 0, or how that ended.

    The others are then told to stop too, and waited for.
    """
    with _services(devices, options, storage) as services:
        while not stop():
            for service in services:
                if (code := service.poll()) not in (None, 0):
                    _log.warning("the worker of process %d ended with %d, so all do", service.pid, code)
                    return 1 if code < 0 else code
            if all(service.poll() == 0 for service in services):  # their time is up
                return 0
            time.sleep(POLL_SECONDS)
    return 0


@contextmanager
def _services(devices: Sequence[str], options: Sequence[str], storage: str) -> Iterator[list[Service]]:
    """Start them; end those that still run and wait for them."""
    environment = {**os.environ, **thread_variables(len(devices)), SERVICE: str(os.getpid())}
    environment["SWEETSPOT_STORAGE"] = storage  # not as an argument, which `ps` would show
    services: list[Service] = []
    try:
        for device in devices:
            command = [sys.executable, "-m", "search.worker", *options, f"--device={device}"]
            started = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
            services.append(started)
        yield services
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait()
