"""`search.run --ray`: a real Ray cluster of several nodes on this machine, one of which dies while it trains."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from benchmarks.faults import Postgres, audit, ledger_at, wait_until
from search.cluster import Cluster
from search.errors import UsageError
from search.ledger import Ledger

CLEAN = {"lost": 0, "duplicated": 0, "over budget": 0}
SECRET = "open-sesame"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that takes no work, and two nodes with room for one worker each."""
    environment = pytest.MonkeyPatch()
    environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
    environment.setenv("RAY_TMPDIR", tempfile.mkdtemp(prefix="ray"))  # short, for its sockets; and no other's `auto`
    from ray.cluster_utils import Cluster as SeveralNodes

    made = SeveralNodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()
    environment.undo()


def command(cluster: str, data: Path, *options: str) -> list[str]:
    fixed = ["--study=study", "--epochs=2", "--confirm-seeds=0", "--fleet-size=16", f"--data-dir={data}"]
    return [sys.executable, "-m", "search.run", f"--ray={cluster}", *fixed, *options]


@contextmanager
def started(url: str, arguments: Sequence[str], files: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command as a user starts it; it is ended with the block."""
    environment = {**os.environ, "SWEETSPOT_STORAGE": url, "SWEETSPOT_ARTIFACTS": str(files)}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.kill()


def running(ledger: Ledger) -> dict[str, FrozenTrial]:
    """A running trial of each worker, by the worker's name."""
    trials = [trial for trial in ledger.study.trials if trial.state.name == "RUNNING"]
    return {trial.user_attrs["worker"]: trial for trial in trials if "worker" in trial.user_attrs}


def test_a_node_is_lost_and_the_budget_comes_out_exact(
    cluster: Any, postgres: Postgres, mnist_dir: Path, tmp_path: Path
) -> None:
    """And nobody sees the password: not in arguments, not in what is printed, not in Ray's files."""
    url = postgres.fresh()
    ledger = ledger_at(url, epochs=2)
    secret = url.replace("//postgres@", f"//postgres:{SECRET}@")
    with started(secret, command(cluster.address, mnist_dir, "--workers=2", "--trials=8"), tmp_path) as run:
        wait_until(lambda: len(running(ledger)) == 2, 240)
        arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1)
        printed, _ = run.communicate(timeout=400)
    assert run.returncode == 0, printed
    assert "was killed by signal 9; another starts" in printed
    assert "8/8 trials" in printed
    assert audit(ledger.study.trials, 8) == CLEAN
    logs = [path for path in Path(cluster.head_node.get_logs_dir_path()).rglob("*") if path.is_file()]
    texts = [arguments, printed, *(path.read_text(errors="replace") for path in logs)]
    assert "search.run" in arguments
    assert len(logs) > 5
    assert not [text for text in texts if SECRET in text]


def test_stopping_the_command_stops_its_workers_and_gives_back(
    cluster: Any, postgres: Postgres, mnist_dir: Path, tmp_path: Path
) -> None:
    """A third worker finds no room, and does not keep the command from its end."""
    url = postgres.fresh()
    ledger = ledger_at(url, epochs=2)
    with started(url, command(cluster.address, mnist_dir, "--workers=3", "--trials=1000"), tmp_path) as run:
        wait_until(lambda: len(running(ledger)) == 2, 240)
        pids = [int(name.split(":")[-2]) for name in running(ledger)]
        run.terminate()
        printed, _ = run.communicate(timeout=400)
    assert run.returncode == 143, printed
    counts = ledger.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting > 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.cluster.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"install it with: pip install 'sweetspot\[ray\]'"):
        Cluster("auto", 1, 0)
