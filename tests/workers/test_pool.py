"""`search.run --workers`: real processes on real MNIST, killed and stopped while they train; few epochs."""

import os
import signal
import subprocess
import sys
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


@pytest.mark.parametrize(
    ("workers", "number"),
    [(2, signal.SIGTERM), pytest.param(2, signal.SIGHUP, marks=pytest.mark.slow), (1, signal.SIGHUP)],
)
def test_stopping_the_command_stops_its_workers_and_gives_back(
    workers: int, number: int, tmp_path: Path, mnist_dir: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store = store_at(url, epochs=2)
    with worker_pool(url, mnist_dir, tmp_path / "files", f"--workers={workers}", "--trials=1000") as run:
        wait_until(lambda: len(at_work(store)) == workers)
        assert_stops_and_gives_back(run, store, at_work(store), 60, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("terminal", [False, True])
def test_who_follows_a_study_is_ended_quietly(terminal: bool, number: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store_at(url).set_budget(3)
    command = [sys.executable, "-m", "search.status", "--watch", "--study=study", f"--storage={url}"]
    reader, writer = os.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, env=environment) as watcher:
        os.close(writer)
        printed = read_until(reader, b"0 of 3 trials finished", 2 if terminal else 1)  # a table's first is of its start
        watcher.send_signal(number)
        assert watcher.communicate(timeout=60)[1] == b""
    assert watcher.returncode == 128 + number
    if terminal:
        printed += os.read(reader, 1 << 16)
        assert printed.rindex(b"\x1b[?25h") > printed.rindex(b"\x1b[?25l")  # the cursor is to be seen again
    os.close(reader)


def read_until(reader: int, words: bytes, times: int) -> bytes:
    printed = b""
    while printed.count(words) < times:
        printed += os.read(reader, 1 << 16)
    return printed


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
