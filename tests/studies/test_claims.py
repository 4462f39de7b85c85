"""Claims as data: their JSON, what the baseline completes, and what is refused in a line."""

import json
import math

import pytest

from studies import claims
from studies.asked import Asked, tunable
from studies.built_in.sweet_spot import article_claims
from studies.claims import ACCURACY, Called, Metric, Words
from studies.settings import Setting
from studies.sweet_spot import ARTICLE

BASELINE = {"units": 25, "dropout": 0.0, "kind": "relu"}
WIDE = {"units": 100}
OWN = (
    claims.better(WIDE | {"dropout": 0.2}, than=WIDE),
    claims.worse({"units": 10}, than={}, by=0.01),
    claims.as_good_as({"kind": "tanh"}, than={"kind": "relu"}, within=0.002),
    claims.slower(WIDE, than={"units": 25}, by=1.5, words=Words("wide takes long", "long", Called(*"abcde"))),
    claims.memorizes(WIDE, than={"units": 25}, id="wide-memorizes"),
    claims.sweet_spot("units", 25, among=[10, 25, 100], at={"dropout": 0.2}),
    claims.sweet_spot("kind", "relu", among=["tanh", "relu"]),
    claims.as_good_as_any({}, [WIDE, {"kind": "tanh"}], within=0.002),
    claims.as_good_as_any(WIDE, [], no_larger=True, id="shape"),
    claims.reaches(WIDE, 0.99),
    claims.better_in_time({"units": 12}, than=WIDE, by=0.002, time=0.9),
)


@pytest.mark.parametrize("claim", [*OWN, *article_claims()], ids=lambda claim: claim.id)
def test_a_claim_survives_json(claim):
    assert claims.of(json.loads(json.dumps(claim.as_dict()))) == claim
    assert hash(claims.of(claim.as_dict())) == hash(claim)


def test_what_a_study_asks_survives_json():
    asked = Asked.of_study(OWN, BASELINE, Metric("validation loss", "minimize", False), ("dropout",))
    assert Asked.of(json.loads(json.dumps(asked.as_dict()))) == asked


def test_words_are_no_part_of_a_claims_identity():
    plain = claims.slower(WIDE, than={"units": 25}, by=1.5)
    assert plain.identity() == OWN[3].identity()
    assert plain != OWN[3]


def test_the_baseline_completes_what_a_setting_lacks():
    asked = Asked.of_study(OWN, BASELINE, ACCURACY)
    assert dict(asked.claims[0].a) == BASELINE | {"units": 100, "dropout": 0.2}
    assert dict(asked.claims[1].a) == BASELINE  # "worse" is told of b
    assert dict(asked.claims[5].spot) == BASELINE | {"dropout": 0.2}
    assert all(set(setting) == set(BASELINE) for claim in asked.claims for setting in claim.settings())


def test_the_settings_that_are_trained_are_each_there_once_with_the_winners_value():
    asked = Asked.of_study(OWN[5:6], BASELINE, ACCURACY)
    stated = asked.stated({"units": 40, "dropout": 0.5, "kind": "tanh"})
    trained = [(each["dropout"], each["units"]) for each in stated]
    assert trained == [(0.0, 25), (0.2, 10), (0.2, 25), (0.2, 40), (0.2, 100)]
    assert asked.tuned({"units": 40}) == []  # nothing is set free


def test_claims_about_a_free_parameter_are_not_judged_with_it_tuned():
    asked = Asked.of_study(OWN, BASELINE, ACCURACY, ("dropout",))
    assert [tunable(claim, asked.protocols.free) for claim in asked.claims] == [False, *[True] * 8, False, True]
    assert not tunable(OWN[5], ("units",))


