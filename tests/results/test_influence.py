"""What mattered to a search, what is to be expected along a parameter, and what going on may gain."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search.results.dependence import dependence
from search.results.gain import expected_gain
from search.results.importance import Importance, importances
from search.results.influence import influence_figures, influence_json, influence_sentences
from search.results.surrogate import surrogate
from search.results.tried import Scale, Tried, tried
from studies.claims import ACCURACY, Metric
from tests.support.made_up_searches import LOSS, PLAIN, Params, by_rate, search, state, trial, tried_of

SEEDS = range(3)


def by_name(known: Tried) -> dict[str, Importance]:
    return {each.parameter: each for each in importances(known)}


@pytest.mark.parametrize("seed", SEEDS)
def test_where_one_parameter_decides_it_alone_is_told_from_chance(seed: int) -> None:
    found = by_name(tried_of(seed=seed, count=50))
    assert found["lr"].known
    assert found["lr"].share > 0.6
    assert [name for name, each in found.items() if each.low > 0] == ["lr"]
    assert "one" not in found


@pytest.mark.parametrize("seed", SEEDS)
def test_where_none_decides_none_is_told_from_chance(seed: int) -> None:
    made = search(lambda _: 0.0, seed=seed)
    assert all(each.low == 0 for each in importances(tried(made)))
    assert influence_sentences(made)[0].startswith("what mattered cannot be told from chance yet: ")


def test_importances_need_no_more_than_an_order_and_no_direction() -> None:
    mirrored, plain = tried_of(lambda params: -by_rate(params), metric=LOSS, noise=0), tried_of(noise=0)
    bent = replace(plain, levels=tuple(math.exp(3 * level) for level in plain.levels))
    assert importances(mirrored) == importances(plain) == importances(bent)


def test_shares_are_shares_and_lie_in_their_intervals() -> None:
    found = importances(tried_of())
    assert sum(each.share for each in found) <= 1 + 1e-9
    assert all(0 <= each.low <= each.share <= each.high <= 1 for each in found)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)


def test_the_same_trials_and_seed_say_the_same_another_seed_hardly_another_thing() -> None:
    one, other = tried_of(seed=1), replace(tried_of(seed=1), seed=2)
    for call in (importances, expected_gain, surrogate):
        first = call(one)  # type: ignore[operator]
        call.cache_clear()
        if call is not surrogate:
            assert call(one) == first  # type: ignore[operator]
            assert call(other) != first  # type: ignore[operator]
    before = dependence(one, "lr")
    dependence.cache_clear()
    assert dependence(one, "lr") == before
    assert by_name(other)["lr"].share == pytest.approx(by_name(one)["lr"].share, abs=0.1)


def test_the_band_holds_the_truth_and_is_narrower_with_more_trials() -> None:
    """Of a value that depends on one parameter alone, the partial dependence is that value."""
    inside, widths = [], []
    for seed in SEEDS:
        for count in (20, 100):
            known = tried_of(seed=seed, count=count)
            found = dependence(known, "lr")
            assert found
            truth = [max(by_rate({"lr": at}), min(known.levels)) for at in found.places]
            inside += [low <= true <= high for low, true, high in zip(found.low, truth, found.high, strict=True)]
            widths.append(np.mean(np.subtract(found.high, found.low)))
    assert np.mean(inside) > 0.85
    assert sum(widths[1::2]) < sum(widths[::2])


def test_a_minimised_metric_has_its_band_the_right_way_up() -> None:
    found = dependence(tried_of(lambda params: math.exp(-by_rate(params)), metric=LOSS, noise=0.01), "lr")
    assert found
    assert all(low < mean < high for low, mean, high in zip(found.low, found.means, found.high, strict=True))
    assert 0.005 < found.places[int(np.argmin(found.means))] < 0.02


def few_trials(count: int, **options: Any) -> list[str]:
    made = search(count=count, **options)
    assert influence_figures(made) == []
    assert influence_json(made) == {"importances": [], "expected_gain": None}
    return influence_sentences(made)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("metric", [PLAIN, LOSS, ACCURACY])
def test_of_few_trials_nothing_is_said(count: int, metric: Metric) -> None:
    assert few_trials(count, metric=metric) == []


def test_of_trials_that_are_all_alike_nothing_is_expected() -> None:
    made = search(lambda _: 0.5, noise=0)
    assert influence_json(made)["expected_gain"] is None
    assert all(each.low == 0 for each in importances(tried(made)))


@pytest.mark.parametrize("seed", SEEDS)
def test_luck_is_no_gain(seed: int) -> None:
    """Where no setting is better than another, the best value of twice the trials is higher, and nothing is gained."""
    found = expected_gain(tried_of(lambda _: 0.0, seed=seed, noise=1.0), 40)
    rise = 2.70 - 2.16  # of the mean of the largest of 80 and of 40 normal values, less that the first stays
    assert found
    assert found.low <= 0 <= found.high
    assert found.mean < rise


@pytest.mark.parametrize("seed", SEEDS)
def test_a_search_that_has_not_been_near_the_best_is_expected_to_gain_more(seed: int) -> None:
    everywhere = tried_of(seed=seed, noise=0.02)
    far = tried_of(seed=seed, noise=0.02, known=lambda params: {**params, "lr": params["lr"] ** 0.5 * 1e-2})
    near, yet = expected_gain(everywhere), expected_gain(far)
    assert near
    assert yet
    assert near.mean < yet.mean
    assert near.mean < 0.05


def test_a_gain_is_positive_whichever_way_is_better() -> None:
    up = expected_gain(tried_of(noise=0.02))
    down = expected_gain(tried_of(lambda params: -by_rate(params), noise=-0.02, metric=LOSS))
    assert up
    assert up == down
    assert up.trials == 40


def test_with_two_aims_nothing_is_said_of_a_gain_and_importances_are_the_metrics() -> None:
    made, plain = search(against="parameters"), search()
    assert influence_json(made) == {**influence_json(plain), "expected_gain": None}


LAYERS = {
    "layers": IntDistribution(1, 3),
    "units0": IntDistribution(8, 64, log=True),
    "units1": IntDistribution(8, 64, log=True),
    "units2": IntDistribution(8, 64, log=True),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}


def occurring(params: Params) -> Params:
    return {name: value for name, value in params.items() if name[:5] != "units" or int(name[5:]) < params["layers"]}


def test_parameters_that_only_some_trials_have_are_weighed_and_drawn() -> None:
    made = search(
        lambda params: by_rate(params) + 0.2 * params["layers"], 60, space=LAYERS, known=occurring, noise=0.05
    )
    known = tried(made)
    assert set(by_name(known)) == set(LAYERS)
    assert by_name(known)["lr"].known
    assert not by_name(known)["units2"].known
    along = dependence(known, "layers")
    assert along
    assert along.places == (1, 2, 3)
    assert np.diff(along.means) == pytest.approx([0.2, 0.2], abs=0.15)
    for name in LAYERS:
        assert dependence(known, name)
    assert expected_gain(known)


def test_a_category_is_looked_at_choice_by_choice() -> None:
    found = dependence(tried_of(lambda params: float(params["kind"] == "a"), noise=0.1), "kind")
    assert found
    assert found.places == ("a", None, True)
    assert found.means == pytest.approx((1, 0, 0), abs=0.1)


def test_a_pruned_trial_stands_at_what_completed_ones_gained_from_its_epoch_on() -> None:
    made = [
        trial(number, {"lr": 0.01, "units": 9, "kind": "a", "one": 3}, [0.9], search().terms.space)
        for number in range(3)
    ]
    for number, early in enumerate((0.5, 0.6, 0.8)):
        made[number].intermediate_values = {3: early, 9: 0.9}
    made[2].state, made[2].values, made[2].intermediate_values = TrialState.PRUNED, [0.8], {3: 0.8}
    found = tried(state(made, PLAIN))
    assert found.levels == pytest.approx((0.9, 0.9, 0.8 + 0.35))
    assert found.complete == (True, True, False)
    made[2].intermediate_values = {4: 0.8}  # an epoch that no completed one has reported
    assert len(tried(state(made, PLAIN))) == 2


@pytest.mark.parametrize(
    ("metric", "values"), [(ACCURACY, [0.1, 0.9, 1.0]), (LOSS, [0.01, 3.0]), (LOSS, [-1.0, 2.0]), (PLAIN, [-3.0, 0.0])]
)
def test_a_scale_goes_up_with_what_is_better_and_back(metric: Metric, values: list[float]) -> None:
    scale = Scale.of(metric, values)
    levels = [scale.level(value) for value in values]
    assert np.argsort(levels).tolist() == np.argsort([metric.sign * value for value in values]).tolist()
    found = [scale.value(level) for level in levels]
    assert found[:-1] == pytest.approx(values[:-1])


def test_of_very_many_trials_a_cross_section_and_the_best_are_looked_at() -> None:
    made = tried_of(count=2000)
    seen = made.thinned(150)
    assert 150 <= len(seen) <= 151
    assert seen.levels[seen.best] == made.levels[made.best]
    assert by_name(made)["lr"].known
    assert expected_gain(made)


def test_the_figures_are_of_the_most_important_parameters_with_their_trials() -> None:
    made = search(seed=3)
    found = influence_figures(made)
    assert [picture.name for picture in found] == [f"search-influence-{k}" for k in (1, 2, 3)]
    assert "lr" in found[0].title
    assert "not told from chance" not in found[0].caption
    assert "not told from chance" in found[1].caption
    assert sum(len(line.x) for line in found[0].plot.data if line.mode == "markers") == 40
    for picture in found:
        assert picture.rows
        json.loads(picture.plot.to_json())


def test_it_is_said_in_words_and_in_json() -> None:
    made = search(lambda params: 0.9 + 0.02 * by_rate(params), noise=0.001, metric=ACCURACY, seed=4)
    mattered, gained = influence_sentences(made)
    assert mattered.startswith("what mattered: lr ")
    assert "; not told from chance: " in mattered
    document = influence_json(made)
    gain = document["expected_gain"]
    assert gained == gain["sentence"]
    said = f"{100 * gain['mean']:.2f} points (roughly {100 * gain['low']:.2f} to {100 * gain['high']:.2f})"
    assert gained == f"40 more trials are expected to gain {said}, luck left out"
    assert json.loads(json.dumps(document)) == document
