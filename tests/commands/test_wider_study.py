"""A study that searches wider ranges and begins with another one's trials, by the commands that people use."""

from pathlib import Path
from typing import Any

import pytest

from search import baseline, rerun, run
from search.store.storage import open_storage
from search.store.study import load_study
from tests.support.commands import call, said
from tests.support.own_study import written

OLD, NEW = "digits-study", "new"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a searched study, and a wider one that began with it."""
    path = tmp_path_factory.mktemp("wider study")
    file, options = written(path), [f"--storage=sqlite:///{path}/study.db", "--confirm-seeds=0"]
    assert call(run.main, file, "--trials=5", *options) == 0
    wider = [f"--study={NEW}", "--widen=units=8:128", f"--from={OLD}"]
    assert call(run.main, file, "--trials=3", *options, *wider) == 0
    return path


def trials_of(directory: Path, name: str) -> Any:
    return load_study(open_storage(f"sqlite:///{directory}/study.db", create=False), name).get_trials()


def test_it_begins_with_the_finished_trials_as_they_were_and_trains_its_own_budget(directory: Path) -> None:
    old, new = trials_of(directory, OLD), trials_of(directory, NEW)
    copies, own = new[: len(old)], new[len(old) :]
    assert len(own) == 3
    assert not any("from" in trial.user_attrs for trial in own)
    for before, after in zip(old, copies, strict=True):
        assert after.user_attrs["from"] == {"study": OLD, "number": before.number}
        assert (after.params, after.state, after.value) == (before.params, before.state, before.value)
        assert after.intermediate_values == before.intermediate_values
        assert after.datetime_complete == before.datetime_complete
    assert {trial.distributions["units"].high for trial in new} == {128}


def test_a_copy_is_trained_again_identically(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--storage=sqlite:///{directory}/study.db", f"--study={NEW}", f"--studies={directory}"]
    assert said(rerun.main, capsys, 0, *options)["verdict"] == "identical"


def test_its_baseline_is_rerun_without_the_copies(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--storage=sqlite:///{directory}/study.db", f"--study={NEW}", "--seeds=1", "--epochs=2"]
    told = said(baseline.main, capsys, directory / "digits_study.py", *options)
    assert [trial["number"] for trial in told["trials"]] == [0]
    assert [trial.params for trial in trials_of(directory, f"{NEW}/baseline")] == [told["trials"][0]["params"]]


@pytest.mark.parametrize("workers", [1, 2])
def test_it_goes_on_by_its_name_alone_and_is_told(
    workers: int, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = 3 + workers
    options = [f"--storage=sqlite:///{directory}/study.db", "--confirm-seeds=0", f"--study={NEW}"]
    told = said(run.main, capsys, directory / "digits_study.py", f"--trials={trials}", f"--workers={workers}", *options)
    assert (told["counts"]["finished"], told["counts"]["copied"]) == (trials, 5)
    assert told["wider"] == {"from": OLD, "ranges": {"units": [8, 128]}}


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["--widen=units=8:32", f"--from={OLD}"], "does not contain the range before, 8 to 64"),
        (["--widen=depth=1:3", f"--from={OLD}"], "no such parameter"),
        (["--widen=units=8", f"--from={OLD}"], "NAME=LOW:HIGH"),
        (["--widen=units=8:nan", f"--from={OLD}"], "NAME=LOW:HIGH"),
        (["--widen=units=0:64", f"--from={OLD}"], "above 0"),
        (["--widen=units=7.5:64", f"--from={OLD}"], "whole numbers"),
        (["--widen=dropout=0:1.5", f"--from={OLD}"], "dropout"),
        (["--widen=units=8:128"], "--from"),
        (["--widen=units=8:128", f"--from={OLD}", "--epochs=3"], "cannot be compared"),
    ],
)
def test_what_cannot_be_is_a_line_and_nothing_is_written(
    asked: list[str], line: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--storage=sqlite:///{directory}/study.db", "--confirm-seeds=0", "--study=bad"]
    assert call(run.main, directory / "digits_study.py", *options, *asked) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1
    with pytest.raises(Exception, match="no study 'bad'"):
        trials_of(directory, "bad")


def test_a_study_is_not_widened_in_place(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--storage=sqlite:///{directory}/study.db", "--widen=units=8:128", f"--from={OLD}"]
    assert call(run.main, directory / "digits_study.py", *options) == 2
    assert "as a new study" in capsys.readouterr().err


def test_it_is_confirmed_and_judged_on_its_own(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"--storage=sqlite:///{directory}/study.db", f"--study={NEW}", "--confirm-seeds=2", "--confirm-epochs=1"]
    told = said(run.main, capsys, directory / "digits_study.py", "--trials=3", *options)
    assert told["verdict"]["claims"]
    study = load_study(open_storage(f"sqlite:///{directory}/study.db", create=False), NEW)
    assert not any("from" in trial.user_attrs for trial in trials_of(directory, study.user_attrs["confirmation"]))
