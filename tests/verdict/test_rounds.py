"""Rounds of a confirmation: seeds go where claims are open, the same ones whoever decides, and none twice."""

import json
import os
from collections import Counter

import numpy as np
import optuna
import pytest

from benchmarks.faults import start, wait_until
from search.report import main as report_main
from search.results.page import page
from search.results.verdict_text import more_command, outlook
from search.store.attributes import check_study
from search.verdict import rounds
from search.verdict.boundary import FIRST
from search.verdict.cohorts import PLAN
from search.verdict.evidence import Row
from search.verdict.findings import document, findings
from search.verdict.rounds import Limits, Round, next_round
from search.verdict.runs import evident, planned, rows_of
from studies.asked import Asked
from studies.claims import ACCURACY, as_good_as_any, better_in_time
from studies.confirmation import RULE, Arm, Plan
from studies.optuna_private import study_key
from studies.settings import Setting
from studies.sweet_spot import BASELINE
from tests.support.known_runs import OWN, confirming, rounds_of, runs_of, searched, work, work_at
from tests.support.threads import at_once

LIMIT = 16


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The confirmation as one worker trains it from beginning to end."""
    store = confirming(f"sqlite:///{tmp_path_factory.mktemp('alone')}/s.db", LIMIT)
    work(store)
    return store


def seeds_of(store) -> list[int]:
    counted = Counter(key for key, *_ in runs_of(store))
    return sorted(counted.values())


def rows(store):
    trials = planned(store.study, store.study.get_trials(), store.drawn)
    return rows_of(OWN, store.drawn, evident(store.study, trials, OWN))


# --- what is decided


def test_seeds_go_to_the_arms_of_open_claims_only(alone):
    arms = alone.drawn.to_train()
    told = rounds_of(alone)
    assert told["rounds"][0] == {"seeds": FIRST, "arms": list(range(len(arms)))}
    assert [each["seeds"] for each in told["rounds"]] == list(range(FIRST, FIRST + len(told["rounds"])))
    open_widths = {arms[at].params["hidden_units"] for each in told["rounds"][1:] for at in each["arms"]}
    assert open_widths == {64, 100}
    assert told["ended"] == "settled"
    assert len(told["rounds"]) > 1
    assert min(seeds_of(alone)) == FIRST
    found = findings(alone.storage, "study")
    assert {claim.id: claim.verdict for claim in found.verdict.claims} == {
        "clear": "supported",
        "close": "supported",
        "spot": "refuted",
    }


def test_the_verdict_settles_where_the_rounds_end_and_not_a_seed_before(alone):
    every = rows(alone)
    had = [len([key for key in runs_of(alone) if key[0][1] == arm.params]) for arm in alone.drawn.to_train()]
    assert next_round(OWN, alone.drawn, every, had) is None
    last = max(row.seed for row in every)
    earlier = [row for row in every if row.seed < last]
    found = next_round(OWN, alone.drawn, earlier, [min(seeds, last) for seeds in had])
    assert found == Round(tuple(rounds_of(alone)["rounds"][-1]["arms"]), last + 1)


def test_the_order_of_runs_decides_nothing(alone):
    every = [row for row in rows(alone) if row.seed < FIRST]
    had = [FIRST] * len(alone.drawn.to_train())
    assert next_round(OWN, alone.drawn, every[::-1], had) == next_round(OWN, alone.drawn, every, had) is not None


def test_arms_that_lag_behind_are_next(alone):
    every = [row for row in rows(alone) if row.seed < FIRST]
    had = [FIRST] * len(alone.drawn.to_train())
    arms = next_round(OWN, alone.drawn, every, had).arms
    had[arms[0]] = LIMIT
    assert next_round(OWN, alone.drawn, every, had).seeds == FIRST + 1


def of_width(units):
    return Setting.of({**BASELINE, "hidden_units": units})


def width_rows(means, parameters=None, seeds=FIRST + 2):
    """Runs of widths around these means, each seed of all a little better or worse."""
    rng = np.random.default_rng(0)
    return [
        Row(of_width(units), of_width(units), "stated", seed, value, value, 0.2, 0.1, size)
        for units, mean in means.items()
        for size in [(parameters or {}).get(units, units)]
        for seed, value in enumerate(mean + rng.normal(0, 0.002, seeds))
    ]


def following(claim, means, parameters=None):
    """The widths that get another seed."""
    asked = Asked.of_study([claim], BASELINE, ACCURACY)
    drawn = Plan("s", 1, 0, tuple(Arm("stated", of_width(units), of_width(units)) for units in means), RULE)
    found = next_round(asked, drawn, width_rows(means, parameters), [FIRST + 2] * len(means))
    return found and {drawn.to_train()[at].params["hidden_units"] for at in found.arms}


def test_a_claim_about_value_and_time_gets_seeds_for_the_value_alone():
    """Times are measured at the end: nothing is known of them while seeds are trained."""
    claim = better_in_time(of_width(25), than=of_width(10), by=0.005)
    assert following(claim, {10: 0.90, 25: 0.93}) is None
    assert following(claim, {10: 0.93, 25: 0.90}) is None
    assert following(claim, {10: 0.90, 25: 0.905}) == {10, 25}


def test_of_what_one_is_compared_with_those_get_seeds_that_may_be_ahead_of_it():
    claim = as_good_as_any(of_width(25), [of_width(10), of_width(16)], within=0.005, no_larger=True)
    assert following(claim, {25: 0.93, 10: 0.90, 16: 0.92}) is None
    assert following(claim, {25: 0.93, 10: 0.90, 16: 0.935}) == {25, 16}
    found = {25: 0.93, 10: 0.90, 16: 0.92, 64: 0.935}  # by the search, no other claim names it
    assert following(claim, found, {64: 20}) == {25, 64}
    assert following(claim, found, {64: 30}) is None  # it is larger


def test_limits_end_it():
    assert Limits(12).reached(Round((0,), 12), 1e9) is None
    assert Limits(12).reached(Round((0,), 13), 0) == "seeds"
    assert Limits(12, 5).reached(Round((0,), 12), 5) == "minutes"


# --- what is stored


def test_many_workers_train_what_one_would_and_nothing_twice(url, alone):
    searched(url)
    assert at_once(3, lambda: work(confirming(url, LIMIT))) == []
    store = confirming(url, LIMIT)
    assert runs_of(store) == runs_of(alone)
    assert rounds_of(store) == rounds_of(alone)
    assert store.counts().failed == store.counts().waiting == 0


def test_who_comes_when_others_train_the_whole_round_waits_for_them(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    one, other = confirming(url, 1), confirming(url, 1)
    while one.next_seed() is not None and one.acquire() is not None:
        pass
    assert other.next_seed() is None
    assert other.next_round()


def test_a_run_that_is_being_started_is_neither_missed_nor_written_down_again(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    store = confirming(url, 1)
    written = store.counts().waiting
    store.next_seed()
    trial_id = store.storage.acquire(study_key(store.study), store.worker, set(), wanted={"seed_index": 0})
    begun = optuna.Trial(store.study, trial_id)
    begun.suggest_int("hidden_units", 4, 256, log=True)  # its lr is not stored yet
    again = confirming(url, 1)
    assert again.counts().waiting == written - 1
    assert len(planned(again.study, again.study.get_trials(), again.drawn)) == written


def test_a_worker_killed_in_any_round_is_replaced_by_another(url, alone, tmp_path):
    searched(url)
    log = tmp_path / "log"
    log.touch()
    for goal in (7, 45, len(runs_of(alone)) - 1):  # in the first round twice, and in the last
        worker = start(work_at, url, LIMIT, str(log))
        wait_until(lambda goal=goal: log.stat().st_size >= goal)
        worker.kill()
        worker.join()
        confirming(url, LIMIT).fail_trials_of(f"{os.uname().nodename}:{worker.pid}:")
    store = confirming(url, LIMIT)
    work(store)
    assert runs_of(store) == runs_of(alone)
    assert rounds_of(store) == rounds_of(alone)


@pytest.mark.parametrize("written", [0, 1])
def test_a_round_that_was_decided_and_not_written_down_is_written_by_the_next(written, alone, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/s.db"
    store = confirming(url, FIRST)
    work(store)
    left = iter([True] * written)
    real = rounds.enqueue

    def dies(*args, **kwargs):
        if not next(left, False):
            raise KeyboardInterrupt
        real(*args, **kwargs)

    with monkeypatch.context() as fault:
        fault.setattr(rounds, "enqueue", dies)
        with pytest.raises(KeyboardInterrupt):
            confirming(url, LIMIT)
    assert len(rounds_of(store)["rounds"]) == 2
    again = confirming(url, LIMIT)
    work(again)
    assert runs_of(again) == runs_of(alone)
    assert rounds_of(again) == rounds_of(alone)


def test_a_higher_limit_goes_on_where_a_lower_one_ended(alone, tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    for limit, seeds in ((3, 3), (FIRST, FIRST), (LIMIT, max(seeds_of(alone)))):
        store = confirming(url, limit)
        work(store)
        assert max(seeds_of(store)) == seeds
        assert rounds_of(store)["ended"] == ("settled" if limit == LIMIT else "seeds")
        check_study(store.study)
    assert runs_of(store) == runs_of(alone)


def test_no_round_begins_when_the_minutes_are_spent(tmp_path):
    store = confirming(f"sqlite:///{tmp_path}/s.db", LIMIT, minutes=1)
    work(store)  # each run says that it took six seconds
    assert set(seeds_of(store)) == {FIRST}
    assert rounds_of(store)["ended"] == "minutes"


def test_a_new_plan_begins_its_rounds_anew(tmp_path, alone):
    url = f"sqlite:///{tmp_path}/s.db"
    work(confirming(url, LIMIT))
    search = searched(url)
    search.set_budget(3)
    search.complete(search.acquire(), 0.99, {})
    store = confirming(url, LIMIT)
    assert Plan.of(store.study.user_attrs[PLAN]).winner == 2
    assert [each["seeds"] for each in rounds_of(store)["rounds"]] == [FIRST]
    work(store)
    assert set(runs_of(alone)) < set(runs_of(store)) or rounds_of(store)["ended"] == "settled"


def test_a_confirmation_that_was_begun_on_a_fixed_number_of_seeds_goes_on_so(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    store = confirming(url, 1)
    plan = {name: value for name, value in store.study.user_attrs[PLAN].items() if name != "rule"}
    store.study.set_user_attr(PLAN, plan)  # as an earlier version stored it
    store = confirming(url, 4)
    work(store)
    assert set(seeds_of(store)) == {4}
    found = findings(store.storage, "study")
    assert "confirmation" not in document(found)
    assert "always" not in " ".join(claim.method for claim in found.verdict.claims)
    assert outlook(found) == []
    assert "Student's t\ninterval of these paired differences" in page(found)


def test_a_rule_of_a_later_version_is_one_line(tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/s.db"
    store = confirming(url, 1)
    work(store)
    store.study.set_user_attr(PLAN, {**store.study.user_attrs[PLAN], "rule": "oracle"})
    with pytest.raises(SystemExit) as end:
        report_main([f"--storage={url}", "--study=study"])
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the rule 'oracle' is unknown" in said


# --- what is said


def test_undecided_says_what_it_would_take_and_how_to_go_on(tmp_path, alone):
    store = confirming(f"sqlite:///{tmp_path}/s.db", FIRST)
    work(store)
    found = findings(store.storage, "study")
    [forecast] = found.forecasts
    assert forecast.claim == "close"
    assert {arm.params["hidden_units"] for arm in forecast.arms} == {64, 100}
    assert found.minutes(forecast) == pytest.approx(forecast.more * 2 * 6 / 60)
    told = outlook(found)
    assert told[0].startswith(f"open: close: about {forecast.more} more seed")
    assert told[1] == f"go on with: {more_command(found, FIRST + forecast.more)}"
    assert f"--study study --storage {store.storage.url} --confirm-seeds {FIRST + forecast.more}" in told[1]
    written = document(found)["confirmation"]
    assert (written["rule"], written["ended"], written["undecided"][0]["id"]) == (RULE, "seeds", "close")
    assert told[0] in page(found)
    json.dumps(document(found), allow_nan=False)


def test_with_too_few_seeds_it_says_how_many_any_interval_needs(tmp_path):
    store = confirming(f"sqlite:///{tmp_path}/s.db", 2)
    work(store)
    found = findings(store.storage, "study")
    assert {claim.verdict for claim in found.verdict.claims} == {"undecided"}
    assert all(f"fewer than {FIRST}" in claim.sentence for claim in found.verdict.claims)
    assert all("at least 8 more seeds" in line for line in outlook(found)[:-1])


def test_settled_says_by_which_rule_and_nothing_more_to_do(alone):
    found = findings(alone.storage, "study")
    assert outlook(found) == []
    assert found.seeds_told == f"{FIRST} to {found.seeds}"
    assert "always-valid" in found.verdict.claims[0].method
    assert "wider than a t interval" in found.verdict.claims[0].method
    text = page(found)
    assert "It ended when all claims were settled." in text
    assert f"tested on {FIRST} to {found.seeds} fresh seeds" in text
