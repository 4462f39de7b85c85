"""A study of one's own, from its file to its verdict, by the commands that people use."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.faults import wait_until
from search import best, predict, report, rerun, run, status, studies
from search.store.storage import open_storage
from search.store.study import load_study
from studies.built_in import names
from tests.support.commands import call, said
from tests.support.own_study import written

NAME = "digits-study"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a study's file and, beside it, a database in which it was searched."""
    path = tmp_path_factory.mktemp("own study")
    options = [f"--storage=sqlite:///{path}/study.db", "--confirm-seeds=0"]
    assert call(run.main, written(path), "--trials=6", *options) == 0
    return path


@pytest.fixture
def options(directory: Path) -> list[str]:
    return [f"--storage=sqlite:///{directory}/study.db", f"--study={NAME}"]


def test_it_is_searched_with_each_fixed_trial_once_and_never_pruned(directory: Path) -> None:
    study = load_study(open_storage(f"sqlite:///{directory}/study.db", create=False), NAME)
    baseline, fixed = study.trials[:2]
    assert baseline.params == {"units": 25, "dropout": 0.0, "lr": 0.02}
    assert fixed.params == {"units": 40, "dropout": 0.0, "lr": 0.02}
    assert {baseline.state.name, fixed.state.name} == {"COMPLETE"}
    finished = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(finished) >= 6
    assert len({(t.params["units"], t.params["lr"]) for t in finished}) == len(finished)
    assert study.user_attrs["question"] == "Does dropout help a small network on handwritten digits?"
    assert study.user_attrs["study_file"]["text"] == written(directory).read_text()


def test_the_best_and_the_state_are_told(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    top = said(best.main, capsys, *options)
    assert 0.8 < top["value"] <= 1
    assert set(top["params"]) == {"units", "dropout", "lr"}
    assert said(status.main, capsys, *options)["counts"]["finished"] >= 6


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_trial_is_trained_again_identically(
    number: int, options: list[str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = said(rerun.main, capsys, number, *options, f"--studies={directory}")
    assert document["verdict"] == "identical"


def test_without_its_file_nothing_is_trained_again(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(rerun.main, 0, *options, f"--studies={tmp_path}") == 1
    assert "needs its file digits_study.py" in capsys.readouterr().err


def test_a_file_that_has_changed_is_refused_with_the_difference(
    directory: Path, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, before = written(tmp_path, "epochs=6", "epochs=7"), said(status.main, capsys, *options)["budget"]
    assert call(run.main, other, "--trials=9", options[0]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "digits_study.py has changed since study 'digits-study' began" in line
    assert "- epochs=6," in line
    assert "+ epochs=7," in line
    assert said(status.main, capsys, *options)["budget"] == before


def test_it_goes_on_where_it_was(directory: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    trials = said(status.main, capsys, *options)["counts"]["finished"] + 2
    document = said(
        run.main, capsys, written(directory), f"--trials={trials}", options[0], "--confirm-seeds=0", "--workers=2"
    )
    assert document["counts"]["finished"] == trials
    assert sum(each["trials"] for each in document["values"]) == trials


def test_a_new_study_goes_on_with_nothing_though_its_fixed_trials_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [written(tmp_path), "--epochs=1", f"--storage=sqlite:///{tmp_path}/s.db", "--confirm-seeds=0"]
    assert call(run.main, *asked, "--trials=1") == 0
    assert "going on" not in capsys.readouterr().out
    assert call(run.main, *asked, "--trials=3") == 0
    assert "going on with 1 finished trials and 1 that wait" in capsys.readouterr().out


def test_a_worker_works_on_files_of_its_own_and_on_no_others(
    directory: Path, options: list[str], tmp_path: Path, mnist_dir: Path
) -> None:
    url = options[0].removeprefix("--storage=")
    command = [sys.executable, "-m", "search.worker", options[0], f"--data-dir={mnist_dir}", "--poll=0.2"]

    def finished() -> int:
        found = load_study(open_storage(url, create=False), NAME)
        return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in found.trials)

    before = finished()
    assert call(run.main, written(directory), f"--trials={before + 1}", *options, "--confirm-seeds=0", "--detach") == 0
    with subprocess.Popen([*command, f"--studies={tmp_path}"], stderr=subprocess.PIPE, text=True) as stranger:
        assert stranger.stderr is not None
        said = next(line for line in stranger.stderr if "left alone" in line)
        stranger.terminate()
    assert "needs its file digits_study.py" in said
    assert finished() == before
    with subprocess.Popen([*command, f"--studies={directory}"]) as owner:
        wait_until(lambda: finished() == before + 1, 120)
        owner.terminate()


def test_the_studies_are_listed_and_a_file_is_checked(
    directory: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = said(studies.main, capsys, f"--studies={directory}", options[0])["studies"]
    assert [(row["study"], row["where"] == "database") for row in rows] == [
        *((name, False) for name in names()),
        (NAME, False),
        (NAME, True),
    ]
    assert set(rows[-1]["space"]) == {"units", "dropout", "lr"}
    checked = said(studies.main, capsys, "check", written(directory))
    assert checked["minutes"] > 0


def test_digits_are_not_read_by_networks_of_other_data(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (28, 28), 255).save(tmp_path / "digit.png")
    assert call(predict.main, tmp_path / "digit.png", *options) == 2


def test_a_bad_file_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "nn.Linear(units, 10))", "nn.Linear(units, 7))")
    assert call(run.main, path, f"--storage=sqlite:///{tmp_path}/study.db") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir() if each.name != "__pycache__") == ["digits_study.py"]


def test_its_claims_are_judged_reported_and_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = f"--storage=sqlite:///{tmp_path}/study.db"
    asked = ["--trials=4", storage, "--confirm-seeds=3", "--confirm-epochs=3"]
    document = said(run.main, capsys, written(tmp_path), *asked)
    claim = document["verdict"]["claims"][0]
    assert claim["id"] == "dropout=0.2-better-than-dropout=0"
    assert (claim["n"], claim["verdict"] in {"supported", "refuted", "undecided"}) == (3, True)
    page = tmp_path / "page.html"
    assert said(report.main, capsys, storage, f"--study={NAME}", f"--html={page}") == document["verdict"]
    assert "Does dropout help a small network on handwritten digits?" in page.read_text(encoding="utf-8")
    confirmed = load_study(open_storage(storage.removeprefix("--storage="), create=False), f"{NAME}/confirm")
    assert all("seed_index" in trial.user_attrs for trial in confirmed.trials)
    assert {trial.state.name for trial in confirmed.trials} == {"COMPLETE"}
