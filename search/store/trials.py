"""Trials as they are read: which can be compared, in which order, and as JSON."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.store.attributes import nonsense
from studies.foreign import excluded
from studies.optuna_private import trial_key


def value(trial: FrozenTrial) -> float:
    """Return the value of a trial that has one, as every completed trial does."""
    assert trial.value is not None
    return trial.value


def trial_json(trial: FrozenTrial, ends: Mapping[int, datetime]) -> dict[str, Any]:
    """Return a trial in JSON types; `ends` is what `Storage.ends` returns, since a trial's own times are local ones."""
    end = ends.get(trial_key(trial))
    return {
        "number": trial.number,
        "value": trial.value,
        "params": trial.params,
        "baseline": bool(trial.user_attrs.get("baseline")),
        "user_attrs": trial.user_attrs,
        "state": trial.state.name,
        "datetime_complete": end.isoformat() if end else None,
    }


def usable(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Return the trials in these states that can be compared: a finite value, a width, a learning rate and no nonsense.

    Optuna's own tools may add others. Each is left out with one line.
    """
    trials = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in trials if not excluded(study, trial, unusable(trial))]


def unusable(trial: FrozenTrial) -> str | None:
    """Return why a trial cannot be compared with others, None if it can."""
    if trial.value is None or not math.isfinite(trial.value):
        return f"its value is {trial.value}"
    width, lr = trial.params.get("hidden_units"), trial.params.get("lr")
    if type(width) is not int or width < 1:
        return f"its hidden_units are {width!r}"
    if type(lr) not in (int, float) or not 0 < float(lr or 0) < math.inf:
        return f"its lr is {lr!r}"
    return nonsense(trial)


def ranking(study: optuna.Study) -> list[FrozenTrial]:
    """Return the completed trials, best first, ties by number; a pruned trial's value is only its last report."""
    return ranked(usable(study, TrialState.COMPLETE))


def ranked(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the completed ones of usable trials in the order of a ranking."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: (-value(trial), trial.number))


def baseline_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the completed baseline among trials, if it is there."""
    return next((trial for trial in trials if trial.user_attrs.get("baseline")), None)
