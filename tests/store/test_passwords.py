"""A database that asks for a password: four ways to give it, and what is said when it is wrong."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from benchmarks.faults import Postgres, execute, execute_outside, store_at
from search import status
from search.errors import StorageError
from search.store.storage import open_storage
from search.store.url import PASSWORD, PASSWORD_FILE
from search.workers.local import LocalWorker, worker_environment, worker_options


def call(line: str) -> int:
    with pytest.raises(SystemExit) as end:
        status.main(line.split(" "))
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> str:
    """The URL, without its password, of a user whom the server asks for one."""
    execute(postgres.url(), "CREATE ROLE guest LOGIN PASSWORD 'p@ss/w:rd#1%%'")
    rules = Path(str(postgres.server.pgdata)) / "pg_hba.conf"
    rules.write_text("local all guest scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
    execute(postgres.url(), "SELECT pg_reload_conf()")
    execute_outside(postgres.url(), "CREATE DATABASE guarded OWNER guest")
    _wait_until_refused(postgres.url("guarded", user="guest"))
    return postgres.url("guarded", user="guest")


def _wait_until_refused(url: str) -> None:
    """Poll, bounded, until the server asks for a password: it reads its rules again in its own time."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            execute(url, "SELECT 1")
        except OperationalError:
            return
        time.sleep(0.05)
    raise AssertionError("the server did not read its new rules within a minute")


def test_a_wrong_and_a_missing_password_are_told_apart(
    guarded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    assert call(f"--storage {guarded}") == 1
    assert "no password supplied; set SWEETSPOT_STORAGE_PASSWORD, PGPASSWORD or PGPASSFILE" in capsys.readouterr().err
    monkeypatch.setenv(PASSWORD, "hush")
    assert call(f"--storage {guarded}") == 1
    said = capsys.readouterr().err
    assert 'password authentication failed for user "guest"; check SWEETSPOT_STORAGE_PASSWORD' in said
    assert "hush" not in said


@pytest.mark.parametrize("place", ["localhost:1", "no.such.host.invalid", "SOCKET"])
def test_no_exception_holds_the_password(place: str, guarded: str) -> None:
    """Neither its text nor that of what caused it, which -v and a debugger show."""
    url = f"postgresql://guest:hunter2@{place}/guarded"
    if place == "SOCKET":
        url = guarded.replace("guest@", "guest:hunter2@")
    with pytest.raises(StorageError) as caught:
        open_storage(url, create=False)
    text = "".join(traceback.format_exception(caught.value))
    assert "guest" in text
    assert "hunter2" not in text
    assert "hunter2" not in repr(caught.value)


def test_the_password_is_handed_to_workers_where_no_argument_shows_it(guarded: str) -> None:
    """The environment of a process is its user's; its arguments are everybody's."""
    store = store_at(guarded.replace("guest@", "guest:p@ss/w:rd#1%@"))
    options = worker_options(store, "cpu", Path("data"), Path("artifacts"), None)
    worker = LocalWorker(options, worker_environment(store, 1))
    try:
        seen = psutil.Process(worker.pid)
        assert "--data-dir=data" in seen.cmdline()
        assert not any("ss/w" in word or "ss%2Fw" in word for word in seen.cmdline())
        assert "ss%2Fw" in seen.environ()["SWEETSPOT_STORAGE"]
    finally:
        worker.kill()
        worker.wait()


def by_our_variable(patch: pytest.MonkeyPatch, _directory: Path) -> None:
    patch.setenv(PASSWORD, "p@ss/w:rd#1%")


def by_our_file(patch: pytest.MonkeyPatch, directory: Path) -> None:
    (directory / "secret").write_text("p@ss/w:rd#1%\n", encoding="utf-8")
    patch.setenv(PASSWORD_FILE, str(directory / "secret"))


def by_libpq(patch: pytest.MonkeyPatch, _directory: Path) -> None:
    patch.setenv("PGPASSWORD", "p@ss/w:rd#1%")


def by_pgpass(patch: pytest.MonkeyPatch, directory: Path) -> None:
    (directory / "pgpass").write_text("*:*:*:guest:p@ss/w\\:rd#1%\n", encoding="utf-8")
    (directory / "pgpass").chmod(0o600)
    patch.setenv("PGPASSFILE", str(directory / "pgpass"))


@pytest.mark.parametrize("give", [by_our_variable, by_our_file, by_libpq, by_pgpass])
def test_the_password_may_come_from_elsewhere(
    give: Callable[[pytest.MonkeyPatch, Path], None], guarded: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    give(monkeypatch, tmp_path)
    assert open_storage(guarded, create=True).engine.dialect.name == "postgresql"


def test_the_password_may_stand_in_the_url_as_it_is(guarded: str) -> None:
    url = guarded.replace("guest@", "guest:p@ss/w:rd#1%@").replace("postgresql:", "postgres:")
    assert open_storage(url, create=True).engine.dialect.name == "postgresql"
