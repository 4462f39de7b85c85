"""What docs/security.md promises; see also tests/store/test_passwords.py and tests/project/test_rehearsal.py."""

import ast
import http.client
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi
from safetensors import safe_open

from benchmarks.faults import kill, start, wait_until
from docs.generate import ROOT
from search import dashboard
from search.results.notes import publish_all
from search.store.study import open_study
from search.training.artifacts import WEIGHTS, Artifacts
from search.training.display import Lines
from search.training.engine import Engine
from studies.sweet_spot import sweet_spot
from tests.support.tiny_study import EPOCHS, quiet, search_at, storage_at, tiny_mnist, url_of

CODE = sorted(path for name in ("model", "studies", "search") for path in (ROOT / name).rglob("*.py"))
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "np.load", "numpy.load", "yaml.load"}
CALLS |= {"eval", "exec", "os.system", "pd.read_pickle"}


class Dashboard:
    """The command in a process of its own, and what it prints."""

    def __init__(self, place: Path, database: Path, *options: str) -> None:
        self.log = place / "log"
        self.log.touch()
        self.process = start(serve, [*options, "--storage", url_of(database)], self.log)

    def prints(self, pattern: str) -> str:
        """Wait for a line like this; return what its group is."""
        wait_until(lambda: re.search(pattern, self.log.read_text()) or self.process.exitcode is not None)
        found = re.search(pattern, self.log.read_text())
        assert found, self.log.read_text()
        return found[found.re.groups]

    def end(self, number: int) -> int | None:
        os.kill(self.process.pid, number)
        self.process.join(30)
        return self.process.exitcode


def serve(options: list[str], log: Path) -> None:
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    dashboard.main(options)


@contextmanager
def serving(place: Path, database: Path, *options: str) -> Iterator[Dashboard]:
    started = Dashboard(place, database, *options)
    try:
        yield started
    finally:
        kill(started.process)


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("security") / "s.db"
    search_at(path)
    return path


