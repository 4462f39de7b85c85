"""`search.run --workers`: real processes on real MNIST, killed and stopped while they train; few epochs."""

import os
import signal
from pathlib import Path

import pytest

from benchmarks.faults import CLEAN, audit, store_at, wait_until
from search.results.progress import progress
from search.store.storage import open_storage
from search.store.study import load_study
from search.store.url import parse_url
from search.workers.local import threads_each, worker_environment, worker_options
from tests.support.worker_pools import assert_stops_and_gives_back, at_work, worker_pool


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing(tmp_path: Path, mnist_dir: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store = store_at(url, epochs=2)
    with worker_pool(url, mnist_dir, tmp_path / "files", "--workers=2", "--trials=6") as run:
        wait_until(lambda: at_work(store))
        victim = min(at_work(store))
        assert victim != run.pid
        os.kill(victim, signal.SIGKILL)
        printed, _ = run.communicate(timeout=120)
    assert run.returncode == 0, printed
    assert f":{victim} was killed by signal 9; another starts" in printed
    assert "6/6 trials" in printed
    assert audit(store.study.trials, 6) == CLEAN


def test_stopping_the_command_stops_its_workers_and_gives_back(tmp_path: Path, mnist_dir: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store = store_at(url, epochs=2)
    with worker_pool(url, mnist_dir, tmp_path / "files", "--workers=2", "--trials=1000") as run:
        wait_until(lambda: len(at_work(store)) == 2)
        assert_stops_and_gives_back(run, store, at_work(store), 60)


def test_workers_share_the_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert threads_each(1) == cores
    assert threads_each(10_000) == 1


def test_no_password_is_an_argument_of_a_worker(url: str) -> None:
    store = store_at(url)
    assert not any("://" in option for option in worker_options(store, "cpu", Path("data"), Path("files"), 64))
    assert parse_url(worker_environment(store, 1)["SWEETSPOT_STORAGE"]) == store.storage.url


def test_the_status_tells_counts_workers_heartbeats_and_time_left(url: str) -> None:
    store = store_at(url)
    store.set_budget(5)
    first, second = store.acquire(), store.acquire()
    assert first
    assert second
    store.complete(first, 0.5, {})
    storage = open_storage(url, create=False)
    found = progress(storage, load_study(storage, "study"))
    assert (found["counts"]["finished"], found["counts"]["running"], found["counts"]["waiting"]) == (1, 1, 0)
    assert (found["budget"], found["stale"]) == (5, [])
    assert [(worker["name"], worker["trials"]) for worker in found["workers"]] == [(store.worker, [1])]
    assert 0 <= found["workers"][0]["heartbeat"] < 10
    assert found["minutes_left"] == pytest.approx(4 / found["trials_per_minute"])
