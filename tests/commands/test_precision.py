"""A study in bfloat16 by the commands that people use: searched, resumed, confirmed, trained again."""

import copy
from pathlib import Path

import pytest
import torch
from optuna.trial import FrozenTrial

from model.fleet.fleet import Fleet
from model.network.way import choose_way
from search import baseline, rerun, run
from search.store.storage import open_storage
from search.store.study import load_study
from search.verdict.boundary import FIRST
from search.workers.catalogue import Catalogue, Opened
from tests.support.commands import call, said
from tests.support.own_study import written

NAME, TRIALS = "digits-study", 5


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a study's file and its database: in bfloat16, searched and confirmed; and one in float32."""
    path = tmp_path_factory.mktemp("precision")
    file, storage = written(path), f"--storage=sqlite:///{path}/study.db"
    assert call(run.main, file, storage, "--trials=4", "--precision=bfloat16", "--confirm-seeds=0") == 0
    assert call(run.main, file, storage, f"--trials={TRIALS}", f"--confirm-seeds={FIRST}") == 0  # the study's own
    assert call(run.main, file, storage, "--study=plain", "--trials=2", "--confirm-seeds=0") == 0
    return path


@pytest.fixture
def storage(directory: Path) -> str:
    return f"--storage=sqlite:///{directory}/study.db"


def opened_at(directory: Path) -> Opened:
    catalogue = Catalogue(torch.device("cpu"), None, directory, print)
    return catalogue.stored(open_storage(f"sqlite:///{directory}/study.db", create=False), NAME)


def trials_of(directory: Path, name: str) -> list[FrozenTrial]:
    study = load_study(open_storage(f"sqlite:///{directory}/study.db", create=False), name)
    return [trial for trial in study.trials if trial.state.is_finished()]


def test_every_trial_says_how_its_products_were_made(directory: Path) -> None:
    opened = opened_at(directory)
    way = choose_way("bfloat16", opened.data.train, opened.spec.batch)
    for name in (NAME, f"{NAME}/confirm"):
        trials = trials_of(directory, name)
        assert len(trials) >= TRIALS
        assert {(each.user_attrs["precision"], each.user_attrs["way"]) for each in trials} == {("bfloat16", way)}
    others = {(each.user_attrs["precision"], each.user_attrs["way"]) for each in trials_of(directory, "plain")}
    assert others == {("float32", "float32 all")}


def test_it_is_what_the_study_is_and_float32_is_what_a_study_is_that_does_not_say(directory: Path) -> None:
    storage = open_storage(f"sqlite:///{directory}/study.db", create=False)
    stated = {name: load_study(storage, name).user_attrs["fingerprint"] for name in (NAME, f"{NAME}/confirm", "plain")}
    assert [each.get("precision") for each in stated.values()] == ["bfloat16", "bfloat16", None]


@pytest.mark.parametrize(("study", "was", "asked"), [(NAME, "bfloat16", "float32"), ("plain", "float32", "bfloat16")])
def test_a_resume_in_the_other_is_refused_in_a_line(
    directory: Path, study: str, was: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (f"--storage=sqlite:///{directory}/study.db", f"--study={study}", f"--precision={asked}", "--trials=9")
    assert call(run.main, directory / "digits_study.py", *options) == 2
    line = f'study {study!r} has precision "{was}", you ask for "{asked}"; choose another --study name'
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize("study", [NAME, f"{NAME}/confirm", "plain"])
def test_a_trial_is_trained_again_identically(
    directory: Path, storage: str, study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(rerun.main, capsys, 1, storage, f"--study={study}", f"--studies={directory}")
    assert found["verdict"] == "identical"


def test_a_rerun_restores_the_way_whatever_this_machine_would_choose(directory: Path) -> None:
    opened = opened_at(directory)
    trial = copy.deepcopy(trials_of(directory, NAME)[1])
    for precision, way in (("bfloat16", "rounded all"), ("float32", "float32 lit"), ("bfloat16", "bfloat16 lit")):
        trial.user_attrs |= {"precision": precision, "way": way}
        member = opened.recipe.member(Fleet(opened.data.train, 0), trial, 1)
        assert (member.precision, member.way) == (precision, way)
    trial.user_attrs |= {"device": "a card"}
    member = opened.recipe.member(Fleet(opened.data.train, 0), trial, 1)
    assert member.way == choose_way("bfloat16", opened.data.train, opened.spec.batch)
    del trial.user_attrs["precision"], trial.user_attrs["way"]  # as an older version stored it
    member = opened.recipe.member(Fleet(opened.data.train, 0), trial, 1)
    assert (member.precision, member.way) == ("float32", "float32 all")


def test_the_first_line_says_it_and_the_baseline_trains_in_it(
    directory: Path, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = directory / "digits_study.py"
    assert call(run.main, file, storage, f"--trials={TRIALS}", "--confirm-seeds=0") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("device cpu")
    assert " · bfloat16" in first
    assert call(baseline.main, file, storage, "--seeds=1", "--epochs=1") == 0
    (trial,) = trials_of(directory, f"{NAME}/baseline")
    assert trial.user_attrs["precision"] == "bfloat16"
