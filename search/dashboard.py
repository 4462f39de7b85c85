"""optuna-dashboard on the study's storage, with note, plots and artifacts in place: `python -m search.dashboard`."""

import errno
import signal
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer
from optuna_dashboard import wsgi

from search import cli
from search.artifacts import Artifacts, artifact_dir
from search.errors import UsageError
from search.ledger import load_study
from search.publish import publish_all
from search.storage import open_storage, shown

HOST = "127.0.0.1"  # the dashboard asks nobody for a password, and can delete studies


class _Server(ThreadingMixIn, WSGIServer):
    """Serves every request in a thread of its own, as optuna-dashboard's own server does."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    """Says nothing of single requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Drop the line."""


def dashboard(  # noqa: PLR0917  # Typer passes options by name
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on this machine; 0 takes a free one.")] = 8080,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the study in a browser.")] = True,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    artifacts: cli.ArtifactOption = None,
    verbose: cli.VerboseOption = False,
) -> int:
    """Serve optuna-dashboard on the study's storage, for this machine only, until Ctrl-C."""
    cli.set_up_logging(verbose)
    opened = open_storage(storage, create=False)
    shelf = Artifacts(opened, load_study(opened, study), artifact_dir(opened, artifacts))
    _make(shelf.directory)
    server = _bound(port, wsgi(opened.optuna, artifact_store=shelf.store))
    publish_all(opened, shelf.study)
    with _signalled() as caught:  # before the address is printed: who reads it may send a signal at once
        return _serve(server, caught, shelf, browser)


def _serve(server: WSGIServer, caught: "_Caught", shelf: Artifacts, browser: bool) -> int:
    """Serve until a signal; return the exit code that names it."""
    url = f"http://{HOST}:{server.server_port}/dashboard/studies/{shelf.study._study_id}"
    cli.out.print(f"storage {shown(shelf.storage.url)} · artifacts {shelf.directory}", markup=False)
    cli.out.print(f"dashboard at {url} (Ctrl-C ends it)", markup=False)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if browser:
            webbrowser.open(url)
        number = caught.wait()
        server.shutdown()
    return 128 + number


def _make(directory: Path) -> None:
    """Make the directory: uploads from the dashboard go there as well. Raises `UsageError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--artifact-dir {directory} cannot be used: {error.strerror}; choose another") from None


def _bound(port: int, app: Any) -> WSGIServer:
    """Return a server that holds its port already. Raises `UsageError` for a port that is not to be had."""
    try:
        return make_server(HOST, port, app, _Server, _Silent)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be used ({error.strerror})"
        raise UsageError(f"port {port} {why}; choose another with --port, or 0 for a free one") from None


class _Caught:
    """Waits for a signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0

    def __call__(self, number: int, _frame: object) -> None:
        self.number = number
        self.event.set()

    def wait(self) -> int:
        """Return the number of the first signal, when there is one."""
        self.event.wait()
        return self.number


@contextmanager
def _signalled() -> Iterator[_Caught]:
    caught = _Caught()
    old = {number: signal.signal(number, caught) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


main = cli.entry(dashboard, "search.dashboard")

if __name__ == "__main__":
    main()