def listening(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections("inet")
    return {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def ours(database, tmp_path_factory) -> Iterator[tuple[int, int]]:
    """The dashboard as it is by default: its port and its process."""
    with serving(tmp_path_factory.mktemp("ours"), database, "--port", "0", "--no-browser") as server:
        yield int(server.prints(r"http://127\.0\.0\.1:(\d+)")), server.process.pid


def test_the_dashboard_listens_on_loopback_alone(ours):
    assert listening(ours[1]) == {"127.0.0.1"}


@pytest.mark.parametrize(("host", "code"), [("localhost:{}", 200), ("127.0.0.1:{}", 200), ("evil.example:{}", 403)])
def test_a_page_elsewhere_cannot_pass_for_this_machine(host, code, ours):
    """DNS rebinding: a name that its owner lets point to 127.0.0.1 makes a browser take our answers for his."""
    connection = http.client.HTTPConnection("127.0.0.1", ours[0])
    with closing(connection):
        connection.request("GET", "/api/studies", headers={"Host": host.format(ours[0])})
        assert connection.getresponse().status == code


class OnSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket, as a proxy speaks it."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def asked(path: Path, method: str, address: str) -> tuple[int, str, bytes]:
    """The status, the security policy and the body of an answer."""
    connection = OnSocket(path)
    with closing(connection):
        connection.request(method, address, body=b"{}" if method != "GET" else None)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Security-Policy", ""), answer.read()


@pytest.fixture(scope="module")
def door(database, tmp_path_factory) -> Iterator[tuple[Path, int]]:
    """A dashboard for a proxy, where a dead one has left its socket: the path, and the process."""
    place = tmp_path_factory.mktemp("door")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(place / "s"))
    left.close()
    with serving(place, database, "--socket", str(place / "s")) as server:
        server.prints("read-only")
        yield place / "s", server.process.pid


def routes() -> list[tuple[str, str]]:
    """All that optuna-dashboard does to a study, by its own table: a new version may bring more."""
    import optuna

    app = wsgi(optuna.storages.InMemoryStorage(), artifact_store=FileSystemArtifactStore("."))
    return [(route.method, route.rule) for route in app.routes]


def test_behind_a_proxy_nothing_can_be_changed(door, database):
    before = database.read_bytes()
    changing = [(method, rule) for method, rule in routes() if method != "GET"]
    assert len(changing) >= 15
    for method, rule in changing:
        address = "/".join("1" if part.startswith("<") else part for part in rule.split("/"))
        status, _, said = asked(door[0], method, address)
        assert (status, b"changes nothing" in said) == (405, True)
    assert database.read_bytes() == before


def test_behind_a_proxy_studies_are_shown_and_no_port_is_open(door):
    path, pid = door
    assert b"sweet-spot" in asked(path, "GET", "/api/studies")[2]
    assert listening(pid) == set()


def test_a_browser_is_told_to_call_nobody(door):
    policy = asked(door[0], "GET", "/dashboard")[1].split(";")
    assert {"default-src 'self'", "connect-src 'self'"} <= set(policy)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_waits_for_the_first_study_and_ends_at_a_signal(number, code, tmp_path):
    with serving(tmp_path, tmp_path / "s.db", "--socket", str(tmp_path / "door")) as server:
        server.prints("no study yet; waiting for the first\n")
        search_at(tmp_path / "s.db")
        server.prints("read-only")
        assert b"sweet-spot" in asked(tmp_path / "door", "GET", "/api/studies")[2]
        assert server.end(number) == code
    assert not (tmp_path / "door").exists()


def test_it_ends_while_it_waits(tmp_path):
    with serving(tmp_path, tmp_path / "s.db", "--socket", str(tmp_path / "door")) as server:
        server.prints("no study yet")
        assert server.end(signal.SIGTERM) == 143
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(("name", "said"), [("file", "is a file that is no socket"), ("no/where", "cannot be used")])
def test_a_socket_that_cannot_be_had_is_said_and_nothing_is_lost(name, said, database, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SystemExit) as end:
        dashboard.main(["--socket", str(tmp_path / name), "--storage", url_of(database)])
    assert (end.value.code, said in capsys.readouterr().err) == (2, True)
    assert (tmp_path / "file").read_text() == "precious"


def names(tree: ast.AST) -> set[str]:
    """What a module imports, and the dotted names that it calls."""
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return imported | from_ | called


EXPLAINED = {
    "model/data/arrays.py": {"np.load"},  # without pickles, as the test below holds
    "model/data/named.py": {"pickle"},  # CIFAR's: a reader that makes arrays and nothing else, as its test holds
    "studies/file.py": {"exec"},  # the user's own file, which he names
}


def test_arrays_are_read_without_pickles():
    tree = ast.parse((ROOT / "model" / "data" / "arrays.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load"]
    assert calls
    assert all("allow_pickle=False" in ast.unparse(call) for call in calls)


@pytest.mark.parametrize("path", CODE, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_nothing_is_read_in_a_way_that_runs_code(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert names(tree) & (RUNS_CODE | CALLS) == EXPLAINED.get(path.relative_to(ROOT).as_posix(), set())
    keywords = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert "shell" not in keywords


def test_the_search_for_such_code_finds_it():
    assert names(ast.parse("import pickle\ntorch.load(x)\nfrom joblib import y")) >= {"pickle", "torch.load", "joblib"}


CALLS_OUT = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "urllib.Request")
heard: list[str] | None = None  # what the hook below has seen while somebody listens; hooks cannot be taken out again


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if heard is not None and event in CALLS_OUT:
        heard.append(f"{event} {arguments}")


@contextmanager
def listened() -> Iterator[list[str]]:
    global heard  # noqa: PLW0603  # an audit hook is global too
    if not getattr(hook, "there", False):
        sys.addaudithook(hook)
        hook.there = True  # type: ignore[attr-defined]
    heard = []
    try:
        yield heard
    finally:
        heard = None


def test_a_search_calls_nobody_and_leaves_safetensors(tmp_path):
    """MNIST is there already; fetching it is the one call, and somebody asks for it."""
    storage = storage_at(tmp_path / "s.db")
    store = open_study(storage, sweet_spot("sweet-spot", EPOCHS), 7)
    kept = Artifacts(storage, store.study, tmp_path / "kept")
    with listened() as calls:
        store.set_budget(4)
        Engine(store, tiny_mnist(), 512, Lines(store, 4, quiet), kept.keep).search(lambda: False)
        publish_all(storage, store.study)
        assert calls == []
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        assert calls != []  # it would have been heard
    files = [path for trial in store.study.trials for path in kept.files(trial, WEIGHTS)]
    assert files
    assert {path.name for path in files} == set(os.listdir(kept.directory))
    for path in files:
        with safe_open(path, "pt") as content:
            assert content.keys()
