"""The study's own parts: where its pruner decides, and what its sampler learns from."""

from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from model.training import rungs
from studies.live_tpe import LiveTPESampler
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


def asked(sampler: TPESampler, seventh: TrialState, reports: dict[int, float]) -> dict[str, Any]:
    """Return what is proposed after 15 trials of which the seventh, the best so far, has come so far."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    for number in range(15):
        trial = study.ask(SPACE)
        for epoch, value in (reports if number == 7 else {3: 0.5 + number / 100}).items():
            trial.report(value, epoch)
        if number != 7:
            study.tell(trial, state=TrialState.PRUNED)
        elif seventh != TrialState.RUNNING:
            study.tell(trial, state=seventh)
    study.sampler = sampler
    return study.ask(SPACE).params


@pytest.mark.parametrize("seed", range(5))
def test_a_running_trial_counts_by_what_it_has_reported(seed: int) -> None:
    reports = {3: 0.9, 10: 0.95}
    known = asked(sampler(seed), TrialState.RUNNING, reports)
    assert known == asked(TPESampler(seed=seed, constant_liar=True), TrialState.PRUNED, reports)
    assert known != asked(TPESampler(seed=seed, constant_liar=True), TrialState.RUNNING, reports)


def test_a_running_trial_without_a_report_is_kept_away_from() -> None:
    known = asked(LiveTPESampler(seed=0, constant_liar=True), TrialState.RUNNING, {})
    assert known == asked(TPESampler(seed=0, constant_liar=True), TrialState.RUNNING, {})
