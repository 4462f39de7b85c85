"""The study's own parts: where its pruner decides, and what its sampler learns from."""

import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from model.training import rungs
from studies.sweet_spot import SPACE, judged, pruner, sampler


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 9, 10, 11, 27, 28, 81, 91, 100, 300])
def test_trials_gather_where_the_pruner_decides(epochs: int) -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner())
    trial, decided = study.ask(SPACE), []
    for epoch in rungs(epochs):
        before = study.trials[0].system_attrs
        trial.report(0.5, epoch)
        trial.should_prune()
        if study.trials[0].system_attrs != before:
            decided.append(epoch)
    assert judged(epochs) == [epoch for epoch in decided if epoch < epochs]


Trials = list[tuple[TrialState, dict[int, float]]]
"""Each trial's state and what it has reported."""


def study_of(trials: Trials) -> optuna.Study:
    """Return a study of trials with random parameters."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for state, reports in trials:
        trial = study.ask(SPACE)
        for epoch, value in reports.items():
            trial.report(value, epoch)
        if state == TrialState.COMPLETE:
            study.tell(trial, reports[max(reports)])
        elif state != TrialState.RUNNING:
            study.tell(trial, state=state)
    return study


def proposed(trials: Trials, sampler: Callable[[int], BaseSampler]) -> list[dict[str, Any]]:
    """Return what a sampler proposes after these trials, from each of ten seeds."""
    proposals = []
    for seed in range(10):
        study = study_of(trials)
        study.sampler = sampler(seed)
        proposals.append(study.ask(SPACE).params)
    return proposals


def optunas(seed: int) -> TPESampler:
    return TPESampler(seed=seed, constant_liar=True)


def history(seed: int) -> Trials:
    """Return 20 trials in every state, whose accuracies have nothing to do with how far they came."""
    chance, trials = random.Random(seed), []
    for state in [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL] * 5:
        epochs = [3, 10, 30, 90, 100][: chance.randint(1, 5)]
        trials.append((state, {epoch: chance.random() for epoch in epochs}))
    return trials


@pytest.mark.parametrize("seed", range(3))
def test_every_trial_counts_by_what_it_reported_last(seed: int) -> None:
    trials = history(seed)
    complete = [(state if state == TrialState.FAIL else TrialState.COMPLETE, reports) for state, reports in trials]
    assert proposed(trials, sampler) == proposed(complete, optunas) != proposed(trials, optunas)


def test_a_running_trial_without_a_report_is_kept_away_from() -> None:
    trials: Trials = [(TrialState.COMPLETE, {100: number / 20}) for number in range(20)]
    running: Trials = [*trials, (TrialState.RUNNING, {})]
    assert proposed(running, sampler) == proposed(running, optunas) != proposed(trials, optunas)


def test_what_the_sampler_sees_stays_out_of_the_study() -> None:
    study = study_of(history(0))
    before, study.sampler = study.get_trials(), sampler(0)
    study.ask(SPACE)
    assert study.get_trials()[: len(before)] == before
