"""When trials are judged: the article's own as ever, and others by their steps and their length."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from studies.curve_model import predicted_values
from studies.halving import HALVING, LATEST_SHARE, STEPS

FIRST = HALVING.first

SIZES = st.integers(1, 500), st.integers(1, 100_000), st.integers(1, 4096)


@given(st.integers(1, 300))
def test_the_articles_study_keeps_its_own_whatever_its_length(epochs: int) -> None:
    assert HALVING.stretched(epochs, 50_000, 1028) == HALVING


@given(*SIZES)
def test_a_trial_is_judged_once_it_has_made_its_steps_or_a_sixth_of_its_epochs(
    epochs: int, rows: int, batch: int
) -> None:
    halving = HALVING.stretched(epochs, rows, batch)
    first, steps = min(halving.rungs), -(-rows // batch)
    assert first >= FIRST
    assert first * steps >= STEPS or first >= epochs // LATEST_SHARE
    assert first == FIRST or ((first - 1) * steps < STEPS and first <= epochs / LATEST_SHARE)
    assert list(halving.rungs.values()) == list(HALVING.rungs.values())


@given(*SIZES)
def test_every_rung_before_the_end_is_reported_and_so_is_the_end(epochs: int, rows: int, batch: int) -> None:
    halving = HALVING.stretched(epochs, rows, batch)
    told = halving.reports(epochs)
    assert {*halving.before(epochs), epochs} <= set(told)
    assert told == sorted(set(told))
    assert told[0] >= 1
    assert told[-1] == epochs


def test_a_study_of_few_rows_is_judged_later() -> None:
    halving = HALVING.stretched(30, 1199, 128)
    assert (halving.rungs, halving.horizon) == ({5: 4, 15: 4, 45: 2, 83: 2}, 25)


@given(*SIZES, st.integers(1, 100_000))
def test_no_error_among_the_rows_that_were_scored_counts_as_half_of_one(
    epochs: int, rows: int, batch: int, scored: int
) -> None:
    halving = HALVING.stretched(epochs, rows, batch, scored)
    assert halving.model.errors == (0.5 / scored, 1.0)
    assert replace(halving, model=HALVING.model) == HALVING.stretched(epochs, rows, batch)


def test_among_few_rows_one_error_less_does_not_make_a_trial_an_outlier() -> None:
    shown = [[1 - wrong / 95] * 3 for wrong in (3, 2, 1, 0)]
    trials = [
        create_trial(
            state=TrialState.PRUNED,
            params={"lr": 0.01},
            distributions={"lr": FloatDistribution(1e-4, 1e-1, log=True)},
            intermediate_values=dict(zip((1, 2, 3), each, strict=True)),
        )
        for each in shown
    ]
    third, second, first, best = predicted_values(trials, 3, HALVING.stretched(30, 474, 32, 95).model)
    assert third < second < first < best < first + 2 * (first - third)
