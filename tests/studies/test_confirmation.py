"""Plans drawn from the claims of any study, and the article's as it has always been stored."""

import json
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.asked import Asked
from studies.claims import ACCURACY, AsGoodAsAny, Metric, as_good_as_any, better, reaches, sweet_spot
from studies.confirmation import Plan, asked_of, best_trial, confirmation_of, early_arms, plan
from studies.settings import Setting
from studies.sweet_spot import ARTICLE
from studies.sweet_spot import sweet_spot as search_of

SPACE = {
    "units": IntDistribution(4, 256, log=True),
    "dropout": FloatDistribution(0, 0.6),
    "kind": CategoricalDistribution(["relu", "tanh"]),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}
BASELINE = {"units": 25, "dropout": 0.0, "kind": "relu", "lr": 0.02}
LOSS = Metric("validation loss", "minimize", fraction=False)
STORED = json.loads((Path(__file__).parents[1] / "verdict" / "article" / "stored.json").read_text(encoding="utf-8"))


def trial(number: int, value: float, **params) -> FrozenTrial:
    made = create_trial(state=TrialState.COMPLETE, value=value, params=BASELINE | params, distributions=SPACE)
    made.number = number
    return made


TRIALS = [
    trial(0, 0.95),
    trial(1, 0.96, lr=0.005),
    trial(2, 0.97, lr=0.001, kind="tanh"),
    trial(3, 0.98, lr=0.003, units=200, dropout=0.4),
]
DROPOUT = better({"units": 100, "dropout": 0.2}, than={"units": 100})
SPOT = sweet_spot("units", 25, among=[10, 25, 100])


def test_a_plan_holds_the_settings_of_the_claims_the_baseline_and_the_winner():
    drawn = plan("s", TRIALS, Asked.of_study([DROPOUT], BASELINE, ACCURACY), SPACE)
    told = [(arm.protocol, arm.params["units"], arm.params["dropout"], arm.role) for arm in drawn.arms]
    assert told == [
        ("stated", 25, 0.0, "baseline"),
        ("stated", 100, 0.0, None),
        ("stated", 100, 0.2, None),
        ("winner", 200, 0.4, "winner"),
    ]
    assert Plan.of(json.loads(json.dumps(drawn.as_dict()))) == drawn


def test_the_winners_value_joins_a_sweet_spots():
    drawn = plan("s", TRIALS, Asked.of_study([SPOT], BASELINE, ACCURACY), SPACE)
    assert [arm.params["units"] for arm in drawn.arms if arm.protocol == "stated"] == [10, 25, 100, 200]


def test_the_best_that_is_no_larger_joins_a_claim_about_such_in_all_that_is_not_free():
    sizes = {0: 500, 1: 500, 2: 400, 3: 600}
    trials = [trial(each.number, each.value, **each.params) for each in TRIALS]
    trials[2] = trial(2, 0.97, lr=0.001, kind="tanh", units=20)
    for each in trials:
        each.set_user_attr("parameters", sizes[each.number])
    any_width, any_at_all = as_good_as_any({}, [{"units": 24}], no_larger=True), as_good_as_any({}, [], no_larger=True)

    def told(claim: AsGoodAsAny, *free: str) -> list[tuple]:
        drawn = plan("s", trials, Asked.of_study([claim], BASELINE, ACCURACY, free), SPACE)
        return [(arm.protocol, *(arm.params[name] for name in ("units", "kind", "lr"))) for arm in drawn.arms]

    own, won = ("stated", 25, "relu", 0.02), ("winner", 200, "relu", 0.003)
    assert told(any_width) == [("stated", 20, "relu", 0.02), ("stated", 24, "relu", 0.02), own, won]
    assert told(any_at_all) == [own, ("stated", 20, "tanh", 0.001), won]  # the best of at most 500 parameters
    assert told(any_at_all, "lr")[1] == ("stated", 20, "tanh", 0.02)
    assert ("tuned", 20, "tanh", 0.001) in told(any_at_all, "lr")


