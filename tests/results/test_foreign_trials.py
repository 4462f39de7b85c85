"""Whatever others wrote into a study is used rightly or left out, and every document stays strict JSON."""

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.faults import search, store_at
from search import best, report, status
from search.errors import NotFoundError
from search.results.search_figures import search_figures
from search.results.summary import curve_text, summary, table, width_curve
from search.store.study import StudyStore
from search.store.trials import ranking
from search.training.replay import finished_trial
from search.verdict.confirmation import confirm, open_confirmation
from studies.confirmation import plan
from studies.pruner import CurvePruner
from studies.sweet_spot import sampler
from tests.support.tiny_study import CAPACITY, EPOCHS, confirmed_once, copy_of, quiet, search_at, tiny_mnist, url_of

BUDGET = 4
NUMBERS = st.sampled_from([0.5, 0.0, 1.0, -3.0, 7.5, math.inf, -math.inf])
STATES = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])  # one that runs is waited for
PARAMS = {
    "hidden_units": (IntDistribution(4, 256, log=True), 25),
    "lr": (FloatDistribution(1e-4, 1e-1, log=True), 0.02),
    "momentum": (FloatDistribution(0, 1), 0.9),
    "text": (CategoricalDistribution(["a", "b"]), "a"),
}

RIGHT = {"hidden_units": 25, "lr": 0.02}
OURS = {name: PARAMS[name][0] for name in RIGHT}


@st.composite
def foreign(draw: st.DrawFn) -> FrozenTrial:
    """A trial as Optuna's own tools may add it."""
    there = {name: PARAMS[name] for name in draw(st.sets(st.sampled_from(sorted(PARAMS))))}
    state = draw(STATES)
    reports = draw(st.dictionaries(st.integers(0, 200), NUMBERS | st.just(math.nan), max_size=3))
    return create_trial(
        state=state,
        value=draw(NUMBERS) if state == TrialState.COMPLETE else None,
        params={name: value for name, (_, value) in there.items()},
        distributions={name: distribution for name, (distribution, _) in there.items()},
        intermediate_values=reports,
        user_attrs=draw(st.dictionaries(st.sampled_from(["note", "x"]), st.floats() | st.text(), max_size=2)),
    )


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert text.isascii()
    return json.loads(text, parse_constant=refuse)


