"""Built-in studies by their names, and the baseline of any study, by the commands that people use."""

import math
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from search import baseline, best, rerun, run, studies
from search.store.storage import open_storage
from search.store.study import load_study
from search.workers.catalogue import Opened
from studies.built_in import DEFAULT, built_in, names
from studies.sweet_spot import STUDY
from tests.support.commands import call, said
from tests.support.own_study import written


def test_they_are_listed_each_with_its_question_and_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = {each["study"]: each for each in said(studies.main, capsys)["studies"]}
    assert list(listed) == names()
    assert names()[0] == DEFAULT
    for name, row in listed.items():
        study = built_in(name).study
        assert row["question"] == study.question != ""
        assert list(row["space"]) == list(study.searched)


@pytest.mark.parametrize(("name", "trainer"), [("dropout", "fleet"), ("augmentation", "general")])
def test_one_is_searched_by_its_name_and_each_trial_says_how_it_was_trained(
    name: str, trainer: str, tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--storage=sqlite:///{tmp_path}/s.db"]
    data = f"--data-dir={mnist_dir}"
    asked = [name, "--trials=5", "--epochs=1", "--confirm-seeds=0", *options, data]
    assert call(run.main, *asked) == 0
    study = load_study(open_storage(f"sqlite:///{tmp_path}/s.db", create=False), name)
    assert study.user_attrs["built_in"] == name
    assert "file" not in study.user_attrs["fingerprint"]
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert {trial.user_attrs["trainer"] for trial in complete} == {trainer}
    number = said(best.main, capsys, *options, f"--study={name}")["number"]
    found = said(rerun.main, capsys, number, *options, f"--study={name}", data)
    assert found["verdict"] == "identical"


def test_an_older_trial_that_does_not_say_it_is_trained_again_as_it_was(tmp_path: Path) -> None:
    """A study of a file was trained by the plain loop alone, the built-in one in the fleet alone."""
    from model.data.dataset import open_dataset  # scikit-learn takes a second
    from studies.file import read_study
    from studies.search_spec import search_spec

    data = open_dataset("digits")
    own = search_spec(read_study(written(tmp_path)), data, "own")
    assert Opened(own, data).recipe.before == "general"
    assert Opened(search_spec(built_in(DEFAULT), data, "first"), data).recipe.before == "fleet"


def test_the_baseline_of_a_file_is_rerun_on_all_its_training_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [written(tmp_path), "--seeds=2", "--epochs=2", f"--storage=sqlite:///{tmp_path}/s.db"]
    picture = tmp_path / "grid.png"
    first = said(baseline.main, capsys, *asked, f"--plot={picture}")
    assert picture.stat().st_size > 1000
    assert first["study"] == "digits-study/baseline"
    assert len(first["trials"]) == 2
    assert 0.5 < first["ours"]["test_accuracy"]["mean"] <= 1
    assert first["published"] == {}
    again = said(baseline.main, capsys, *asked)
    assert {trial["number"] for trial in again["trials"]} == {2, 3}
    assert call(baseline.main, *asked) == 0
    shown = capsys.readouterr().out
    assert "before training, 30 samples" in shown
    assert "article" not in shown


def test_the_articles_baseline_stands_beside_what_the_article_printed(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds=1", "--epochs=1", f"--storage=sqlite:///{tmp_path}/s.db", f"--data-dir={mnist_dir}"]
    found = said(baseline.main, capsys, *options)
    assert found["article"] == dict(STUDY.published)
    assert math.isfinite(found["ours"]["test_loss"]["mean"])


def test_a_table_has_no_pictures_to_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = np.c_[rng.normal(size=(60, 64)), np.arange(60) % 2]
    head = ",".join([*(f"x{at}" for at in range(64)), "target"])
    np.savetxt(tmp_path / "rows.csv", rows, "%.5g", ",", header=head, comments="")
    path = written(tmp_path, 'data="digits"', 'data=data("rows.csv", target="target")')
    path.write_text(path.read_text().replace("import Float", "import data, Float").replace("units, 10)", "units, 2)"))
    options = [f"--storage=sqlite:///{tmp_path}/s.db", f"--plot={tmp_path}/p.png"]
    assert call(baseline.main, path, *options) == 2
    assert "rows.csv has none" in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()
