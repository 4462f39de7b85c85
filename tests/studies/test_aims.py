"""Two aims: what is on the front, what a study states of it, and what its sampler learns from."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from model.data.dataset import open_dataset
from search.store.trials import front
from studies.aims import AIMS, PARAMETERS, SECONDS, no_values, rank
from studies.check import SHARE, expected_minutes
from studies.file import read_study
from studies.sampler import FrontSampler
from studies.search_spec import search_spec
from studies.space import Space
from studies.spec import StudySpec
from studies.sweet_spot import sweet_spot
from tests.support.own_study import written

SPACE = Space.of({"units": IntDistribution(4, 64, log=True), "lr": FloatDistribution(1e-3, 1e-1, log=True)})
RIGHT: dict[str, Any] = {"params": {"units": 9, "lr": 0.02}, "distributions": dict(SPACE)}
few = st.integers(0, 4).map(float)  # so that many tie


@pytest.mark.parametrize("sign", [1, -1])
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.tuples(few, few), max_size=12))
def test_the_front_is_optunas(sign: int, values: list[tuple[float, float]]) -> None:
    study = optuna.create_study(directions=["maximize" if sign > 0 else "minimize", "minimize"])
    study.add_trials([create_trial(values=pair) for pair in values])
    ordered = sorted(study.trials, key=lambda trial: rank(trial, sign))
    found = front(ordered)
    assert sorted(trial.number for trial in found) == sorted(trial.number for trial in study.best_trials)
    assert found == [trial for trial in ordered if trial in found]
    assert found[:1] == ordered[:1]  # the best by the metric is on it


def spec_of(directory: Path, against: str) -> StudySpec:
    file = read_study(written(directory, "epochs=6", f"epochs=6, against={against!r}"))
    return search_spec(file, open_dataset("digits"), "study")


def test_a_study_states_its_second_aim_and_one_without_states_nothing_new(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "parameters")
    assert spec.fingerprint()["against"] == "parameters"
    assert (spec.directions, spec.metrics) == (["maximize", "minimize"], ["validation accuracy", "parameters"])
    assert spec.values(0.5, {"parameters": 7}) == [0.5, 7.0]
    assert "every trial trains to its end" in (spec.method or "")
    assert not spec.rungs
    single = replace(spec, against=None)
    assert {**single.fingerprint(), "against": "parameters"} == spec.fingerprint()
    assert (single.directions, single.values(0.5, {})) == (["maximize"], [0.5])
    assert "against" not in sweet_spot().fingerprint()


def test_that_seconds_are_noisy_is_said(tmp_path: Path) -> None:
    assert "measured, with noise" in (spec_of(tmp_path, "seconds").method or "")


def test_every_trial_is_expected_to_take_all_its_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.check._seconds", lambda *_: 1.0)  # no clock decides a test
    against = [f"epochs=6, against={each}" for each in ("None", "'seconds'")]
    one, two = [read_study(written(tmp_path, "epochs=6", each)) for each in against]
    data = open_dataset("digits")
    minutes = [expected_minutes(file, data, data.train.device, 102) for file in (one, two)]
    assert minutes[1] / minutes[0] == pytest.approx((2 + 100) / (2 + 100 * SHARE))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0.5, 10.0], None),
        ([math.inf, 10.0], "its value is inf"),
        ([0.5, math.nan], "its parameters is nan"),
        ([0.5, 0.0], "its parameters is 0.0"),
        ([0.5, -math.inf], "its parameters is -inf"),
    ],
)
def test_a_value_that_cannot_be_compared_is_named(values: list[float], line: str | None) -> None:
    trial = create_trial(values=[1.0, 1.0])
    trial.values = values
    assert no_values(trial, PARAMETERS) == line
    assert no_values(create_trial(value=0.5), PARAMETERS) == "its parameters is None"
    assert no_values(create_trial(value=0.5), None) is None


STRANGERS = {
    "pruned with a report": create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.5}, **RIGHT),
    "pruned": create_trial(state=TrialState.PRUNED, **RIGHT),
    "infinite": create_trial(values=[math.inf, 1.0], **RIGHT),
    "of no cost": create_trial(values=[0.9, -math.inf], **RIGHT),
    "failed": create_trial(state=TrialState.FAIL, **RIGHT),
    "no parameters": create_trial(values=[0.9, 3.0]),
    "a wider range": create_trial(
        values=[0.9, 3.0],
        params={"units": 999, "lr": 0.02},
        distributions={**SPACE, "units": IntDistribution(4, 999, log=True)},
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_the_sampler_goes_on_as_if_a_stranger_were_not_there(name: str) -> None:
    proposals = []
    for strangers in ([], [STRANGERS[name]]):
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=FrontSampler(1, SPACE, PARAMETERS))
        for k in range(15):
            told = {"params": {"units": 8 + k, "lr": 0.01}, "distributions": dict(SPACE)}
            study.add_trial(create_trial(values=[0.5 + k / 100, 100.0 + k * k], **told))
        study.add_trials(strangers)
        proposals.append(study.ask(dict(SPACE)).params)
    assert proposals[0] == proposals[1]


def test_a_second_aim_is_told_in_its_unit() -> None:
    assert (SECONDS.title, SECONDS.told(0.00325)) == ("ms per epoch", "3.25")
    assert PARAMETERS.told(19885.0) == "19,885"
    assert list(AIMS) == ["parameters", "seconds"]
