"""The commands as a user runs them: real MNIST, a real SQLite file, real signals; few epochs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa

from model.rounding import rounding
from search import baseline, best, rerun, run
from search.best import best_trial
from search.errors import NotFoundError
from search.store.storage import open_storage
from search.store.study import load_study
from tests.support.cards import needs_cuda

Main = Callable[[Sequence[str]], object]
TRIALS, EPOCHS = 4, 2


def call(main: Main, *arguments: object) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, mnist_dir: Path) -> str:
    """A finished study of a few short trials."""
    storage = f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db"
    arguments = ["--trials", TRIALS, "--epochs", EPOCHS, "--storage", storage, "--data-dir", mnist_dir]
    assert call(run.main, *arguments, "--device", "cpu", "--confirm-seeds", 0) == 0
    return storage


def test_a_run_leaves_exactly_the_trials_asked_for(url: str) -> None:
    trials = optuna.load_study(study_name="sweet-spot", storage=url).trials
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials)


def test_the_baseline_is_trial_0_and_was_never_pruned(url: str) -> None:
    trials = optuna.load_study(study_name="sweet-spot", storage=url).trials
    assert trials[0].params == {"hidden_units": 25, "lr": 0.02}
    assert trials[0].state.name == "COMPLETE"
    assert [trial.user_attrs.get("baseline", False) for trial in trials] == [True, False, False, False]


def test_every_trial_stores_its_figures_and_its_replay(url: str) -> None:
    figures = {"parameters", "epochs", "train_accuracy", "train_loss", "val_accuracy", "val_loss", "gap", "seconds"}
    replay = {
        "init_seed",
        "order_seed",
        "first_epoch",
        "batch",
        "threads",
        "device",
        "torch",
        "sweetspot",
        "cpu",
        "instructions",
        "mkl",
    }
    rounding_here = {"cpu", "instructions", "mkl"}
    before = {"before_accuracy", "before_loss"}
    for trial in optuna.load_study(study_name="sweet-spot", storage=url).trials:
        assert figures | replay | rounding_here | before <= trial.user_attrs.keys()
        assert trial.user_attrs["gap"] == pytest.approx(trial.user_attrs["train_accuracy"] - trial.value)
        assert trial.value == trial.intermediate_values[trial.user_attrs["epochs"]]


def test_a_finished_study_goes_straight_to_the_summary(
    url: str, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--trials", TRIALS, "--storage", url, "--data-dir", mnist_dir, "--confirm-seeds", 0]
    assert call(run.main, *arguments, "--json") == 0
    printed = capsys.readouterr()
    assert "already has 4 finished trials" in printed.err
    assert json.loads(printed.out)["counts"]["finished"] == TRIALS


def test_another_length_of_training_is_refused_with_both(
    url: str, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--trials", 9, "--epochs", 3, "--storage", url, "--data-dir", mnist_dir]
    assert call(run.main, *arguments) == 2
    assert "epochs 2, you ask for 3" in capsys.readouterr().err


def test_best_json_is_the_best_completed_trial(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(best.main, "--storage", url, "--json") == 0
    trial = json.loads(capsys.readouterr().out)
    keys = {"number", "value", "params", "baseline", "user_attrs", "state", "datetime_complete"}
    assert trial.keys() == keys
    assert trial["value"] == optuna.load_study(study_name="sweet-spot", storage=url).best_value
    assert trial == best_trial(url)


def test_best_top_is_sorted_and_holds_completed_trials_only(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(best.main, "--storage", url, "--json", "--top", 50) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [t["value"] for t in trials] == sorted((t["value"] for t in trials), reverse=True)
    assert {t["state"] for t in trials} == {"COMPLETE"}


def test_best_says_what_is_missing_and_creates_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(best.main, "--storage", f"sqlite:///{tmp_path}/none.db") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_best_names_the_studies_there_are(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(best.main, "--storage", url, "--study", "other") == 1
    assert "there are: sweet-spot" in capsys.readouterr().err


@pytest.mark.parametrize("number", range(TRIALS))
def test_every_trial_reruns_identically(
    number: int, url: str, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [number, "--storage", url, "--data-dir", mnist_dir, "--device", "cpu", "--json"]
    assert call(rerun.main, *arguments) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "identical"


@pytest.mark.parametrize(("shift", "verdict", "code"), [(0.0001, "within seed noise", 0), (-0.5, "different", 1)])
def test_rerun_tells_noise_from_a_difference(  # noqa: PLR0917
    shift: float, verdict: str, code: int, url: str, mnist_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    with sa.create_engine(url).connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))
    with sa.create_engine(f"sqlite:///{copy}").begin() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_user_attributes SET value_json = value_json + ? WHERE key = 'val_accuracy' AND trial_id = 1",
            (shift,),
        )
        connection.exec_driver_sql(
            "UPDATE trial_user_attributes SET value_json = '\"another\"' WHERE key = 'cpu' AND trial_id = 1"
        )
    arguments = [0, "--storage", f"sqlite:///{copy}", "--data-dir", mnist_dir, "--device", "cpu", "--json"]
    assert call(rerun.main, *arguments) == code
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == verdict
    assert found["rounds_otherwise"] == {"cpu": ["another", rounding()["cpu"]]}


def test_the_baseline_prints_article_and_ours_and_stores_a_study(
    url: str, mnist_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "grid.png"
    arguments = ["--epochs", 1, "--seeds", 2, "--storage", url, "--data-dir", mnist_dir, "--plot", picture]
    assert call(baseline.main, *arguments) == 0
    printed = capsys.readouterr().out
    assert "13.33%" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    study = optuna.load_study(study_name="sweet-spot/baseline", storage=url)
    assert len(study.trials) == 2
    assert {trial.user_attrs["score_on"] for trial in study.trials} == {"test"}
    assert study.trials[0].value != study.trials[1].value


@pytest.mark.slow
def test_a_run_that_is_interrupted_gives_back_and_is_resumed(tmp_path: Path, mnist_dir: Path) -> None:
    options = ["--trials", "3", "--epochs", "4", "--confirm-seeds", "0", "--fleet-size", "16"]
    options += ["--storage", _url(tmp_path), "--data-dir", str(mnist_dir)]
    command = [sys.executable, "-m", "search.run", *options]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}) as job:
            assert job.stdout is not None
            _wait_until_running(_url(tmp_path))
            job.send_signal(number)
            assert "given back" in job.stdout.read()
        assert job.returncode == code
        states = [t.state.name for t in optuna.load_study(study_name="sweet-spot", storage=_url(tmp_path)).trials]
        assert "RUNNING" not in states
    assert call(run.main, *options) == 0
    trials = optuna.load_study(study_name="sweet-spot", storage=_url(tmp_path)).trials
    assert sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials) == 3
    assert len({tuple(trial.params.values()) for trial in trials}) == len(trials)


@pytest.mark.skipif(os.name != "posix", reason="no terminals of this kind here")
@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_gives_back_unless_nobody_is_to_notice(tmp_path: Path, mnist_dir: Path, nohup: bool) -> None:
    options = ["--trials", "2", "--epochs", "3", "--confirm-seeds", "0", "--fleet-size", "16", "--device", "cpu"]
    options += ["--storage", _url(tmp_path), "--data-dir", str(mnist_dir)]
    command = [*(["nohup"] if nohup else []), sys.executable, "-m", "search.run", *options]
    ours, theirs = os.openpty()
    take = [sys.executable, "-c", "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
            "os.execvp(sys.argv[1], sys.argv[1:])"]  # fmt: skip
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen([*take, *command], **streams, start_new_session=True, cwd=tmp_path) as job:
        os.close(theirs)
        _wait_until_running(_url(tmp_path))
        os.close(ours)  # the kernel sends SIGHUP
        assert job.wait(60) == (0 if nohup else 128 + signal.SIGHUP)
    states = [t.state.name for t in optuna.load_study(study_name="sweet-spot", storage=_url(tmp_path)).trials]
    assert "RUNNING" not in states
    assert ("WAITING" in states) != nohup


def test_optunas_own_command_line_reads_the_study(url: str) -> None:
    command = [Path(sys.executable).with_name("optuna"), "best-trial", "--study-name", "sweet-spot", "--storage", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "hidden_units" in done.stdout


def _url(directory: Path) -> str:
    return f"sqlite:///{directory}/study.db"


def _wait_until_running(url: str) -> None:
    """Poll, bounded, until a trial is running."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(NotFoundError):
            trials = load_study(open_storage(url, create=False), "sweet-spot").get_trials(deepcopy=False)
            if any(trial.state.name == "RUNNING" for trial in trials):
                return
        time.sleep(0.05)
    raise AssertionError("no trial was started within two minutes")


@needs_cuda
def test_on_cuda_a_search_is_confirmed_and_published_and_repeats(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--storage", f"sqlite:///{tmp_path}/study.db", "--data-dir", mnist_dir, "--device", "cuda"]
    seeds = ["--confirm-seeds", 2, "--confirm-epochs", 1]
    assert call(run.main, "--trials", TRIALS, "--epochs", EPOCHS, *seeds, *where) == 0
    for number in range(TRIALS):
        assert call(rerun.main, number, *where) == 0
        assert "identical" in capsys.readouterr().out
    assert call(baseline.main, "--epochs", 1, "--seeds", 2, "--plot", tmp_path / "grid.png", *where) == 0
    assert (tmp_path / "grid.png").stat().st_size > 0
