"""A small web server for the dashboard: on a port of this machine or on a Unix socket, until a signal."""

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from search.signals import stopping

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]  # what PEP 3333 calls an application
READS = ("GET", "HEAD")
UNREAD = 1 << 20  # bytes of a request that are read before it is refused
LOCAL = ("127.0.0.1", "localhost")


class Server(ThreadingMixIn, WSGIServer):
    """Serves every request in a thread of its own, as optuna-dashboard's own server does."""

    daemon_threads = True


class SocketServer(Server):
    """The same on a Unix socket, for a proxy; what an earlier server left at its path is removed."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        """Bind without asking for a host's name, which a path has not."""
        Path(str(self.server_address)).unlink(missing_ok=True)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "dashboard", 80
        self.setup_environ()

    def get_request(self) -> tuple[Any, Any]:
        """Name the caller as the handler wants it: the address of a Unix socket is empty."""
        return self.socket.accept()[0], ("proxy", 0)


class Silent(WSGIRequestHandler):
    """Says nothing of single requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Drop the line."""


def reading_only(app: App) -> App:
    """Return the application without all that changes something: only GET and HEAD are answered."""

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READS:
            return app(environ, start)
        return _refused(environ, start, "405 Method Not Allowed", "this dashboard shows studies and changes nothing")

    return guarded


def for_this_machine(app: App) -> App:
    """Return the application for who calls this machine by its own name.

    A page elsewhere may let its name point to 127.0.0.1, and a browser then takes us for a part of that page.
    """

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if urlsplit(f"//{environ.get('HTTP_HOST')}").hostname in LOCAL:
            return app(environ, start)
        return _refused(environ, start, "403 Forbidden", "this dashboard is for http://127.0.0.1 and http://localhost")

    return guarded


def _refused(environ: dict[str, Any], start: Callable[..., Any], status: str, reason: str) -> Iterable[bytes]:
    environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), UNREAD))  # who still writes hears no answer
    start(status, [("Content-Type", "application/json")])
    return [json.dumps({"reason": reason}).encode()]


class Caught:
    """Waits for a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0

    def __call__(self, number: int, _frame: object) -> None:
        """Note a signal; what `signal.signal` calls."""
        self.number = number
        self.event.set()

    def wait(self, seconds: float | None = None) -> int:
        """Return the number of the first signal, when there is one; 0 if there is none within the seconds."""
        self.event.wait(seconds)
        return self.number


@contextmanager
def signalled() -> Iterator[Caught]:
    """Catch what ends a command for a while."""
    caught = Caught()
    old = {number: signal.signal(number, caught) for number in stopping()}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def running(server: WSGIServer) -> Iterator[None]:
    """Serve in the background for a while."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
