"""A study of two aims by the commands that people use: searched, resumed, confirmed, shown and published."""

from pathlib import Path
from typing import Any

import pytest

from search import best, report, rerun, run
from search.results.notes import publish_all
from search.store.storage import Storage, open_storage
from search.store.study import load_study
from search.verdict.boundary import FIRST
from studies.optuna_private import note_of
from tests.support.commands import call, said
from tests.support.own_study import written

NAME, TRIALS = "digits-study", 14


def asked(directory: Path, against: str) -> Path:
    return written(directory, "epochs=6", f"epochs=6, against={against!r}")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a study's file and its database: searched by one process, then by two, and confirmed."""
    path = tmp_path_factory.mktemp("two aims")
    file, storage = asked(path, "parameters"), f"--storage=sqlite:///{path}/study.db"
    assert call(run.main, file, "--trials=6", storage, "--confirm-seeds=0") == 0
    assert call(run.main, file, f"--trials={TRIALS}", storage, f"--confirm-seeds={FIRST}", "--workers=2") == 0
    return path


@pytest.fixture
def options(directory: Path) -> list[str]:
    return [f"--storage=sqlite:///{directory}/study.db", f"--study={NAME}"]


@pytest.fixture
def storage(directory: Path) -> Storage:
    return open_storage(f"sqlite:///{directory}/study.db", create=False)


def test_it_has_its_trials_none_of_them_pruned_and_the_front_is_optunas(
    directory: Path, options: list[str], storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    document = said(run.main, capsys, asked(directory, "parameters"), f"--trials={TRIALS}", options[0])
    assert (document["counts"]["complete"], document["counts"]["finished"]) == (TRIALS, TRIALS)
    optunas = {trial.number: trial.values for trial in load_study(storage, NAME).best_trials}
    assert {trial["number"]: trial["values"] for trial in document["front"]} == optunas
    assert document["front"][0] == document["best"]
    assert document["best"]["value"] == document["best"]["values"][0]


def test_the_best_is_by_the_metric_and_the_front_is_marked(
    options: list[str], storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    on_front = {trial.number for trial in load_study(storage, NAME).best_trials}
    every = said(best.main, capsys, *options, f"--top={TRIALS}")["trials"]
    assert {trial["number"] for trial in every if trial["front"]} == on_front
    assert said(best.main, capsys, *options) == every[0]
    assert every[0]["value"] == max(trial["value"] for trial in every)
    assert call(best.main, *options) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {int(line.split()[0]) for line in shown if line.rstrip().endswith("front")} == on_front


@pytest.mark.parametrize("number", [0, 2])
def test_a_trial_is_trained_again_identically(
    number: int, directory: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(rerun.main, capsys, number, *options, f"--studies={directory}")["verdict"] == "identical"


def test_the_page_has_the_front_and_the_winner_is_the_best_by_the_metric(
    directory: Path, options: list[str], storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    page, top = directory / "page.html", said(best.main, capsys, *options)
    document = said(report.main, capsys, *options, f"--html={page}")
    assert document["winner"]["number"] == top["number"]
    text = page.read_text(encoding="utf-8")
    assert 'data-plot="search-front"' in text
    assert "every trial trains to its end" in text
    for trial in load_study(storage, NAME).best_trials:
        assert f"<td>{trial.values[1]:,.0f}</td>" in text.split("numbers: The Pareto front")[1].split("</table>")[0]
    assert len(load_study(storage, f"{NAME}/confirm").directions) == 1


def test_the_dashboard_has_the_front_as_a_plot_and_in_the_note(storage: Storage) -> None:
    study = load_study(storage, NAME)
    publish_all(storage, study)
    attrs = load_study(storage, NAME)._storage.get_study_system_attrs(study._study_id)
    assert any("search-front" in name for name in attrs)
    front = note_of(attrs, None)[0].split("The Pareto front.")[1].split("\n\n")[1].splitlines()[2:]
    numbers = [int(row.split("|")[1]) for row in front]
    assert sorted(numbers) == sorted(trial.number for trial in study.best_trials)


def test_against_seconds_each_trial_is_timed_alone_and_each_confirmed_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    document: Any = said(
        run.main, capsys, asked(tmp_path, "seconds"), "--trials=3", f"--storage={url}", f"--confirm-seeds={FIRST}"
    )
    for trial in load_study(open_storage(url, create=False), NAME).trials:
        assert trial.values[1] == trial.user_attrs["seconds_per_epoch"] > 0
    assert all(arm["seconds_per_epoch"] > 0 for arm in document["verdict"]["arms"])
    assert document["front"]
    assert call(best.main, f"--storage={url}", f"--study={NAME}") == 0
    shown = capsys.readouterr().out
    assert all(f" {1000 * trial['values'][1]:.2f} " in shown for trial in document["front"])


def test_parameters_may_occur_beside_others_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "layers.py"
    text = (Path(__file__).parents[2] / "examples" / "digits_layers.py").read_text(encoding="utf-8")
    file.write_text(text.replace("    space=space,", '    space=space, against="parameters", epochs=2,'), "utf-8")
    storage = f"--storage=sqlite:///{tmp_path}/study.db"
    document = said(run.main, capsys, file, "--trials=13", storage, "--confirm-seeds=0")
    assert document["counts"]["complete"] == 13  # the sampler has learnt from the tenth on
    assert document["front"]
