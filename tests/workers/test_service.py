"""`search.worker`: real processes on real databases that take up studies, share them, die, and are stopped."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import create_trial
from optuna_dashboard._note import get_note_from_system_attrs
from rich.console import Console

import search.store.study
from benchmarks.faults import CLEAN, Postgres, audit, execute, kill, made_up_mnist, start, store_at, wait_until
from search import run, status, stop
from search.results.progress import progress
from search.signals import Stop
from search.store.request import request_of, submit
from search.store.storage import open_storage
from search.store.study import MAX_FAILED, StudyStore
from search.workers.catalogue import Catalogue
from search.workers.service import Worker
from studies.sweet_spot import BASELINE, SPACE

SILENT = Console(quiet=True)


class Paced(Stop):
    """Makes every epoch take some time."""

    pace = 0.0

    def __call__(self) -> bool:
        signal.sigtimedwait([], self.pace)
        return super().__call__()


def catalogue() -> Catalogue:
    """The built-in study on made-up images."""
    return Catalogue(torch.device("cpu"), None, None, print, known={"mnist": made_up_mnist()})


def serve(url: str, artifacts: str, pace: float = 0.0) -> None:
    """What `search.worker` does, on made-up data."""
    logging.basicConfig(level=logging.CRITICAL)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    torch.set_num_threads(1)
    search.store.study.HEARTBEAT_SECONDS = 0.5
    search.store.study.GRACE_SECONDS = (
        20.0  # PostgreSQL's own age bounds that of a heartbeat, and a test's server is young
    )
    with Paced(None) as stop:
        stop.pace = pace
        storage = open_storage(url, create=True, stop=stop)
        Worker(storage, catalogue(), 64, Path(artifacts), SILENT, stop).serve(0.1)
    sys.exit(128 + (stop.signal or 0))


def done(store: StudyStore) -> bool:
    return not request_of(store).open


def running(store: StudyStore) -> dict[int, list[int]]:
    """Numbers of the running trials by the process that runs them."""
    found: dict[int, list[int]] = {}
    for trial in store.study.trials:
        if trial.state.name == "RUNNING" and trial.params.keys() == SPACE.keys():
            found.setdefault(int(trial.user_attrs["worker"].split(":")[-2]), []).append(trial.number)
    return found


def test_two_workers_notice_a_study_share_it_and_do_all_that_is_asked(url: str, tmp_path: Path) -> None:
    workers = [start(serve, url, str(tmp_path), pace=0.01) for _ in range(2)]
    store = store_at(url)
    submit(store, 12, 1, 2)
    wait_until(lambda: done(store), 60)
    confirmed = optuna.load_study(study_name="study/confirm", storage=store.storage.optuna)
    for worker in workers:
        worker.terminate()
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [143, 143]
    assert audit(store.study.trials, 12) == CLEAN
    assert {trial.state.name for trial in confirmed.trials} == {"COMPLETE"}
    assert "timing" in confirmed.user_attrs
    note = get_note_from_system_attrs(store.storage.optuna.get_study_system_attrs(store.study._study_id), None)
    assert note["body"].startswith("# Is 25 hidden units the sweet spot?")
    assert len({trial.user_attrs["worker"] for trial in [*store.study.trials, *confirmed.trials]}) >= 2


def test_a_worker_that_is_killed_is_survived_by_the_other(url: str, tmp_path: Path) -> None:
    store = store_at(url)
    submit(store, 8, 0, None)
    workers = {worker.pid: worker for worker in (start(serve, url, str(tmp_path), pace=0.1) for _ in range(2))}
    wait_until(lambda: len(running(store)) == 2)
    victim = next(iter(running(store)))
    kill(workers.pop(victim))
    left = f"SELECT trial_id FROM trial_user_attributes WHERE key = 'worker' AND value_json LIKE '%%:{victim}:%%'"
    execute(url, f"UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00' WHERE trial_id IN ({left})")
    wait_until(lambda: done(store), 60)
    (survivor,) = workers.values()
    survivor.terminate()
    survivor.join(20)
    assert survivor.exitcode == 143
    assert audit(store.study.trials, 8) == CLEAN
    assert any(trial.user_attrs.get("reason", "").startswith("stale") for trial in store.study.trials)


def test_a_worker_that_is_terminated_gives_its_trials_back(url: str, tmp_path: Path) -> None:
    store = store_at(url)
    submit(store, 50, 0, None)
    worker = start(serve, url, str(tmp_path), pace=0.1)
    wait_until(lambda: running(store))
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 143
    counts = store.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting >= 1
    assert request_of(store).open


def test_a_worker_waits_for_a_server_that_is_not_up_yet(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.fresh()
    store = store_at(url)
    submit(store, 2, 0, None)
    postgres.stop()
    try:
        worker = start(serve, url, str(tmp_path))
        worker.join(2)
        assert worker.is_alive()
    finally:
        postgres.start()
    wait_until(lambda: done(store), 60)
    kill(worker)


def foreign(url: str) -> StudyStore:
    store = store_at(url, name="foreign")
    store.study.set_user_attr("fingerprint", {**store.study.user_attrs["fingerprint"], "batch": 7})
    return store


def corrupt(url: str) -> StudyStore:
    store = store_at(url, name="corrupt")
    store.study.set_user_attr("fingerprint", "nonsense")
    return store


def diverging(url: str) -> StudyStore:
    store = store_at(url, name="diverging")
    trial = create_trial(
        state=optuna.trial.TrialState.FAIL,
        params=BASELINE,
        distributions=SPACE,
        user_attrs={"reason": "diverged in epoch 1"},
    )
    store.study.add_trials([trial] * (MAX_FAILED + 1))
    return store


class Until(Stop):
    """Stops when a study is done, after some more looks around."""

    def __init__(self, store: StudyStore, looks: int) -> None:
        super().__init__(60)
        self.store = store
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= done(self.store)
        return self.looks < 0 or super().__call__()


def test_studies_it_cannot_work_on_are_said_once_and_stop_no_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    wrong = [make(url) for make in (foreign, corrupt, diverging)]
    good = store_at(url)
    for store in (*wrong, good):
        submit(store, 2, 0, None)
    nonsense = store_at(url, name="nonsense")
    submit(nonsense, 2, 0, None)
    execute(url, "UPDATE study_user_attributes SET value_json = '{' WHERE key = 'budget' AND study_id = 5")
    Worker(open_storage(url, create=False), catalogue(), 64, tmp_path, SILENT, Until(good, 20)).serve(0.1)
    assert audit(good.study.trials, 2) == CLEAN
    said = [record.message for record in caplog.records if "is left alone" in record.message]
    assert [message.split("'")[1] for message in said] == ["foreign", "corrupt", "diverging", "nonsense"]
    assert "has batch 7, you ask for 1028" in said[0]
    assert "diverged, the last: diverged in epoch 1" in progress(good.storage, wrong[2].study)["trouble"]
    submit(wrong[0], 2, 0, None)  # asked for again, it is tried again
    assert wrong[0].study.user_attrs["trouble"] is None


def call(main: Callable[[Sequence[str]], object], *arguments: str) -> None:
    """Run a command in this process; it must end well."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code


