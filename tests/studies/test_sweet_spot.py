"""The study's own parts: where its pruner decides, and what its sampler learns from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from studies.curve_model import SEEN, CurveModel, expected_values, predicted_values
from studies.halving import HALVING
from studies.pruner import CurvePruner
from studies.sampler import _Known
from studies.sweet_spot import SPACE, sweet_spot

Reports = Mapping[int, float]


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 9, 10, 11, 30, 31, 100, 300])
def test_trials_gather_where_the_pruner_decides(epochs: int) -> None:
    spec = sweet_spot(epochs=epochs)
    study = optuna.create_study(direction="maximize", pruner=spec.pruner)
    for value in (0.9, 0.5):
        trial, stopped = study.ask(SPACE), []
        for epoch in spec.report_epochs:
            trial.report(value, epoch)
            if trial.should_prune():
                stopped.append(epoch)
    assert [epoch for epoch in stopped if epoch < epochs] == list(spec.rungs)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=40, unique=True), st.integers(1, 15), st.integers(2, 4))
@settings(deadline=None)
def test_of_the_latest_at_a_rung_the_best_part_goes_on(shown: list[int], window: int, factor: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=CurvePruner({3: factor}, window, 3))
    for _ in shown:
        study.enqueue_trial(_at(0.01))  # of one setting all is expected that it showed, more or less
    trials = [study.ask(SPACE) for _ in shown]
    for trial, value in zip(trials, shown, strict=True):
        trial.report(0.5, 1)
        trial.report(0.85 + value / 1000, 3)
    on = [not trial.should_prune() for trial in trials]
    latest = shown[-window:]
    bar = sorted(latest, reverse=True)[max(1, round(len(latest) / factor)) - 1]
    assert on[-window:] == [value >= bar for value in latest]
    for trial in trials:
        trial.report(0.0, 4)
        assert not trial.should_prune()  # not a rung


@pytest.mark.parametrize("baseline", [0.5, 0.9, 0.99])
def test_the_baseline_takes_nobodys_place(baseline: float) -> None:
    study = optuna.create_study(direction="maximize", pruner=CurvePruner({3: 2}, 8, 3))
    for _ in range(3):
        study.enqueue_trial(_at(0.01))
    trials = [study.ask(SPACE) for _ in range(3)]
    trials[0].set_user_attr("baseline", True)
    for trial, value in zip(trials, (baseline, 0.96, 0.94), strict=True):
        trial.report(value, 3)
    assert [trial.should_prune() for trial in trials[1:]] == [False, True]


def test_a_low_learning_rate_is_judged_by_what_it_gains_later() -> None:
    """It shows less after three epochs than a high one; what those showed that went on says that it ends higher."""
    study = optuna.create_study(direction="maximize", pruner=CurvePruner({3: 3, 10: 3}, 3, 10))

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
    study = optuna.create_study(direction="maximize", pruner=CurvePruner({3: 2}, 4, 3))
    for _ in range(2):
        study.enqueue_trial(_at(0.01))
    slow, stuck = study.ask(SPACE), study.ask(SPACE)
    for number in range(SEEN + 10):
        study.add_trial(
            optuna.trial.create_trial(params=_at(0.01), distributions=SPACE, **_pruned({3: 0.85 + number / 10_000}))
        )
    for trial, value in ((slow, 0.99), (stuck, 0.82)):
        trial.report(value, 3)
    assert [slow.should_prune(), stuck.should_prune()] == [False, True]


def _at(lr: float) -> dict[str, Any]:
    return {"hidden_units": 100, "lr": lr}


def proposal(of: BaseSampler, trials: Sequence[tuple[TrialState, Reports, float | None]]) -> dict[str, Any]:
    """Return what is proposed where the trials so far, at settings drawn at random, are in these states."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for state, by_epoch, value in trials:
        trial = study.ask(SPACE)
        for epoch, shown in by_epoch.items():
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
        return proposal(sweet_spot().sampler(seed), [*zip(states, REPORTS, values, strict=True)])

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
    study.sampler = sweet_spot().sampler(seed)
    first = study.ask(SPACE).params
    study.sampler = sweet_spot().sampler(seed)
    assert study.ask(SPACE).params != first


def test_one_lucky_trial_does_not_send_the_sampler_to_corners_where_nobody_has_been() -> None:
    good = [{"hidden_units": 256, "lr": 0.003 * 1.1**k} for k in range(8)]
    study = reported([*scattered(20), *good], {20 + k: luck for k, luck in enumerate((0.15, 0.04, -0.05, 0.0) * 2)})
    proposed = []
    for seed in range(8):
        fresh = optuna.create_study(direction="maximize", sampler=sweet_spot().sampler(seed))
        fresh.add_trials(study.trials)
        proposed.append(fresh.ask(SPACE).params)
    assert sum(landscape(**params) < 0.025 for params in proposed) >= 6