def with_trials(url: str, trials: list[FrozenTrial]) -> StudyStore:
    """A study of some trials of ours and these."""
    store = store_at(url)
    search(store, BUDGET)
    store.study.add_trials(trials)
    return store


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(foreign(), min_size=1, max_size=4))
def test_a_study_with_trials_of_others_is_shown_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], trials: list[FrozenTrial]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db"
    store = with_trials(url, trials)
    ranked = ranking(store.study)
    assert all(math.isfinite(trial.value or 0) for trial in ranked)
    assert curve_text(width_curve(store.state().finished))
    table(ranked[0], None)
    summary(store.state())
    search_figures(store.state())
    assert plan("study", ranked).winner == ranked[0].number
    for main in (best.main, status.main):
        with pytest.raises(SystemExit) as end:
            main(["--storage", url, "--study", "study", "--json"])
        assert end.value.code == 0
        strict(capsys.readouterr().out)
    finished = store.counts().finished
    search(store, finished + 2)
    assert store.counts().finished == finished + 2


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("time", ["first", "second"])  # what was said of one database is said of the next
def test_an_infinite_value_is_left_out_with_one_line(
    time: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trial = create_trial(value=math.inf, params=RIGHT, distributions=OURS)
    store = with_trials(f"sqlite:///{tmp_path}/study.db", [trial])
    for _ in range(3):
        assert ranking(store.study)[0].number != BUDGET
    assert warnings_of(caplog) == [f"trial {BUDGET} of study 'study' is left out: its value is inf"], time


ARM = {"protocol": "article-lr", "role": "baseline"}
FIGURES = {
    **dict.fromkeys(("val_accuracy", "train_accuracy", "val_loss", "train_loss", "test_accuracy"), 0.5),
    **{"parameters": 9, "gap_by_epoch": {"1": 0.1}, "gap": 0.1, "seconds": 1.0},
}


def made(attrs: dict[str, Any], state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    return create_trial(
        state=state,
        value=0.5 if state == TrialState.COMPLETE else None,
        params={} if state == TrialState.WAITING else RIGHT,
        distributions={} if state == TrialState.WAITING else OURS,
        user_attrs=attrs,
        system_attrs={"fixed_params": RIGHT} if state == TrialState.WAITING else {},
    )


IN_A_CONFIRMATION = {
    "nothing": create_trial(value=0.5),
    "it runs": create_trial(state=TrialState.RUNNING),
    "it waits": create_trial(state=TrialState.WAITING),
    "it waits without a seed": made(ARM, TrialState.WAITING),
    "no lr": create_trial(
        state=TrialState.WAITING, user_attrs=ARM, system_attrs={"fixed_params": {"hidden_units": 25}}
    ),
    "no seed": made({**ARM, **FIGURES}),
    "a seed twice, no figures": made({**ARM, "seed_index": 0}),
    "no test figure": made({**ARM, "seed_index": 9, **FIGURES, "test_accuracy": math.nan}),
    "infinite figure": made({**ARM, "seed_index": 9, **FIGURES, "val_loss": math.inf}),
    "no time": made({**ARM, "seed_index": 9, **{name: FIGURES[name] for name in FIGURES if name != "seconds"}}),
    "infinite gap": made({**ARM, "seed_index": 9, **FIGURES, "gap_by_epoch": {"1": math.inf}}),
}


def verdict(url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    with pytest.raises(SystemExit) as end:
        report.main(["--storage", url, "--json", "--html", f"{url.removeprefix('sqlite:///')}.html"])
    assert end.value.code == 0
    return strict(capsys.readouterr().out)


@pytest.mark.parametrize("name", [name for name in IN_A_CONFIRMATION if "waits" not in name and name != "no lr"])
def test_a_verdict_rests_on_runs_of_ours(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = url_of(copy_of(confirmed_once(), tmp_path))
    before = verdict(url, capsys)
    optuna.load_study(study_name="sweet-spot/confirm", storage=url).add_trial(IN_A_CONFIRMATION[name])
    assert verdict(url, capsys) == before


@pytest.mark.parametrize("name", IN_A_CONFIRMATION)
def test_a_confirmation_ends_beside_trials_of_others(name: str, tmp_path: Path) -> None:
    path = copy_of(confirmed_once(), tmp_path)
    store = open_confirmation(search_at(path), 3, EPOCHS)
    store.study.add_trial(IN_A_CONFIRMATION[name])
    before = store.study.trials[:-1]
    again = open_confirmation(search_at(path), 3, EPOCHS)
    again.grace_seconds = again.heartbeat_seconds = 0.1  # who runs and sends no heartbeat is waited for no longer
    assert confirm(again, tiny_mnist(), CAPACITY, quiet, lambda: False)
    assert store.study.trials[: len(before)] == before


@pytest.mark.parametrize("missing", ["train_on", "score_on", "order_seed", "threads", "val_loss"])
def test_a_trial_that_was_not_trained_by_us_is_not_trained_again(missing: str) -> None:
    study = optuna.create_study(direction="maximize")
    attrs = dict.fromkeys(("init_seed", "order_seed", "batch", "epochs", "first_epoch", "threads"), 1)
    attrs |= {**FIGURES, "train_on": "train", "score_on": "validation"}
    study.add_trials([made(attrs), made({name: value for name, value in attrs.items() if name != missing})])
    assert finished_trial(study, 0).number == 0
    with pytest.raises(NotFoundError, match="trial 1 cannot be compared: it is COMPLETE"):
        finished_trial(study, 1)


STRANGERS = {
    "no parameters": create_trial(value=0.5, intermediate_values={1: 0.5}),
    "another parameter": create_trial(
        value=0.5,
        params={"momentum": 0.9},
        distributions={"momentum": FloatDistribution(0, 1)},
        intermediate_values={1: 0.5},
    ),
    "a wider range": create_trial(
        value=0.5,
        params={"hidden_units": 1000, "lr": 0.5},
        distributions={"hidden_units": IntDistribution(4, 1024, log=True), "lr": FloatDistribution(1e-5, 1, log=True)},
        intermediate_values={1: 0.5},
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_the_sampler_goes_on_as_if_a_stranger_were_not_there(name: str, caplog: pytest.LogCaptureFixture) -> None:
    proposals = []
    for strangers in ([], [STRANGERS[name]]):
        study = optuna.create_study(direction="maximize", sampler=sampler(0))
        for k in range(12):
            told = {"params": {"hidden_units": 8 + k, "lr": 0.01}, "distributions": OURS}
            study.add_trial(create_trial(value=0.5 + k / 100, intermediate_values={1: 0.5 + k / 100}, **told))
        study.add_trials(strangers)
        proposals.append(study.ask(OURS).params)
    assert proposals[0] == proposals[1]
    said = f"trial 12 of study {study.study_name!r} is left out"
    assert [line.split(":")[0] for line in warnings_of(caplog)] == [said]


def test_the_pruner_compares_with_no_stranger() -> None:
    study = optuna.create_study(direction="maximize", pruner=CurvePruner({3: 2}, 8, 3))
    for stranger in STRANGERS.values():
        study.add_trial(
            create_trial(
                value=0.99, params=stranger.params, distributions=stranger.distributions, intermediate_values={3: 0.99}
            )
        )
    trial = study.ask(OURS)
    trial.report(0.5, 3)
    assert not trial.should_prune()
