"""`search.run` with several workers, as a user starts it: shared by the tests of crews here and on Ray's nodes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.store.study import StudyStore


@contextmanager
def worker_pool(url: str, data: Path, files: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The command, for a study of small trials; it is ended with the block."""
    study = ["--study=study", "--epochs=2", "--confirm-seeds=0", "--fleet-size=16"]
    command = [sys.executable, "-m", "search.run", *study, f"--data-dir={data}", f"--artifact-dir={files}", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SWEETSPOT_STORAGE": url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.kill()


def at_work(store: StudyStore) -> set[int]:
    """The process ids of the workers that train."""
    trials = [trial for trial in store.study.trials if trial.state.name == "RUNNING" and "worker" in trial.user_attrs]
    return {int(trial.user_attrs["worker"].split(":")[-2]) for trial in trials}


def assert_stops_and_gives_back(
    run: "subprocess.Popen[str]", store: StudyStore, pids: set[int], seconds: float, number: int = signal.SIGTERM
) -> None:
    """A signal ends the command and these workers; every open trial waits again.

    SIGHUP comes twice, as from a terminal that closes and from its shell.
    """
    run.send_signal(number)
    if number == signal.SIGHUP:
        assert run.stdout is not None
        assert any("stopping after this epoch" in line for line in run.stdout)
        run.send_signal(number)
    printed, _ = run.communicate(timeout=seconds)
    assert run.returncode == 128 + number, printed
    counts = store.counts()
    assert (counts.running, counts.failed) == (0, 0)
    assert counts.waiting > 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
