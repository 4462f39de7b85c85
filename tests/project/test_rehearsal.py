"""docker-compose.yml in action: its services as local processes, a study through them, and nobody uninvited."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import ROOT
from tests.support.containers import Engine, Running, until, why_not

TRIALS, EPOCHS, WORKERS = 3, 4, 2
STUDY = ("--study", "rehearsal")
REASON = why_not()
pytestmark = pytest.mark.skipif(REASON != "", reason=REASON)
WITH_PASSWORD = "PGPASSWORD=$(cat $SWEETSPOT_STORAGE_PASSWORD_FILE)"
BROWSER = """
import base64, sys, urllib.error, urllib.request
method, address, login = sys.argv[1:]
headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
try:
    with urllib.request.urlopen(urllib.request.Request(address, method=method, headers=headers)) as answer:
        print(answer.status, answer.read().decode("latin-1"))
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode("latin-1"))
"""


class Rehearsal:
    """The services after a study: who still runs, and what they hold."""

    def __init__(self, place: Path, secrets: Path) -> None:
        self.secrets = secrets
        self.engine = Engine(place, secrets)
        self.login = f"sweetspot:{(secrets / 'login').read_text().strip()}"
        self.passwords = [path.read_text().strip() for path in secrets.iterdir()]
        self.services: list[Running] = []
        self.taken: dict[str, int] = {}  # what trained which trial when a worker was told to end

    def start(self) -> None:
        """Workers first: they are to wait for the database by themselves."""
        self.services = [self.engine.run("worker") for _ in range(WORKERS)]
        self.services.append(self.engine.run("database"))
        until(lambda: self.engine.healthy("database"))
        self.services += [self.engine.run("dashboard"), self.engine.run("proxy")]

    def submit(self) -> None:
        options = ("--epochs", str(EPOCHS), "--confirm-seeds", "0", "--trials", str(TRIALS))
        self.engine.output("worker", "search.run", "--detach", *options, *STUDY)

    def follow(self) -> None:
        self.engine.output("worker", "search.status", "--watch", *STUDY)

    def workers_of(self, trials: str) -> dict[str, int]:
        """The process that each of these trials is or was trained by; `trials` is a condition in SQL."""
        named = "SELECT number, value_json FROM trials JOIN trial_user_attributes USING (trial_id)"
        lines = self.sql("sweetspot", f"{named} WHERE key = 'worker' AND {trials}").splitlines()
        return {number: int(worker.split(":")[-2]) for number, worker in (line.split("|") for line in lines)}

    def interrupt(self) -> None:
        """End a worker that trains, as `docker compose up --scale worker=1` does."""
        until(lambda: self.workers_of("state = 'RUNNING'"))
        self.taken = self.workers_of("state = 'RUNNING'")
        self.gone = next(running for running in self.services if running.pid in self.taken.values())
        self.gone.tell()
        self.gone.outer.wait(grace(self, "worker"))

    def sql(self, role: str, statement: str) -> str:
        """What PostgreSQL says to a role, asked from the container that has its password."""
        service = {"sweetspot": "worker"}.get(role, role)
        ask = (
            f'PGPASSWORD=$(cat $SWEETSPOT_STORAGE_PASSWORD_FILE) psql -Atc "$0" -h database -U {role} sweetspot 2>&1; :'
        )
        return self.engine.output(service, statement, entrypoint=("sh", "-c", ask)).strip()

    def ask(self, path: str, login: str = "", method: str = "GET") -> tuple[int, str]:
        """What a browser on this machine gets."""
        said = self.engine.outside(sys.executable, "-c", BROWSER, method, f"http://127.0.0.1:8080{path}", login)
        code, _, body = said.partition(" ")
        return int(code), body


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """What the documented command makes, in a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "secrets.sh", tree / "deploy")
    subprocess.run(["sh", tree / "deploy" / "secrets.sh"], check=True, capture_output=True)
    return tree / "secrets"


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory, secrets, mnist_dir) -> Iterator[Rehearsal]:
    started = Rehearsal(tmp_path_factory.mktemp("compose"), secrets)
    shutil.copytree(mnist_dir, started.engine.volume("data"), dirs_exist_ok=True)
    try:
        started.start()
        started.submit()
        started.interrupt()
        started.follow()
        yield started
    finally:
        started.engine.down()


