"""Whatever others wrote into a study is used rightly or left out, and every document stays strict JSON."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.faults import ledger_at, search
from search import best, status
from search.ledger import Ledger
from search.overview import overview
from search.run import summary
from search.summary import curve_text, ranking, table, width_curve
from studies.confirm import plan

BUDGET = 4
NUMBERS = st.sampled_from([0.5, 0.0, 1.0, -3.0, 7.5, math.inf, -math.inf])
STATES = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])  # one that runs is waited for
PARAMS = {
    "hidden_units": (IntDistribution(4, 256, log=True), 25),
    "lr": (FloatDistribution(1e-4, 1e-1, log=True), 0.02),
    "momentum": (FloatDistribution(0, 1), 0.9),
    "text": (CategoricalDistribution(["a", "b"]), "a"),
}


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


def with_trials(url: str, trials: list[FrozenTrial]) -> Ledger:
    """A study of some trials of ours and these."""
    ledger = ledger_at(url)
    search(ledger, BUDGET)
    ledger.study.add_trials(trials)
    return ledger


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(foreign(), min_size=1, max_size=4))
def test_a_study_with_trials_of_others_is_shown_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], trials: list[FrozenTrial]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('study')}/study.db"
    ledger = with_trials(url, trials)
    ranked = ranking(ledger.study)
    assert all(math.isfinite(trial.value or 0) for trial in ranked)
    assert curve_text(width_curve(ledger.study))
    table(ranked[0], None)
    summary(ledger)
    overview(ledger.study)
    assert plan("study", ranked).winner == ranked[0].number
    for main in (best.main, status.main):
        with pytest.raises(SystemExit) as end:
            main(["--storage", url, "--study", "study", "--json"])
        assert end.value.code == 0
        strict(capsys.readouterr().out)
    finished = ledger.counts().finished
    search(ledger, finished + 2)
    assert ledger.counts().finished == finished + 2


def test_an_infinite_value_is_left_out_with_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trial = create_trial(
        value=math.inf,
        params={name: PARAMS[name][1] for name in ("hidden_units", "lr")},
        distributions={name: PARAMS[name][0] for name in ("hidden_units", "lr")},
    )
    ledger = with_trials(f"sqlite:///{tmp_path}/study.db", [trial])
    for _ in range(3):
        assert ranking(ledger.study)[0].number != BUDGET
    assert [record.message for record in caplog.records] == [
        f"trial {BUDGET} of study 'study' is left out: its value is inf"
    ]
