"""The study's own parts: where its pruner decides, and what its sampler learns from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from studies import live_gp
from studies.halving import OutlookPruner
from studies.outlook import LATEST, ONE_IMAGE, would_reach
from studies.sweet_spot import SPACE, sampler, sweet_spot

Reports = Mapping[int, float]


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 9, 10, 11, 30, 31, 100, 300])
def test_trials_gather_where_the_pruner_decides(epochs: int) -> None:
    spec = sweet_spot(epochs=epochs)
    study = optuna.create_study(direction="maximize", pruner=spec.pruner)
    for value in (0.9, 0.5):
        trial, stopped = study.ask(SPACE), []
        for epoch in spec.rungs:
            trial.report(value, epoch)
            if trial.should_prune():
                stopped.append(epoch)
    assert [epoch for epoch in stopped if epoch < epochs] == list(spec.gathers)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=40), st.integers(1, 15), st.integers(2, 4))
def test_of_the_latest_at_a_rung_the_best_part_goes_on(shown: list[int], window: int, factor: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=OutlookPruner({3: factor}, window))
    trials = [study.ask(SPACE) for _ in shown]
    for trial, value in zip(trials, shown, strict=True):
        trial.report(0.5, 1)
        trial.report(value / 1000, 3)
    on = [not trial.should_prune() for trial in trials]
    latest = shown[-window:]
    bar = sorted(latest, reverse=True)[max(1, round(len(latest) / factor)) - 1]
    assert on[-window:] == [value >= bar for value in latest]
    for trial in trials:
        trial.report(0.0, 4)
        assert not trial.should_prune()  # not a rung


def test_a_low_learning_rate_is_judged_by_what_it_gains_later() -> None:
    """It shows less after three epochs than a high one; what those showed that went on says that it ends higher."""
    study = optuna.create_study(direction="maximize", pruner=OutlookPruner({3: 3, 10: 3}, 3))

    def shown(lr: float, last: int) -> dict[int, float]:
        return {
            epoch: 1 - error
            for epoch, error in {3: 0.03 * (0.01 / lr) ** 0.4, 10: 0.5 * lr**0.6}.items()
            if epoch <= last
        }

    for lr in (0.008, 0.012, 0.006, 0.009, 0.011, 0.007):
        study.add_trial(optuna.trial.create_trial(params=_at(lr), distributions=SPACE, **_pruned(shown(lr, 10))))
    low, high = 0.004, 0.008
    assert shown(low, 3)[3] < shown(high, 3)[3]
    trials = []
    for lr in (low, high, high):
        study.enqueue_trial(_at(lr))
        trials.append(study.ask(SPACE))
        trials[-1].report(shown(lr, 3)[3], 3)
    assert [trial.should_prune() for trial in trials] == [False, True, True]


def test_a_trial_that_many_have_overtaken_is_judged_too() -> None:
    study = optuna.create_study(direction="maximize", pruner=OutlookPruner({3: 2}, 4))
    slow, stuck = study.ask(SPACE), study.ask(SPACE)
    for number in range(LATEST + 10):
        study.add_trial(
            optuna.trial.create_trial(params=_at(0.01), distributions=SPACE, **_pruned({3: 0.5 + number / 10_000}))
        )
    for trial, value in ((slow, 0.9), (stuck, 0.1)):
        trial.report(value, 3)
    assert [slow.should_prune(), stuck.should_prune()] == [False, True]


def _at(lr: float) -> dict[str, Any]:
    return {"hidden_units": 100, "lr": lr}


def proposal(of: BaseSampler, trials: Sequence[tuple[TrialState, Reports, float | None]]) -> dict[str, Any]:
    """Return what is proposed where the trials so far, at settings drawn at random, are in these states."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for state, reports, value in trials:
        trial = study.ask(SPACE)
        for epoch, shown in reports.items():
            trial.report(shown, epoch)
        if state != TrialState.RUNNING:
            study.tell(trial, value, state)
    study.sampler = of
    return study.ask(SPACE).params


REPORTS: list[Reports] = [
    *({1: 0.5 + number / 100, 3: 0.7 + number / 100} for number in range(10)),
    {1: 0.7, 3: 0.85, 10: 0.95},
    {1: 0.8, 3: 0.9, 10: 0.96, 20: 0.97},
]
PRUNED, RUNNING, COMPLETE = TrialState.PRUNED, TrialState.RUNNING, TrialState.COMPLETE


@pytest.mark.parametrize("seed", range(3))
def test_a_trial_counts_by_what_it_has_reported_whatever_its_state(seed: int) -> None:
    def proposed(*states: TrialState) -> dict[str, Any]:
        values = [0.97 if state == COMPLETE else None for state in states]
        return proposal(sampler(seed), [*zip(states, REPORTS, values, strict=True)])

    expected = proposed(*[PRUNED] * 12)
    assert proposed(*[PRUNED] * 10, RUNNING, RUNNING) == expected
    assert proposed(*[RUNNING] * 11, COMPLETE) == expected


def landscape(hidden_units: int, lr: float) -> float:
    """A network's error: the wider the better, best at a learning rate of 0.004."""
    return 0.02 + 0.01 * math.log(256 / hidden_units) ** 2 + 0.05 * math.log10(lr / 0.004) ** 2


