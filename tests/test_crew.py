"""`search.run --workers`: real processes on real MNIST, killed and stopped while they train; few epochs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial

from benchmarks.faults import audit, ledger_at, wait_until
from search.crew import threads_each, worker_environment
from search.ledger import Ledger, load_study
from search.run import crew_options
from search.status import state
from search.storage import open_storage, parse_url

CLEAN = {"lost": 0, "duplicated": 0, "over budget": 0}


@contextmanager
def crew(url: str, data: Path, trials: int) -> Iterator["subprocess.Popen[str]"]:
    """The command as a user starts it, with two workers; it is ended with the block."""
    options = [
        "--workers=2",
        f"--trials={trials}",
        "--study=study",
        "--epochs=2",
        "--confirm-seeds=0",
        "--fleet-size=16",
    ]
    command = [sys.executable, "-m", "search.run", *options, f"--storage={url}", f"--data-dir={data}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.kill()


def running(ledger: Ledger) -> list[FrozenTrial]:
    return [trial for trial in ledger.study.trials if trial.state.name == "RUNNING" and "worker" in trial.user_attrs]


def pid_of(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["worker"].split(":")[-2])


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing(tmp_path: Path, mnist_dir: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    ledger = ledger_at(url, epochs=2)
    with crew(url, mnist_dir, 6) as run:
        wait_until(lambda: running(ledger))
        victim = pid_of(running(ledger)[0])
        assert victim != run.pid
        os.kill(victim, signal.SIGKILL)
        printed, _ = run.communicate(timeout=120)
    assert run.returncode == 0, printed
    assert f":{victim} was killed by signal 9; another starts" in printed
    assert "6/6 trials" in printed
    assert audit(ledger.study.trials, 6) == CLEAN


def test_stopping_the_command_stops_its_workers_and_gives_back(tmp_path: Path, mnist_dir: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    ledger = ledger_at(url, epochs=2)
    with crew(url, mnist_dir, 1000) as run:
        wait_until(lambda: len({pid_of(trial) for trial in running(ledger)}) == 2)
        pids = {pid_of(trial) for trial in running(ledger)}
        run.send_signal(signal.SIGTERM)
        printed, _ = run.communicate(timeout=60)
    assert run.returncode == 143, printed
    counts = ledger.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting > 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_share_the_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert threads_each(1) == cores
    assert threads_each(10_000) == 1


def test_no_password_is_an_argument_of_a_worker(url: str) -> None:
    ledger = ledger_at(url)
    assert not any("://" in option for option in crew_options(ledger, "cpu", Path("data"), Path("files"), 64))
    assert parse_url(worker_environment(ledger, 1)["SWEETSPOT_STORAGE"]) == ledger.storage.url


def test_the_status_tells_counts_workers_heartbeats_and_time_left(url: str) -> None:
    ledger = ledger_at(url)
    ledger.aim(5)
    first, second = ledger.claim(), ledger.claim()
    assert first
    assert second
    ledger.complete(first, 0.5, {})
    storage = open_storage(url, create=False)
    found = state(storage, load_study(storage, "study"))
    assert (found["counts"]["finished"], found["counts"]["running"], found["counts"]["waiting"]) == (1, 1, 0)
    assert (found["budget"], found["stale"]) == (5, [])
    assert [(worker["name"], worker["trials"]) for worker in found["workers"]] == [(ledger.worker, [1])]
    assert 0 <= found["workers"][0]["heartbeat"] < 10
    assert found["minutes_left"] == pytest.approx(4 / found["trials_per_minute"])