def test_ids_name_what_differs():
    assert [claim.id for claim in OWN] == [
        "dropout=0.2-better-than-baseline",
        "units=10-worse-than-baseline",
        "kind=tanh-as-good-as-kind=relu",
        "units=100-slower-than-units=25",
        "wide-memorizes",
        "units=25-sweet-spot",
        "kind=relu-sweet-spot",
        "baseline-as-good-as-any",
        "shape",
        "units=100-reaches-0.99",
        "units=12-better-in-time-than-units=100",
    ]


def test_the_articles_claims_are_of_its_settings():
    trained = ARTICLE.stated({"hidden_units": 25, "lr": 0.001})
    assert [(each["hidden_units"], each["lr"]) for each in trained] == [(w, 0.02) for w in (10, 16, 25, 40, 64, 100)]
    assert [claim.kind for claim in ARTICLE.claims] == ["better", "slower", "memorizes", "sweet_spot"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: claims.better(WIDE, than=WIDE), "with itself"),
        (lambda: claims.better(WIDE, than={}, by=-0.1), "margins are numbers of 0 or more"),
        (lambda: claims.as_good_as(WIDE, than={}, within=math.nan), "margins are numbers"),
        (lambda: claims.slower(WIDE, than={}, by=0.9), "margins are numbers of 1 or more"),
        (lambda: claims.memorizes(WIDE, than={}, gap=True), "margins are numbers"),
        (lambda: claims.better(WIDE, than={}, id="a b"), "the id of a claim"),
        (lambda: claims.sweet_spot("units", 25, among=[10, 100]), "one of at least two"),
        (lambda: claims.sweet_spot("units", 25, among=[25]), "one of at least two"),
        (lambda: claims.sweet_spot("units", 25, among=[25, 25]), "one of at least two"),
        (lambda: claims.sweet_spot("units", 25, among=[10, 25], at={"units": 3}), "no place in at="),
        (lambda: claims.as_good_as_any(WIDE, []), "at least one"),
        (lambda: claims.as_good_as_any(WIDE, [{}, WIDE]), "differ"),
        (lambda: claims.as_good_as_any(WIDE, [{}, {}]), "differ"),
        (lambda: claims.as_good_as_any(WIDE, [{}], within=-1), "margins are numbers"),
        (lambda: claims.reaches(WIDE, math.nan), "is a number"),
        (lambda: claims.reaches(WIDE, "best"), "is a number"),
        (lambda: claims.better_in_time(WIDE, than={}, time=0), "above 0"),
        (lambda: Asked.of_study([claims.as_good_as_any(WIDE, [{"units": 100}, {}])], BASELINE, ACCURACY), "differ"),
        (lambda: Asked.of_study([claims.as_good_as_any({}, [{"units": 25}])], BASELINE, ACCURACY), "with itself"),
        (lambda: claims.of({"kind": "best"}), "is no claim"),
        (lambda: claims.of({**OWN[0].as_dict(), "by": None, "of": 1}), "is no claim"),
        (lambda: Asked.of_study([claims.better({"units": 25}, than={})], BASELINE, ACCURACY), "with itself"),
        (lambda: Asked.of_study([OWN[4], OWN[4]], BASELINE, ACCURACY), "two claims have the id 'wide-memorizes'"),
        (lambda: Asked.of_study([claims.better({"depth": 2}, than={})], BASELINE, ACCURACY), "names depth"),
        (lambda: Asked.of_study(OWN, BASELINE, ACCURACY, ("rate",)), "free"),
        (lambda: Asked.of({"claims": 3}), "make no sense"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_a_setting_does_not_depend_on_the_order_of_its_parameters():
    one, other = Setting.of({"a": 1, "b": "x"}), Setting.of({"b": "x", "a": 1})
    assert (one, hash(one), str(one)) == (other, hash(other), "a=1, b=x")


def test_numbers_are_ordered_by_size_and_before_words():
    values = [100, 9.5, "relu", 25, True, None]
    ordered = sorted((Setting.of({"a": value}) for value in values), key=Setting.order)
    assert [each["a"] for each in ordered] == [9.5, 25, 100, None, True, "relu"]