def test_the_commands_detach_work_stop_join_and_follow(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it as users do it, on real MNIST; the worker is there before the database."""
    url, data = f"sqlite:///{tmp_path}/study.db", f"--data-dir={mnist_dir}"
    place_of, small, name = f"--storage={url}", "--fleet-size=16", "--study=study"
    service = [sys.executable, "-m", "search.worker", place_of, data, small, "--poll=0.2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(service, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        while "waiting for studies" not in worker.stdout.readline():
            assert worker.poll() is None
        asked = ("--detach", "--trials=1000", "--epochs=2", "--confirm-seeds=0", "--json")
        call(run.main, *asked, name, place_of)
        document = json.loads(capsys.readouterr().out)
        assert (document["study"], document["budget"]) == ("study", 1000)
        assert document["follow"] == f"python -m search.status --watch --study study --storage {url}"
        store = store_at(url, epochs=2)
        wait_until(lambda: running(store) and store.counts().finished)
        call(stop.main, "study", "--json", place_of)
        stopped, finished = json.loads(capsys.readouterr().out), store.budget()
        assert stopped["counts"]["finished"] == finished == store.counts().finished
        assert stopped["counts"]["running"] == stopped["still_running"] == 0
        call(stop.main, "study", place_of)
        assert f"nothing to stop: study 'study' has ended, with {finished} " in capsys.readouterr().out
        call(status.main, "--watch", name, place_of)
        assert capsys.readouterr().out.endswith("; stopped\n")
        call(run.main, f"--trials={finished + 4}", name, data, small, place_of)
        wait_until(lambda: done(store))
        worker.send_signal(signal.SIGTERM)
        printed = worker.stdout.read()
    assert worker.returncode == 143
    assert "study 'study' is called off by search.stop" in printed
    assert audit(store.study.trials, finished + 4) == CLEAN