def test_before_ten_have_reported_settings_are_drawn_at_random() -> None:
    few = [(PRUNED, shown, None) for shown in REPORTS[:9]]
    waiting = [(RUNNING, {}, None)] * 5
    assert proposal(sweet_spot().sampler(3), [*few, *waiting]) == proposal(RandomSampler(seed=3), [])


def test_what_is_expected_is_the_mean_of_a_gaussian_process_given_all_reports() -> None:
    """Oracle: the joint normal distribution of all reports and of what is asked, written out pair by pair."""
    rng = np.random.default_rng(0)
    process = CurveModel(spread=0.8, reach=0.3, ages=2.0, luck=0.1, noise=0.2)
    trials = [
        optuna.trial.create_trial(
            params={"hidden_units": int(width), "lr": float(lr)},
            distributions=SPACE,
            **_pruned({epoch: 1 - float(rng.uniform(0.01, 0.1)) for epoch in (1, 3, 10, 20, 30)[:reports]}),
        )
        for width, lr, reports in zip(
            rng.integers(4, 256, 8), 10 ** rng.uniform(-4, -1, 8), [1, 2, 5, 3, 2, 4, 1, 5], strict=True
        )
    ]
    shown = [(k, epoch) for k, trial in enumerate(trials) for epoch in trial.intermediate_values if epoch <= 20]
    asked = [(k, 20) for k in range(8)]

    def expected(one: tuple[int, int], other: tuple[int, int]) -> float:
        (a, b), (first, second) = (trials[one[0]].params, trials[other[0]].params), (one[1], other[1])
        away = math.hypot(
            math.log(a["hidden_units"] / b["hidden_units"]) / math.log(64) / 0.3,
            math.log10(a["lr"] / b["lr"]) / 3 / 0.3,
            math.log(first / second) / 2.0,
        )
        matern = (1 + 5**0.5 * away + 5 / 3 * away**2) * math.exp(-(5**0.5) * away)
        return 0.8**2 * matern + 0.1**2 * (one[0] == other[0])

    joint = np.array([[expected(one, other) for other in (*shown, *asked)] for one in (*shown, *asked)])
    joint[: len(shown), : len(shown)] += 0.2**2 * np.eye(len(shown))
    values = np.array([-math.log(1 - trials[k].intermediate_values[epoch]) for k, epoch in shown])
    given_reports = joint[len(shown) :, : len(shown)] @ np.linalg.inv(joint[: len(shown), : len(shown)])
    oracle = values.mean() + given_reports @ (values - values.mean())
    assert expected_values(trials, 20, process) == pytest.approx(list(oracle))


def test_what_others_gained_depends_on_their_settings() -> None:
    """A low learning rate gains longer, and one that was stopped early is not thought to be as bad as it looked."""

    def shown(lr: float, last: int) -> dict[int, float]:
        errors = {3: 0.03 * (0.004 / lr) ** 0.4, 10: 0.028 * (0.004 / lr) ** 0.1, 20: 0.026}
        return {epoch: 1 - error for epoch, error in errors.items() if epoch <= last}

    study = optuna.create_study(direction="maximize")
    for lr, last in [(0.004, 20), (0.006, 20), (0.008, 20), (0.002, 10), (0.001, 3)] * 3:
        study.add_trial(optuna.trial.create_trial(params=_at(lr), distributions=SPACE, **_pruned(shown(lr, last))))
    reached = [math.exp(-value) for value in expected_values(study.trials, 20)]
    assert reached[:3] == pytest.approx([0.026] * 3, rel=0.05)
    assert reached[3] == pytest.approx(0.026, rel=0.1)
    assert 0.026 < reached[4] < 0.04  # it showed 0.052


def test_luck_counts_for_less_than_it_shows_and_for_more_the_longer_it_lasts() -> None:
    study = optuna.create_study(direction="maximize")
    usual, lucky = {1: 0.94, 3: 0.95, 10: 0.96, 20: 0.96}, {1: 0.95, 3: 0.96, 10: 0.97, 20: 0.97}
    for shown in [*[usual] * 6, {**usual, 20: lucky[20]}, lucky]:
        study.add_trial(optuna.trial.create_trial(params=_at(0.01), distributions=SPACE, **_pruned(shown)))
    *_, expected, once, always = (1 - math.exp(-value) for value in expected_values(study.trials, 20))
    assert expected < once < always < 0.97


