"""Spaces whose parameters occur only beside others: which those are, and what is said of a setting that is none."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from model.data.dataset import open_dataset
from studies.asking import SpaceError
from studies.file import read_study
from studies.search_spec import search_spec
from studies.space import Space
from studies.study import StudyError

few = settings(deadline=None, max_examples=30)
CHOICES = ("a", "b", None, True)
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_layers.py"


@dataclass(frozen=True)
class Node:
    """A parameter of a made-up space: it occurs where its parent has a value; a root has none."""

    parent: int | None
    beside: int  # number of the parent's value
    kind: str


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for at in range(draw(st.integers(1, 5))):
        deciding = [n for n, node in enumerate(nodes) if node.kind != "float"]
        parent = draw(st.sampled_from([None, *deciding]))
        nodes.append(
            Node(parent if at else None, draw(st.integers(0, 3)), draw(st.sampled_from(["cat", "int", "float"])))
        )
    return nodes


def function_of(nodes: list[Node]) -> Callable[[Any], None]:
    def function(trial: Any) -> None:
        values: dict[int, Any] = {}
        for at, node in enumerate(nodes):
            if node.parent is None or (node.parent in values and values[node.parent] == _value(nodes, node)):
                values[at] = _suggested(trial, f"p{at}", node.kind)

    return function


def _value(nodes: list[Node], node: Node) -> Any:
    assert node.parent is not None
    return CHOICES[node.beside] if nodes[node.parent].kind == "cat" else 1 + node.beside


def _suggested(trial: Any, name: str, kind: str) -> Any:
    if kind == "cat":
        return trial.suggest_categorical(name, CHOICES)
    return trial.suggest_int(name, 1, 4) if kind == "int" else trial.suggest_float(name, 0.1, 2.0, log=True)


@few
@given(trees())
def test_every_parameter_that_can_occur_is_found_with_its_range(nodes: list[Node]) -> None:
    space = Space.of(function_of(nodes))
    ranges = {
        "cat": CategoricalDistribution(CHOICES),
        "int": IntDistribution(1, 4),
        "float": FloatDistribution(0.1, 2.0, log=True),
    }
    assert dict(space) == {f"p{at}": ranges[node.kind] for at, node in enumerate(nodes)}
    assert space.sometimes == {f"p{at}" for at, node in enumerate(nodes) if node.parent is not None}


@few
@given(trees(), st.integers(0, 2**16))
def test_what_optuna_draws_is_a_setting_and_nothing_more_or_less_is(nodes: list[Node], seed: int) -> None:
    function = function_of(nodes)
    space = Space.of(function)
    trial = optuna.create_study(sampler=RandomSampler(seed)).ask()
    drawn = space.suggest(trial)
    assert drawn == trial.params
    assert space.wrong(drawn) == ""
    for name in drawn:
        assert space.wrong({key: value for key, value in drawn.items() if key != name}).startswith("has no ")
    for name in set(space) - set(drawn):
        value = {"cat": "a", "int": 1, "float": 0.5}[nodes[int(name[1:])].kind]
        assert f"has {name}, which does not occur with" in space.wrong({**drawn, name: value})
        assert space.belonging({**drawn, name: value}) == drawn


@few
@given(trees(), st.data())
def test_what_belongs_together_is_what_optunas_fixed_trial_says(nodes: list[Node], data: st.DataObject) -> None:
    values = {"cat": st.sampled_from(CHOICES), "int": st.integers(1, 4), "float": st.just(0.5)}
    everything = {f"p{at}": data.draw(values[node.kind]) for at, node in enumerate(nodes)}
    told = optuna.trial.FixedTrial(everything)
    function_of(nodes)(told)
    assert Space.of(function_of(nodes)).belonging(everything) == told.params


@few
@given(trees())
def test_what_is_tried_before_a_search_has_every_parameter(nodes: list[Node]) -> None:
    space = Space.of(function_of(nodes))
    assert {name for branch in space.branches for name in branch} == set(space)
    assert all(space.wrong(branch) == "" for branch in space.branches)


def test_a_function_without_conditions_is_as_good_as_a_dict() -> None:
    def function(trial: Any) -> None:
        trial.suggest_int("units", 8, 256, log=True)
        trial.suggest_float("lr", 1e-4, 1e-1, log=True)

    ranges = {"units": IntDistribution(8, 256, log=True), "lr": FloatDistribution(1e-4, 1e-1, log=True)}
    space = Space.of(function)
    assert (dict(space), space.sometimes, list(space)) == (ranges, frozenset(), ["units", "lr"])


def test_many_parameters_take_a_bounded_number_of_runs() -> None:
    runs = []

    def function(trial: Any) -> None:
        runs.append(trial)
        for at in range(40):
            if trial.suggest_categorical(f"on{at}", [False, True]):
                trial.suggest_float(f"rate{at}", 0.0, 1.0)

    space = Space.of(function)
    assert len(space) == 80
    assert len(runs) < 3000


def test_what_occurs_between_the_ends_of_a_range_is_found() -> None:
    def function(trial: Any) -> None:
        if 20 < trial.suggest_int("units", 1, 100) < 40:
            trial.suggest_float("dropout", 0.0, 0.5)

    assert Space.of(function).sometimes == {"dropout"}


def test_what_was_never_seen_is_refused_when_it_comes() -> None:
    def function(trial: Any) -> None:
        if trial.suggest_int("seed", 1, 10**6) == 777:
            trial.suggest_float("extra", 0.0, 1.0)

    study = optuna.create_study()
    study.enqueue_trial({"seed": 777})
    with pytest.raises(SpaceError, match=r"asks for extra = FloatDistribution.* with seed = 777 for the first time"):
        Space.of(function).suggest(study.ask())


def test_an_error_of_the_function_names_the_values_it_came_with() -> None:
    def function(trial: Any) -> None:
        1 / (trial.suggest_int("depth", 1, 10**6) - 777)

    study = optuna.create_study()
    study.enqueue_trial({"depth": 777})
    with pytest.raises(SpaceError, match="fails with depth = 777: ZeroDivisionError: "):
        Space.of(function).suggest(study.ask())


def changed(directory: Path, old: str, new: str) -> Path:
    """The example, with a mistake in it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert old in text
    path = directory / "layers.py"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