def test_the_study_has_its_exact_budget(rehearsal):
    counted = rehearsal.sql("sweetspot", "SELECT state IN ('COMPLETE', 'PRUNED'), count(*) FROM trials GROUP BY 1")
    assert counted == f"t|{TRIALS}"


def test_a_worker_that_was_stopped_gave_back_what_another_finished(rehearsal):
    assert rehearsal.gone.outer.returncode == 143
    assert "open trials are given back" in rehearsal.gone.text()
    (other,) = [running.pid for running in rehearsal.services if running.name == "worker" and running != rehearsal.gone]
    last = rehearsal.workers_of("true")
    assert {last[number] for number, worker in rehearsal.taken.items() if worker == rehearsal.gone.pid} == {other}


def test_the_dashboard_asks_for_a_name_and_a_password(rehearsal):
    until(lambda: rehearsal.ask("/api/studies", rehearsal.login)[0] == 200)
    assert rehearsal.ask("/api/studies")[0] == 401
    assert rehearsal.ask("/api/studies", "sweetspot:wrong")[0] == 401
    assert "rehearsal" in rehearsal.ask("/api/studies", rehearsal.login)[1]
    assert "<title>Optuna Dashboard" in rehearsal.ask("/dashboard", rehearsal.login)[1]


def test_it_shows_the_weights_that_a_worker_has_left(rehearsal):
    trial, key = rehearsal.sql(
        "dashboard", "SELECT trial_id, key FROM trial_system_attributes WHERE key LIKE 'artifacts:%' LIMIT 1"
    ).split("|")
    code, body = rehearsal.ask(f"/artifacts/1/{trial}/{key.removeprefix('artifacts:')}", rehearsal.login)
    assert (code, "init_seed" in body) == (200, True)


def test_nobody_changes_anything_through_it(rehearsal):
    code, said = rehearsal.ask("/api/studies/1", rehearsal.login, "DELETE")
    assert (code, "changes nothing" in said) == (405, True)
    deleting = "DELETE FROM studies"
    assert "read-only transaction" in rehearsal.sql("dashboard", deleting)
    for statement in (deleting, "CREATE TABLE mine()"):
        assert "permission denied" in rehearsal.sql("dashboard", f"SET transaction_read_only = off; {statement}")
    assert "denied" in rehearsal.sql("sweetspot", "CREATE ROLE another")
    assert rehearsal.sql("sweetspot", "SELECT count(*) FROM studies") == "1"


def test_only_the_database_and_the_proxy_listen(rehearsal):
    """On the network that services share; only the proxy's port is published (tests/project/test_compose.py)."""
    lines = rehearsal.engine.outside("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
    listening = {int(line.split()[1].rpartition(":")[2], 16) for line in lines if line.split()[3] == "0A"}
    assert listening == {5432, 8080}


def test_no_password_is_in_arguments_environments_logs_database_or_files(rehearsal):
    seen = [
        path.read_bytes()
        for process in rehearsal.services
        if process is not rehearsal.gone
        for path in Path(f"/proc/{process.pid}").glob("*")
        if path.name in ("cmdline", "environ")
    ]
    seen += [running.log.read_bytes() for running in rehearsal.engine.started]
    seen += [path.read_bytes() for path in rehearsal.engine.volume("artifacts").rglob("*") if path.is_file()]
    dump = f"{WITH_PASSWORD} pg_dump -h database -U sweetspot sweetspot"
    dumped = rehearsal.engine.run("worker", entrypoint=("sh", "-c", dump))
    assert dumped.outer.wait(30) == 0
    assert "CREATE TABLE" in dumped.text()
    assert len(rehearsal.passwords) == 5
    for password in rehearsal.passwords:
        assert not any(password.encode() in text for text in [*seen, dumped.log.read_bytes()])


def test_a_signal_ends_all_within_their_grace(rehearsal):
    """The last one: nothing runs afterwards."""
    *others, database = sorted(rehearsal.services, key=lambda running: running.name == "database")
    for running in others:
        if running is not rehearsal.gone:
            running.tell()
    codes = {(running.name, running.outer.wait(grace(rehearsal, running.name))) for running in others}
    assert codes == {("worker", 143), ("dashboard", 143), ("proxy", 0)}
    database.tell()
    assert database.outer.wait(grace(rehearsal, "database")) == 0


def grace(rehearsal: Rehearsal, name: str) -> float:
    said = rehearsal.engine.file["services"][name].get("stop_grace_period", "10s")
    return float(re.fullmatch(r"(\d+)s", said)[1])