def reported(settings: Sequence[dict[str, Any]], luck: Mapping[int, float]) -> optuna.Study:
    """Return a study of trials that were stopped after three epochs, with so much less error than is to be expected."""
    study = optuna.create_study(direction="maximize")
    for number, params in enumerate(settings):
        shown = {3: 1 - landscape(**params) * (1 - luck.get(number, 0))}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=SPACE, **_pruned(shown)))
    return study


def scattered(n: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    return [study.ask(SPACE).params for _ in range(n)]


@pytest.mark.parametrize("seed", range(3))
def test_the_sampler_keeps_away_from_trials_that_have_not_reported_yet(seed: int) -> None:
    study = reported(scattered(20), {})
    study.sampler = sampler(seed)
    first = study.ask(SPACE).params
    study.sampler = sampler(seed)
    assert study.ask(SPACE).params != first


def test_one_lucky_trial_does_not_send_the_sampler_to_corners_where_nobody_has_been() -> None:
    good = [{"hidden_units": 256, "lr": 0.003 * 1.1**k} for k in range(8)]
    study = reported([*scattered(20), *good], {20 + k: luck for k, luck in enumerate((0.15, 0.04, -0.05, 0.0) * 2)})
    proposed = []
    for seed in range(8):
        fresh = optuna.create_study(direction="maximize", sampler=sampler(seed))
        fresh.add_trials(study.trials)
        proposed.append(fresh.ask(SPACE).params)
    assert sum(landscape(**params) < 0.025 for params in proposed) >= 6


def test_before_ten_have_reported_settings_are_drawn_at_random() -> None:
    few = [(PRUNED, shown, None) for shown in REPORTS[:9]]
    waiting = [(RUNNING, {}, None)] * 5
    assert proposal(sampler(3), [*few, *waiting]) == proposal(RandomSampler(seed=3), [])


def test_a_trial_is_taken_to_gain_what_others_did() -> None:
    study = optuna.create_study(direction="maximize")
    shown: list[Reports] = [{3: 0.9}, {3: 0.92, 10: 0.96}, {3: 0.96, 10: 0.97, 20: 0.98}, {3: 0.5}, {3: 1.0}]
    study.add_trials([optuna.trial.create_trial(state=PRUNED, intermediate_values=dict(each)) for each in shown])
    to_10, to_20 = math.log(0.04 / 0.08) / 2 + math.log(0.03 / 0.04) / 2, math.log(0.02 / 0.03)
    errors = [0.1, 0.04, 0.02, 0.5, ONE_IMAGE]
    gains = [to_10 + to_20, to_20, 0, to_10 + to_20, to_10 + to_20]
    expected = [-math.log(error) - gain for error, gain in zip(errors, gains, strict=True)]
    assert would_reach(study.trials, 20) == pytest.approx(expected)


def test_what_others_gained_depends_on_their_settings() -> None:
    """A low learning rate gains longer, and one that was stopped early is not thought to be as bad as it looked."""

    def shown(lr: float, last: int) -> dict[int, float]:
        errors = {3: 0.03 * (0.004 / lr) ** 0.4, 10: 0.028 * (0.004 / lr) ** 0.1, 20: 0.026}
        return {epoch: 1 - error for epoch, error in errors.items() if epoch <= last}

    study = optuna.create_study(direction="maximize")
    for lr, last in [(0.004, 20), (0.006, 20), (0.008, 20), (0.002, 10), (0.001, 3)] * 3:
        study.add_trial(optuna.trial.create_trial(params=_at(lr), distributions=SPACE, **_pruned(shown(lr, last))))
    reached = [math.exp(-value) for value in would_reach(study.trials, 20)]
    assert reached[:3] == pytest.approx([0.026] * 3)
    assert reached[3] == pytest.approx(0.026, rel=0.1)
    assert 0.026 < reached[4] < 0.04  # it showed 0.052
    early = [math.exp(-value) for value in would_reach(study.trials, 20, known=3)]
    assert early[4] == pytest.approx(reached[4])
    assert sorted(early[:5]) != pytest.approx(sorted(reached[:5]))  # the others are known only so far, too


def _pruned(shown: Reports) -> dict[str, Any]:
    return {"state": PRUNED, "intermediate_values": dict(shown)}


def test_of_many_trials_the_best_and_a_cross_section_are_seen() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for number in range(LATEST):
        trial = study.ask(SPACE)
        trial.report(number * 7 % LATEST / LATEST, 3)
        study.tell(trial, state=PRUNED)
    running = study.ask(SPACE)
    seen = live_gp._known(study, 10)._get_trials(states=(COMPLETE, RUNNING))
    shown = sorted((trial.intermediate_values[3] for trial in seen if trial.state == COMPLETE), reverse=True)
    half = live_gp.SEEN // 2
    assert len(shown) == live_gp.SEEN
    assert shown[:half] == [(LATEST - 1 - k) / LATEST for k in range(half)]
    assert max(above - below for above, below in zip(shown[half:], shown[half + 1 :], strict=False)) < 1.5 / half
    assert [trial.number for trial in seen if trial.state == RUNNING] == [running.number]


def test_the_sampler_finds_the_best_settings_though_no_trial_is_complete() -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(30):
        study.sampler = sampler(number)
        trial = study.ask(SPACE)
        error = landscape(**trial.params)
        for epoch, times in ((3, 2.0), (10, 1.4)) if error < 0.04 else ((3, 2.0),):
            trial.report(1 - times * error, epoch)
        study.tell(trial, state=PRUNED)
    assert sum(landscape(**trial.params) < 0.024 for trial in study.trials[-10:]) >= 5  # of random ones, one in 20