def test_tuned_settings_take_what_is_free_from_the_best_trial_that_is_near_in_all_else():
    drawn = plan("s", TRIALS, Asked.of_study([SPOT], BASELINE, ACCURACY, ("lr",)), SPACE)
    tuned = [(arm.params["units"], arm.params["lr"], arm.source) for arm in drawn.arms if arm.protocol == "tuned"]
    # 200 units without dropout: none is near, and trial 3, whose dropout differs, is farther than 25 units are.
    assert tuned == [(10, 0.005, 1), (25, 0.005, 1), (100, 0.005, 1), (200, 0.005, 1)]
    assert [arm.role for arm in drawn.arms if arm.role] == ["baseline", "winner"]


def test_a_category_is_alike_or_not():
    assert best_trial(TRIALS, BASELINE, ("lr",), SPACE).number == 1
    assert best_trial(TRIALS, BASELINE | {"kind": "tanh"}, ("lr",), SPACE).number == 2
    assert best_trial(TRIALS, BASELINE, ("lr", "kind"), SPACE).number == 2


def test_where_less_is_better_the_winner_is_the_lowest():
    asked = Asked.of_study([SPOT], BASELINE, LOSS, ("lr",))
    drawn = plan("s", TRIALS, asked, SPACE)
    assert drawn.winner == 0
    baseline, winner = (next(arm for arm in drawn.arms if arm.role == role) for role in ("baseline", "winner"))
    assert winner.params == baseline.params
    assert drawn.trained(winner) == baseline  # once is enough


def test_the_winner_is_trained_once_where_it_is_the_baseline():
    drawn = plan("s", TRIALS[:1], Asked.of_study([SPOT], BASELINE, ACCURACY), SPACE)
    winner = next(arm for arm in drawn.arms if arm.role == "winner")
    assert drawn.trained(winner).role == "baseline"


@pytest.mark.parametrize("free", [(), ("lr",)])
def test_the_winner_is_trained_once_where_a_claim_has_it_scored_on_the_test_data_anyway(free):
    won = TRIALS[3].params
    asked = Asked.of_study([reaches(won, 0.9), better(won, than=BASELINE)], BASELINE, ACCURACY, free)
    drawn = plan("s", TRIALS, asked, SPACE)
    winner = next(arm for arm in drawn.arms if arm.role == "winner")
    assert (winner.protocol, drawn.trained(winner)) == ("stated", winner)
    assert [arm.params for arm in drawn.to_train()].count(Setting.of(won)) == 1
    assert winner.setting not in {arm.setting for arm in early_arms(asked, SPACE)}  # they are stored without a role


def test_a_plan_of_the_time_when_arms_were_stored_by_width_is_read():
    stored = STORED["sweet-spot/confirm"]["attrs"]["plan"]
    drawn = Plan.of(stored)
    assert Plan.of(json.loads(json.dumps(drawn.as_dict()))) == drawn
    told = [{"width": arm.params["hidden_units"], "lr": arm.params["lr"], "lr_from": arm.source} for arm in drawn.arms]
    assert told == [{name: arm[name] for name in ("width", "lr", "lr_from")} for arm in stored["arms"]]
    assert {arm.setting["lr"] for arm in drawn.arms} == {0.02}


def test_the_articles_confirmation_is_stated_as_it_was():
    stored = STORED["sweet-spot/confirm"]["attrs"]["fingerprint"]
    stated = confirmation_of(search_of("sweet-spot", 2), 2).fingerprint()
    assert stored["split"].items() <= stated["split"].items()  # the data's name and hash came later
    assert {**stated, "split": stored["split"]} == stored


def test_a_study_without_claims_of_its_own_asks_what_the_article_does():
    assert asked_of(STORED["sweet-spot"]["attrs"]) is ARTICLE
    own = Asked.of_study([DROPOUT], BASELINE, ACCURACY)
    assert asked_of({"claims": own.as_dict()}) == own
    with pytest.raises(ValueError, match="make no sense"):
        asked_of({"claims": {}})