def test_luck_is_left_in_what_a_trial_would_show() -> None:
    study = optuna.create_study(direction="maximize")
    for shown in [*[{3: 0.95, 10: 0.96}] * 6, {3: 0.95}, {3: 0.97}, {3: 0.97, 10: 0.98}]:
        study.add_trial(optuna.trial.create_trial(params=_at(0.01), distributions=SPACE, **_pruned(shown)))
    went_on, *_, stopped, lucky, known = predicted_values(study.trials, 10)
    assert went_on == pytest.approx(-math.log(0.04), abs=0.1)
    assert lucky - stopped == pytest.approx(math.log(0.05 / 0.03))
    assert known - went_on == pytest.approx((math.log(0.05 / 0.03) + math.log(0.04 / 0.02)) / 2)
    assert stopped == pytest.approx(went_on, abs=0.1)


def test_of_what_a_trial_showed_lately_a_single_report_is_only_a_part() -> None:
    study = optuna.create_study(direction="maximize")
    usual = {3: 0.95, 8: 0.96, 9: 0.96, 10: 0.96}
    for shown in [*[usual] * 6, {**usual, 10: 0.94}, {**usual, 3: 0.93}]:
        study.add_trial(optuna.trial.create_trial(params=_at(0.01), distributions=SPACE, **_pruned(shown)))
    steady, *_, once, early = predicted_values(study.trials, 15)
    assert steady - once == pytest.approx(math.log(0.06 / 0.04) / 3)
    assert early == pytest.approx(steady)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 3, 7, 8]), (27, [1, 2, 3, 7, 8, 9, 10, 20, 25, 26, 27])],
)
def test_a_trial_reports_at_each_rung_and_some_epochs_before(epochs: int, expected: list[int]) -> None:
    assert HALVING.reports(epochs) == expected


@pytest.mark.parametrize("epochs", [1, 3, 4, 9, 27, 50, 51, 100])
def test_trials_report_wherever_they_wait_and_the_pruner_decides_wherever_they_wait(epochs: int) -> None:
    spec = sweet_spot("study", epochs)
    assert set(spec.rungs) == set(sweet_spot().pruner.rungs) & set(range(epochs))
    assert set(spec.rungs) < set(spec.report_epochs)
    assert spec.report_epochs[-1] == epochs


def test_networks_that_learn_nothing_do_not_bend_what_is_expected_of_others() -> None:
    def expected(accuracy: float) -> list[float]:
        study = optuna.create_study(direction="maximize")
        for lr, shown in ((0.004, {1: 0.95, 3: 0.96}), (0.02, {1: 0.95}), (0.1, {1: accuracy, 3: accuracy})):
            study.add_trial(optuna.trial.create_trial(params=_at(lr), distributions=SPACE, **_pruned(shown)))
        return expected_values(study.trials, 10)

    assert expected(0.1) == expected(0.3)


def test_a_trial_with_other_parameters_is_no_obstacle() -> None:
    """Somebody added it from outside: it counts as one in the middle of what it does not say."""
    study = reported(scattered(12), {})
    study.add_trial(
        optuna.trial.create_trial(
            params={"lr": 0.5, "dropout": 0.2},
            distributions={"lr": FloatDistribution(1e-4, 1.0), "dropout": FloatDistribution(0, 1)},
            **_pruned({3: 0.9}),
        )
    )
    study.sampler, study.pruner = sweet_spot().sampler(0), CurvePruner({3: 3}, 4, 10)
    trial = study.ask(SPACE)
    trial.report(0.99, 3)
    assert not trial.should_prune()


def _pruned(shown: Reports) -> dict[str, Any]:
    return {"state": PRUNED, "intermediate_values": dict(shown)}


def test_of_many_trials_the_latest_and_a_cross_section_are_seen() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for _ in range(6 * SEEN):
        trial = study.ask(SPACE)
        trial.report(0.9, 3)
        study.tell(trial, state=PRUNED)
    running = study.ask(SPACE)
    seen = _Known(study, {}, 10)._get_trials(states=(COMPLETE, RUNNING))
    numbers = [trial.number for trial in seen if trial.state == COMPLETE]
    half = SEEN // 2
    assert numbers == [*(k * 11 for k in range(half)), *range(6 * SEEN - half, 6 * SEEN)]
    assert [trial.number for trial in seen if trial.state == RUNNING] == [running.number]


def test_the_sampler_finds_the_best_settings_though_no_trial_is_complete() -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(30):
        study.sampler = sweet_spot().sampler(number)
        trial = study.ask(SPACE)
        error = landscape(**trial.params)
        for epoch, times in ((3, 2.0), (10, 1.4)) if error < 0.04 else ((3, 2.0),):
            trial.report(1 - times * error, epoch)
        study.tell(trial, state=PRUNED)
    assert sum(landscape(**trial.params) < 0.024 for trial in study.trials[-10:]) >= 5  # of random ones, one in 20
