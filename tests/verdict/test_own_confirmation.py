"""A search with claims of its own is confirmed as the article's is: trained, timed, resumed and judged."""

import json
from statistics import fmean

from search.verdict.cohorts import PLAN
from search.verdict.confirmation import confirm, open_confirmation
from search.verdict.findings import findings
from studies.asked import Asked
from studies.claims import ACCURACY, better, better_in_time, reaches, slower, sweet_spot
from studies.confirmation import CLAIMS, Plan
from tests.support.tiny_study import CAPACITY, EPOCHS, quiet, search_at, tiny_mnist

BASELINE = {"hidden_units": 25, "lr": 0.02}
OWN = Asked.of_study(
    [
        better({"hidden_units": 12}, than={"hidden_units": 6}),
        better({"lr": 0.05}, than={}, id="rate"),
        slower({"hidden_units": 12}, than={"hidden_units": 6}),
        sweet_spot("hidden_units", 12, among=[6, 12]),
        reaches({"hidden_units": 6}, 0.01),
        better_in_time({"hidden_units": 7}, than={"hidden_units": 6}),
    ],
    BASELINE,
    ACCURACY,
    ("lr",),
)


def test_claims_of_its_own_are_confirmed(tmp_path):
    search = search_at(tmp_path / "s.db")
    search.study.set_user_attr(CLAIMS, OWN.as_dict())
    store = open_confirmation(search, 2, EPOCHS)
    asked = iter([False] * 8)
    confirm(store, tiny_mnist(), CAPACITY, quiet, lambda: next(asked, True))
    again = open_confirmation(search, 3, EPOCHS)
    assert confirm(again, tiny_mnist(), CAPACITY, quiet, lambda: False)
    drawn = Plan.of(json.loads(json.dumps(again.study.user_attrs[PLAN])))
    trained = set(map(drawn.trained, drawn.arms))
    assert len(again.study.get_trials()) == 3 * len(trained)
    found = findings(store.storage, "sweet-spot")
    assert found.asked == OWN
    assert [claim.id for claim in found.verdict.claims] == [claim.id for claim in OWN.claims]
    assert [claim.n for claim in found.verdict.claims] == [3, 3, 7, 3, 3, 3]
    assert "rate" not in [claim.id for claim in found.verdict.fair_claims]
    bounded = [part.shown.bounds() is not None for part in found.verdict.claims[-1].parts]
    assert bounded == [False, True]  # of seeds there are too few; times are known
    tested = [trial for trial in found.trials if "test_accuracy" in trial.user_attrs]
    asked_for = [trial for trial in tested if trial.params == {"hidden_units": 6, "lr": 0.02}]
    assert len(asked_for) == 3
    assert {trial.user_attrs.get("role") for trial in tested if trial not in asked_for} == {"baseline", "winner"}
    assert found.verdict.claims[4].effect == fmean(trial.user_attrs["test_accuracy"] for trial in asked_for)
