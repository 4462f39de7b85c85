"""`search.run --workers`: real processes on real MNIST, killed and stopped while they train; few epochs."""

import os
import signal
from pathlib import Path

import pytest

from benchmarks.faults import CLEAN, audit, ledger_at, wait_until
from search.crew import threads_each, worker_environment
from search.ledger import load_study
from search.run import crew_options
from search.status import state
from search.storage import open_storage, parse_url
from tests.crews import assert_stops_and_gives_back, at_work, crew


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing(tmp_path: Path, mnist_dir: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    ledger = ledger_at(url, epochs=2)
    with crew(url, mnist_dir, tmp_path / "files", "--workers=2", "--trials=6") as run:
        wait_until(lambda: at_work(ledger))
        victim = min(at_work(ledger))
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
    with crew(url, mnist_dir, tmp_path / "files", "--workers=2", "--trials=1000") as run:
        wait_until(lambda: len(at_work(ledger)) == 2)
        assert_stops_and_gives_back(run, ledger, at_work(ledger), 60)


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