MISTAKES = {
    "lacks": (
        '"layers": 1, "units0": 25, ',
        '"layers": 1, ',
        "the baseline has no units0, which occurs with layers = 1",
    ),
    "too much": (
        '"units0": 25, ',
        '"units0": 25, "units1": 25, ',
        "the baseline has units1, which does not occur with layers = 1, units0 = 25, lr = 0.02",
    ),
    "outside": ('"units0": 25, ', '"units0": 250, ', "the baseline has units0 = 250, which is outside"),
    "unknown": ('"units0": 25, ', '"units9": 25, ', "the baseline has units9, which the space has not: layers, units0"),
    "claim lacks": (
        '{"layers": 2, "units1": 25}, {',
        '{"layers": 2}, {',
        "claim 'layers=2-better-than-layers=1' has no units1, which occurs with layers = 2, units0 = 25",
    ),
    "claim has too much": ('than={"layers": 1}', 'than={"layers": 1, "units1": 9}', "has units1, which does not occur"),
    "fixed lacks": ('data="digits",', 'data="digits", fixed=[{"layers": 2}],', "the fixed trial has no units1"),
    "range depends": ('f"units{at}", 8, 64', '"units0", 8, 64 + at', "the space has units0 with two ranges, IntDist"),
    "no space": ("space=space,", "space=[1],", "the space is a dict of ranges or a function of a trial, not list"),
    "raises": ("trial.suggest_float(", "trial.number; trial.suggest_float(", "layers.py, line 13 (trial.number"),
    "same": ('than={"layers": 1}, by', 'than=two | {"units0": 25}, by', "compares "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    old, new, said = MISTAKES[name]
    with pytest.raises(StudyError) as caught:
        read_study(changed(tmp_path, old, new))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dict_is_stored_as_ever_and_a_function_by_all_that_can_occur(tmp_path: Path) -> None:
    data = open_dataset("digits")
    stated = search_spec(read_study(EXAMPLE), data, "study").fingerprint()
    assert list(stated["space"]) == ["layers", "units0", "units1", "units2", "lr"]
    assert stated["conditional"] == ["units1", "units2"]
    plain = EXAMPLE.with_name("digits_dropout.py")
    assert "conditional" not in search_spec(read_study(plain), data, "study").fingerprint()


def test_conditions_are_searched_by_optunas_own_and_the_study_says_so() -> None:
    spec = search_spec(read_study(EXAMPLE), open_dataset("digits"), "study")
    assert (type(spec.sampler(0)).__name__, type(spec.pruner).__name__) == ("TPESampler", "SuccessiveHalvingPruner")
    assert spec.method is not None
    assert spec.method.startswith("Optuna's TPE")


def test_the_settings_of_claims_leave_out_what_does_not_occur_and_are_read_back_so() -> None:
    spec = search_spec(read_study(EXAMPLE), open_dataset("digits"), "study")
    assert spec.asked is not None
    pair = spec.asked.as_dict()["claims"][0]
    assert pair["a"] == {"layers": 2, "lr": 0.02, "units0": 25, "units1": 25}
    assert pair["b"] == {"layers": 1, "lr": 0.02, "units0": 25}
