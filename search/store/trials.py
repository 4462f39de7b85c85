"""Trials as they are read: which can be compared, in which order, and as JSON."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.store.attributes import nonsense
from studies.aims import no_values, rank
from studies.foreign import excluded
from studies.optuna_private import trial_key
from studies.terms import Terms


def value(trial: FrozenTrial) -> float:
    """Return the metric's value of a trial that has one, as every completed trial does."""
    assert trial.values
    return float(trial.values[0])


def value_if_any(trial: FrozenTrial | None) -> float | None:
    """Return the metric's value of a trial, None where there is none."""
    return value(trial) if trial is not None and trial.values else None


def trial_json(trial: FrozenTrial, ends: Mapping[int, datetime]) -> dict[str, Any]:
    """Return a trial in JSON types; `ends` is what `Storage.ends` returns, since a trial's own times are local ones."""
    end = ends.get(trial_key(trial))
    return {
        "number": trial.number,
        "value": value_if_any(trial),
        **({"values": trial.values} if trial.values and len(trial.values) > 1 else {}),
        "params": trial.params,
        "baseline": bool(trial.user_attrs.get("baseline")),
        "user_attrs": trial.user_attrs,
        "state": trial.state.name,
        "datetime_complete": end.isoformat() if end else None,
    }


def usable(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """Return the trials in these states that can be compared: a finite value, the study's parameters and no nonsense.

    Optuna's own tools may add others. Each is left out with one line.
    """
    trials, terms = study.get_trials(deepcopy=False, states=states), Terms.of(study.user_attrs)
    return [trial for trial in trials if not excluded(study, trial, unusable(trial, terms))]


def unusable(trial: FrozenTrial, terms: Terms) -> str | None:
    """Return why a trial cannot be compared with others, None if it can."""
    if wrong := no_values(trial, terms.against):
        return wrong
    for name, distribution in terms.space.items():
        found = trial.params.get(name)
        if name in terms.sometimes and name not in trial.params:
            continue
        if not _comparable(distribution, found):
            return f"its {name} is {found!r}"
    return nonsense(trial)


def _comparable(distribution: BaseDistribution, found: Any) -> bool:
    """Return whether a value is of a parameter's kind, and positive where its scale is logarithmic."""
    if isinstance(distribution, CategoricalDistribution):
        return found in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    kinds = (int,) if isinstance(distribution, IntDistribution) else (int, float)
    return type(found) in kinds and math.isfinite(found) and (found > 0 or not distribution.log)


def ranking(study: optuna.Study) -> list[FrozenTrial]:
    """Return the completed trials, best first, ties by number; a pruned trial's value is only its last report."""
    return ranked(usable(study, TrialState.COMPLETE), Terms.of(study.user_attrs))


def ranked(trials: Sequence[FrozenTrial], terms: Terms) -> list[FrozenTrial]:
    """Return the completed ones of usable trials in the order of a ranking."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: rank(trial, terms.sign))


def front(best_first: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the Pareto front of trials with two values, in the same order: no other is better in one and as good in
    the other."""
    found: list[FrozenTrial] = []
    for trial in best_first:
        if not found or trial.values[1] < found[-1].values[1] or trial.values == found[-1].values:
            found.append(trial)
    return found


def baseline_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the completed baseline among trials, if it is there."""
    return next((trial for trial in trials if trial.user_attrs.get("baseline")), None)
