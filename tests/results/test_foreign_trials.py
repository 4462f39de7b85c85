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
from PIL import Image

from benchmarks.faults import search, store_at
from search import baseline, best, predict, report, rerun, run, status, stop
from search.errors import NotFoundError
from search.results.display import Display
from search.results.search_figures import search_figures
from search.results.summary import curve_text, summary, table, width_curve
from search.store.attributes import STUDY, TRIAL
from search.store.study import StudyStore
from search.store.trials import ranking
from search.training.replay import finished_trial
from search.verdict.confirmation import confirm, open_confirmation
from studies.confirmation import plan
from studies.pruner import CurvePruner
from studies.sweet_spot import ARTICLE, SPACE, sweet_spot
from tests.support.tiny_study import (
    CAPACITY,
    EPOCHS,
    SEEDS,
    confirmed_once,
    copy_of,
    quiet,
    search_at,
    tiny_mnist,
    url_of,
)

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


VALUES = st.none() | st.floats() | st.text() | st.lists(st.integers(), max_size=2) | st.just({"a": 1})


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
        user_attrs=draw(st.dictionaries(st.sampled_from(["note", *TRIAL]), VALUES, max_size=2)),
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


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(foreign(), min_size=1, max_size=4))
def test_a_study_with_trials_of_others_is_shown_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], trials: list[FrozenTrial]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db"
    store = with_trials(url, trials)
    ranked = ranking(store.study)
    assert all(math.isfinite(trial.value or 0) for trial in ranked)
    shown = Display.of(store.study.user_attrs)
    assert curve_text(width_curve(store.state().finished, shown), shown)
    table(ranked[0], None, shown)
    summary(store.state())
    search_figures(store.state())
    assert plan("study", ranked, ARTICLE, SPACE).winner == ranked[0].number
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
    "no test figure": made({**ARM, "seed_index": 99, **FIGURES, "test_accuracy": math.nan}),
    "infinite figure": made({**ARM, "seed_index": 99, **FIGURES, "val_loss": math.inf}),
    "no time": made({**ARM, "seed_index": 99, **{name: FIGURES[name] for name in FIGURES if name != "seconds"}}),
    "infinite gap": made({**ARM, "seed_index": 99, **FIGURES, "gap_by_epoch": {"1": math.inf}}),
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
    store = open_confirmation(search_at(path), SEEDS, EPOCHS)
    store.study.add_trial(IN_A_CONFIRMATION[name])
    before = store.study.trials[:-1]
    again = open_confirmation(search_at(path), SEEDS, EPOCHS)
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
        study = optuna.create_study(direction="maximize", sampler=sweet_spot().sampler(0))
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


WRONG: list[Any] = [None, "lots", [1], {"a": None}, 1.5]


def command(main: Any, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """Run a command with --json; return its exit code and what it printed, None where it failed in a line."""
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--json"])
    printed = capsys.readouterr()
    if not printed.out:
        assert printed.err.splitlines()[-1].startswith("error: ")
    return int(str(end.value.code)), strict(printed.out) if printed.out else None


@pytest.mark.slow
def test_no_command_minds_attributes_of_ours_that_are_nonsense(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = url_of(copy_of(confirmed_once(), tmp_path))
    where, data = ["--storage", url], ["--data-dir", str(mnist_dir), "--device=cpu"]
    picture = tmp_path / "one.png"
    one = Image.new("L", (28, 28))
    one.paste(255, (12, 4, 16, 24))
    one.save(picture)
    again = ["--epochs=1", "--seeds=1"]
    assert command(baseline.main, *again, *where, *data, capsys=capsys)[0] == 0
    arms = optuna.load_study(study_name="sweet-spot/confirm", storage=url).trials
    bad = [{name: value} for name in TRIAL for value in WRONG if not TRIAL[name](value)]
    for name in ("sweet-spot", "sweet-spot/confirm", "sweet-spot/baseline"):
        study = optuna.load_study(study_name=name, storage=url)
        told = {"value": 0.5, "params": RIGHT, "distributions": study.trials[0].distributions}
        study.add_trials([create_trial(**told, user_attrs={**arms[0].user_attrs, **attrs}) for attrs in bad])
    lines = {
        **{run: ["--trials=4", *data], best: [], report: [], status: [], stop: ["sweet-spot"]},
        **{predict: [str(picture), *data], rerun: ["0", *data], baseline: [*again, *data]},
    }
    for module, options in lines.items():
        code, document = command(module.main, *options, *where, capsys=capsys)
        assert document is not None, module.__name__
        assert code == 0 or module is rerun  # what was trained on made-up data is different on MNIST
    worst = len(optuna.load_study(study_name="sweet-spot", storage=url).trials) - 1
    assert command(rerun.main, str(worst), *where, *data, capsys=capsys) == (1, None)
    assert command(predict.main, str(picture), f"--trial={worst}", *where, *data, capsys=capsys) == (1, None)
    assert command(best.main, *where, capsys=capsys)[1]["number"] <= worst - len(bad)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("name", STUDY)
def test_an_attribute_of_a_study_that_is_nonsense_is_a_line(
    name: str, ours: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = url_of(copy_of(confirmed_once(), tmp_path))
    study = optuna.load_study(study_name="sweet-spot", storage=url)
    if not ours:
        study = optuna.create_study(study_name="theirs", storage=url, direction="maximize")
        study.add_trial(made({}))
    if ours or name != "fingerprint":
        study.set_user_attr(name, next(value for value in WRONG if not STUDY[name](value)))
    lines = {best: [], report: [], status: [], rerun: ["0"], predict: [__file__], run: ["--detach"]}
    for module, options in lines.items():
        named = [*options, "--storage", url, "--study", study.study_name]
        code, _ = command(module.main, *named, capsys=capsys)
        assert code in {0, 1, 2}
        assert code != 0 or (not ours and module in {best, status})
    assert command(stop.main, study.study_name, "--storage", url, capsys=capsys)[0] in {1, 2}
