"""optuna-dashboard on the study's storage, with note, plots and artifacts in place: `python -m search.dashboard`.

It asks nobody for a password and can delete studies, so it listens on this machine's loopback address alone. For others
it stands behind a proxy that does ask: `--socket` serves it on a file that only the proxy reaches, and lets nobody
change anything.
"""

import errno
import webbrowser
from pathlib import Path
from typing import Annotated, Any
from wsgiref.simple_server import WSGIServer, make_server

import typer
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from search import cli
from search.errors import NotFoundError, UsageError
from search.results.notes import publish_all
from search.results.web_server import (
    Caught,
    Server,
    Silent,
    SocketServer,
    for_this_machine,
    reading_only,
    running,
    signalled,
)
from search.store.storage import Storage, open_storage
from search.store.study import load_study
from search.store.url import redacted
from search.training.artifacts import Artifacts, artifact_dir
from studies.optuna_private import study_key

HOST = "127.0.0.1"
LOOK_AGAIN = 1.0  # seconds until a database without studies is looked at again
SocketOption = Annotated[
    Path | None,
    typer.Option("--socket", help="Serve a proxy on this Unix socket instead: every study, nothing to be changed."),
]


def dashboard(  # noqa: PLR0917  # Typer passes options by name
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on this machine; 0 takes a free one.")] = 8080,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the study in a browser.")] = True,
    path: SocketOption = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    artifacts: cli.ArtifactOption = None,
    verbose: cli.VerboseOption = False,
) -> int:
    """Serve optuna-dashboard on the study's storage, for this machine only, until Ctrl-C."""
    cli.set_up_logging(verbose)
    if path is not None:
        return _for_a_proxy(path, storage, artifacts)
    opened = open_storage(storage, create=False)
    artifact_store = Artifacts(opened, load_study(opened, study), artifact_dir(opened, artifacts))
    _make(artifact_store.directory)
    server = _bound(port, for_this_machine(wsgi(opened.optuna, artifact_store=artifact_store.store)))
    publish_all(opened, artifact_store.study)
    with signalled() as caught:  # before the address is printed: who reads it may send a signal at once
        return _serve(server, caught, artifact_store, browser)


def _serve(server: WSGIServer, caught: Caught, artifact_store: Artifacts, browser: bool) -> int:
    """Serve until a signal; return the exit code that names it."""
    url = f"http://{HOST}:{server.server_port}/dashboard/studies/{study_key(artifact_store.study)}"
    cli.out.print(
        f"storage {redacted(artifact_store.storage.url)} · artifacts {artifact_store.directory}", markup=False
    )
    cli.out.print(f"dashboard at {url} (Ctrl-C ends it)", markup=False)
    with running(server):
        if browser:
            webbrowser.open(url)
        return 128 + caught.wait()


def _for_a_proxy(path: Path, url: str, artifacts: Path | None) -> int:
    """Serve every study of a database on a Unix socket until a signal, and write nothing: a reader's role will do."""
    with signalled() as caught:
        opened = _awaited(url, caught)
        if opened is None:
            return 128 + caught.number
        store = FileSystemArtifactStore(artifact_dir(opened, artifacts))
        server = _at(path, reading_only(wsgi(opened.optuna, artifact_store=store)))
        cli.out.print(f"storage {redacted(opened.url)} · dashboard on {path}, read-only", markup=False)
        with running(server):
            number = caught.wait()
    path.unlink(missing_ok=True)
    return 128 + number


def _awaited(url: str, caught: Caught) -> Storage | None:
    """Open a database as soon as a worker has made the tables in it; None if a signal comes first."""
    said = False
    while not caught.number:
        try:
            return open_storage(url, create=False)
        except NotFoundError:
            if not said:
                cli.out.print("no study yet; waiting for the first", markup=False)
            said = True
        caught.wait(LOOK_AGAIN)
    return None


def _make(directory: Path) -> None:
    """Make the directory: uploads from the dashboard go there as well. Raises `UsageError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--artifact-dir {directory} cannot be used: {error.strerror}; choose another") from None


def _bound(port: int, app: Any) -> WSGIServer:
    """Return a server that holds its port already. Raises `UsageError` for a port that is not to be had."""
    try:
        return make_server(HOST, port, app, Server, Silent)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be used ({error.strerror})"
        raise UsageError(f"port {port} {why}; choose another with --port, or 0 for a free one") from None


def _at(path: Path, app: Any) -> WSGIServer:
    """Return a server that holds its Unix socket already. Raises `UsageError` for a path that is not to be had."""
    if path.exists() and not path.is_socket():
        raise UsageError(f"--socket {path} is a file that is no socket; choose another")
    try:
        server = SocketServer(str(path), Silent)  # type: ignore[arg-type]  # typeshed knows hosts only
    except OSError as error:
        raise UsageError(f"--socket {path} cannot be used: {error.strerror or error}; choose another") from None
    server.set_app(app)
    return server


main = cli.entry(dashboard, "search.dashboard")

if __name__ == "__main__":
    main()
