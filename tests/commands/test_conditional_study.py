"""A study whose parameters depend on others, from its file to its verdict, by the commands that people use."""

import re
from pathlib import Path

import optuna
import pytest
from optuna.distributions import IntDistribution

from model.data.dataset import open_dataset
from search import best, report, rerun, run
from search.errors import SearchError
from search.store.queue import fail_stale
from search.store.storage import open_storage
from search.store.study import StudyStore, load_study, open_study
from search.store.trials import usable
from studies.file import read_study
from studies.search_spec import search_spec
from tests.support.commands import call, said

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_layers.py"
FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
ALWAYS = {"layers", "lr", "units0"}


def written(directory: Path, old: str = "    claims=[", new: str = "    epochs=4,\n    claims=[") -> Path:
    """The example, with shorter trials."""
    path = directory / "layers_study.py"
    path.write_text(EXAMPLE.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the study's file and, beside it, a database in which it was searched and confirmed."""
    path = tmp_path_factory.mktemp("conditional study")
    options = [f"--storage=sqlite:///{path}/study.db", "--confirm-seeds=3", "--confirm-epochs=2"]
    assert call(run.main, written(path), "--trials=7", *options) == 0
    return path


@pytest.fixture
def options(directory: Path) -> list[str]:
    return [f"--storage=sqlite:///{directory}/study.db", "--study=layers-study"]


def stored(directory: Path, name: str = "layers-study") -> optuna.Study:
    return load_study(open_storage(f"sqlite:///{directory}/study.db", create=False), name)


def test_each_trial_has_what_occurs_beside_its_own_values_and_no_more(directory: Path) -> None:
    trials = [trial for trial in stored(directory).trials if trial.params]
    assert trials[0].params == {"layers": 1, "units0": 25, "lr": 0.02}
    for trial in trials:
        assert set(trial.params) == {"layers", "lr", *(f"units{at}" for at in range(trial.params["layers"]))}
    assert len({trial.params["layers"] for trial in trials}) > 1


def test_the_best_has_its_own_parameters_alone(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    params = said(best.main, capsys, *options)["params"]
    assert set(params) >= ALWAYS
    assert len(params) == 2 + params["layers"]


def test_a_trial_is_trained_again_identically(
    options: list[str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = next(trial for trial in usable(stored(directory), *FINISHED) if trial.params["layers"] > 1)
    assert said(rerun.main, capsys, deep.number, *options, f"--studies={directory}")["verdict"] == "identical"


def test_claims_across_branches_are_trained_with_what_occurs_in_each(
    directory: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = directory / "page.html"
    document = said(report.main, capsys, *options, f"--html={page}")
    assert [(claim["id"], claim["n"]) for claim in document["claims"]] == [
        ("layers=2-units1=25-better-than-layers=1", 3),
        ("layers=2-as-good-as-layers=3-units2=25", 3),
    ]
    settings = [arm["params"] for arm in document["arms"]]
    assert [sorted(each) for each in settings] == [
        ["layers", "lr", *(f"units{at}" for at in range(each["layers"]))] for each in settings
    ]
    assert {each["layers"] for each in settings} == {1, 2, 3}
    assert document["baseline"]["params"] == {"layers": 1, "lr": 0.02, "units0": 25}
    text = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "layers=3, units1=25, units2=25" in text
    assert "<td>-</td>" in text


def test_it_goes_on_where_it_was_in_two_processes(
    directory: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    trials = len(usable(stored(directory), *FINISHED)) + 2
    extra = [f"--trials={trials}", options[0], "--confirm-seeds=0", "--workers=2"]
    assert said(run.main, capsys, written(directory), *extra)["counts"]["finished"] == trials


def opened(tmp_path: Path, file: Path = EXAMPLE) -> StudyStore:
    spec = search_spec(read_study(file), open_dataset("digits"), "study")
    store = open_study(open_storage(f"sqlite:///{tmp_path}/s.db", create=True), spec, 1)
    store.set_budget(20)
    return store


def test_a_queued_trial_gets_what_it_lacks_and_is_refused_with_what_does_not_occur(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.study.enqueue_trial({"layers": 2, "units2": 30})
    store.study.enqueue_trial({"layers": 3, "units1": 30})
    baseline, next_one = store.acquire(), store.acquire()
    assert baseline is not None
    assert next_one is not None
    assert (next_one.number, next_one.params["units1"], set(next_one.params)) == (2, 30, ALWAYS | {"units1", "units2"})
    refused = store.study.trials[1]
    assert refused.state.name == "FAIL"
    assert refused.user_attrs["reason"].startswith("refused: units2 does not occur with layers = 2, units0 = ")


def test_what_a_dead_worker_trained_is_queued_again_as_it_was(tmp_path: Path) -> None:
    store = opened(tmp_path)
    lost = [store.acquire() for _ in range(4)]
    fail_stale(store.storage, store.study, dead=store.worker)
    again = [store.acquire() for _ in range(4)]
    assert [trial.params for trial in again if trial] == [trial.params for trial in lost if trial]
    assert len({len(trial.params) for trial in again if trial}) > 1


def test_the_same_seed_draws_the_same_trials(tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store = opened(tmp_path / name)
        drawn.append([trial.params for _ in range(6) if (trial := store.acquire())])
    assert drawn[0] == drawn[1]


def test_foreign_trials_without_what_always_occurs_are_left_out(tmp_path: Path) -> None:
    store, units = opened(tmp_path), IntDistribution(8, 64, log=True)
    made = optuna.trial.create_trial
    store.study.add_trial(made(value=0.99))
    store.study.add_trial(made(value=0.98, params={"units0": 9}, distributions={"units0": units}))
    whole = {"layers": 1, "units0": 9, "lr": 0.01}
    store.study.add_trial(made(value=0.5, params=whole, distributions={name: store.spec.space[name] for name in whole}))
    assert [trial.value for trial in usable(store.study, optuna.trial.TrialState.COMPLETE)] == [0.5]


def test_what_a_space_asks_for_only_in_a_search_ends_it_with_a_line(tmp_path: Path) -> None:
    rare = '    if trial.suggest_int("luck", 1, 10**6) == 777:\n        trial.suggest_int("units9", 1, 2)\n'
    text = written(tmp_path).read_text().replace("    for at in range(trial", f"{rare}    for at in range(trial", 1)
    (tmp_path / "layers_study.py").write_text(text.replace('"units0": 25, "lr"', '"units0": 25, "luck": 5, "lr"'))
    store = opened(tmp_path, tmp_path / "layers_study.py")
    store.study.enqueue_trial({"luck": 777})
    assert store.acquire() is not None
    with pytest.raises(SearchError, match=r"the space of 'study' asks for units9 = .* with luck = 777 for the first"):
        store.acquire()
    assert store.study.trials[1].state.name == "FAIL"


def test_a_baseline_that_lacks_a_parameter_of_its_branch_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, '"units0": 25, "lr"', '"lr"')
    assert call(run.main, path, f"--storage=sqlite:///{tmp_path}/s.db") == 2
    line = capsys.readouterr().err
    assert "the baseline has no units0, which occurs with layers = 1" in line
    assert line.count("\n") == 1
    assert not (tmp_path / "s.db").exists()
