"""How values of any space are written, labelled and put into ranges."""

import json

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState, create_trial

from search.results.display import Axis, Display, Names
from search.results.search_figures import search_figures
from search.results.summary import curve_text, table, width_curve
from search.store.counts import Counts
from search.store.state import StudyState
from studies.asked import Asked
from studies.claims import ACCURACY, Called, Metric, better
from studies.prose import prose_of
from studies.settings import Setting
from studies.sweet_spot import ARTICLE, SPACE, STUDY

assert STUDY.prose is not None
OF_ARTICLE = Display(ARTICLE, SPACE, STUDY.prose)
LOSS = Metric("validation loss", "minimize", fraction=False)
SPACES: dict[str, tuple[BaseDistribution, list]] = {
    "log int": (IntDistribution(3, 200, log=True), [3, 4, 63, 64, 200]),
    "int": (IntDistribution(1, 3), [1, 2, 3]),
    "one int": (IntDistribution(7, 7), [7]),
    "float": (FloatDistribution(0, 0.6), [0.0, 0.1, 0.3, 0.6]),
    "log float": (FloatDistribution(1e-4, 1e-1, log=True), [1e-4, 1e-3, 0.05, 0.1]),
    "words": (CategoricalDistribution(["relu", "tanh"]), ["relu", "tanh"]),
    "truth": (CategoricalDistribution([True, False]), [True, False]),
}


def display(distribution: BaseDistribution, value, metric: Metric = ACCURACY) -> Display:
    asked = Asked.of_study([], {"p": value}, metric)
    return Display(asked, {"p": distribution}, prose_of(asked, {"p": distribution}))


def trials(distribution: BaseDistribution, values: list) -> list:
    return [
        create_trial(
            state=TrialState.COMPLETE,
            value=0.5 + at / 10,
            params={"p": value},
            distributions={"p": distribution},
            intermediate_values={1: 0.5 + at / 10},
        )
        for at, value in enumerate(values)
    ]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_every_trial_is_in_one_range_and_all_of_it_is_shown(name, metric):
    distribution, values = SPACES[name]
    shown, made = display(distribution, values[0], metric), trials(distribution, values)
    bins = width_curve(made, shown)
    assert sum(part.trials for part in bins) == len(made)
    best = made[-1] if metric is ACCURACY else made[0]
    assert best in [part.best for part in bins]
    assert len(curve_text(bins, shown)) == len(bins)
    assert table(made[0], made[-1], shown).row_count == 3
    attributes = {
        "fingerprint": {"space": {"p": stored(distribution)}, "epochs": 1},
        "claims": shown.asked.as_dict(),
    }
    state = StudyState("s", "sqlite://", attributes, Counts(len(made), 0, 0, 0, 0), made, made, {})
    assert [len(picture.rows) for picture in search_figures(state)] == [len(made)] * 3


def stored(distribution: BaseDistribution) -> dict:
    return json.loads(distribution_to_json(distribution))


def test_the_articles_ranges_and_labels_are_what_they_were():
    assert [low for low, _ in OF_ARTICLE.bins()] == [4, 8, 16, 32, 64, 128]
    assert OF_ARTICLE.bins()[-1] == (128, 256)
    assert OF_ARTICLE.ticks("hidden_units") == [4, 8, 16, 32, 64, 128, 256]
    assert OF_ARTICLE.ticks("lr") == [1e-4, 1e-3, 1e-2, 1e-1]
    assert OF_ARTICLE.cells({"hidden_units": 25, "lr": 0.02}) == ["25", "0.02000"]


def test_names_tell_settings_apart():
    units = Called("units", "units", "width", "widths", "units")
    narrow, wide = (Setting.of({"units": n, "lr": 0.1}) for n in (5, 50))
    assert Names.of([narrow, wide], units).full(narrow) == "5 units"
    assert Names.of([narrow, wide], None).brief(wide) == "units=50"
    slow = wide.put("lr", 0.01)
    names = Names.of([narrow, wide, slow], units)
    assert len({names.full(each) for each in (narrow, wide, slow)}) == 3


def test_an_axis_is_logarithmic_where_values_span_much():
    line = [Setting.of({"p": value}) for value in (1, 2, 40)]
    axis = Axis.of_parameter(line, "p", "p", [1, 2, 40])
    assert (axis.logarithmic, axis.at(line[2], 1.03)) == (True, 40 * 1.03)
    near = Axis.of_parameter([Setting.of({"p": value}) for value in (0.0, 0.2)], "p", "p", [])
    assert not near.logarithmic
    one = Axis.of_parameter([Setting.of({"p": "relu"})], "p", "p", [])
    assert one.labels == ["relu"]


def test_a_difference_has_its_unit():
    assert OF_ARTICLE.difference(0.0123) == "+1.23 points"
    assert display(FloatDistribution(0, 1), 0.5, LOSS).difference(-0.25) == "-0.25"
    assert ARTICLE.metric == ACCURACY
    with pytest.raises(ValueError, match="names q"):
        Asked.of_study([better({"q": 1}, than={})], {"p": 1}, ACCURACY)
