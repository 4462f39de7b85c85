"""A whole `search.run`, killed beside its search's end and in rounds of its confirmation: nothing is lost, or twice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import FrozenTrial

from benchmarks.faults import execute, wait_until
from search.report import main as report
from search.store.queue import fail_stale
from search.store.storage import open_storage
from search.store.study import process_name
from search.verdict.rounds import ROUNDS
from tests.support.commands import said
from tests.support.own_study import written

OPTIONS = ("--epochs=60", "--confirm-epochs=30", "--confirm-seeds=13", "--seed=1")
SEARCH, CONFIRMATION = "digits-study", "digits-study/confirm"

pytestmark = pytest.mark.slow


def started(file: Path, url: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "search.run", str(file), *OPTIONS, f"--trials={count}", f"--storage={url}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(file: Path, url: str, count: int = 6) -> None:
    with started(file, url, count) as run:
        printed, _ = run.communicate(timeout=300)
    assert run.returncode == 0, printed


def kill_when(file: Path, url: str, so: Callable[[], object], count: int = 6) -> None:
    """Start the command, kill it when something is so, and let nobody wait for its heartbeats."""
    with started(file, url, count) as run:
        wait_until(lambda: so() or run.poll() is not None, 300)
        assert run.poll() is None, "it ended before it was killed"
        os.kill(run.pid, signal.SIGKILL)
    storage = open_storage(url, create=False)
    for name in (SEARCH, CONFIRMATION):
        fail_stale(storage, optuna.load_study(study_name=name, storage=storage.optuna), dead=process_name(run.pid))


def trials(url: str, name: str, state: str) -> list[FrozenTrial]:
    study = optuna.load_study(study_name=name, storage=url)
    return [trial for trial in study.get_trials() if trial.state.name == state]


def asked(url: str, what: str, name: str, more: str) -> list[Any]:
    """Ask the database itself, which is soon done: a moment to kill at may be short."""
    try:
        return execute(url, f"SELECT {what} JOIN studies USING (study_id) WHERE study_name = '{name}' AND {more}")
    except sa.exc.OperationalError:  # there are no tables yet, or no file
        return []


def count(url: str, name: str, state: str) -> int:
    return len(asked(url, "trial_id FROM trials", name, f"state = '{state}'"))


def rounds(url: str) -> int:
    stored = asked(url, "value_json FROM study_user_attributes", CONFIRMATION, f"key = '{ROUNDS}'")
    return len(json.loads(stored[0][0])["rounds"]) if stored else 0


def runs(url: str) -> list[tuple[Any, ...]]:
    """Return what the runs of the confirmation that ended are of, and their values."""
    attrs = [(trial.user_attrs, trial) for trial in trials(url, CONFIRMATION, "COMPLETE")]
    return sorted((str(t.params), each["protocol"], each["seed_index"], t.value) for each, t in attrs)


def test_killed_in_the_first_round_and_in_a_later_one_it_ends_as_if_it_had_not_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path)
    whole, killed = (f"sqlite:///{tmp_path}/{name}.db" for name in ("whole", "killed"))
    finish(file, whole)
    kill_when(file, killed, lambda: rounds(killed) >= 1 and count(killed, CONFIRMATION, "COMPLETE") > 20)
    kill_when(file, killed, lambda: rounds(killed) >= 2 and count(killed, CONFIRMATION, "RUNNING"))
    finish(file, killed)
    assert runs(killed) == runs(whole)
    verdicts = [said(report, capsys, f"--study={SEARCH}", f"--storage={url}")["claims"] for url in (whole, killed)]
    assert verdicts[0] == verdicts[1]


def test_killed_while_it_trains_beside_the_search_it_goes_on_and_nothing_is_twice(tmp_path: Path) -> None:
    file, url = written(tmp_path), f"sqlite:///{tmp_path}/s.db"
    both = (SEARCH, CONFIRMATION)  # of one trial, which leaves the other fleet empty from its beginning
    kill_when(file, url, lambda: all(count(url, name, "RUNNING") for name in both), 1)
    finish(file, url, 1)
    assert len(trials(url, SEARCH, "COMPLETE")) == 1
    assert not trials(url, CONFIRMATION, "RUNNING")
    seen = [run[:3] for run in runs(url)]
    assert len(seen) == len(set(seen))
    assert {seed for *_, seed in seen} >= set(range(10))
