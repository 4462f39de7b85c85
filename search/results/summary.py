"""What a study has found so far, as plain data and as text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from search.errors import NotFoundError
from search.store.attributes import nonsense
from studies.foreign import excluded

BINS = (4, 8, 16, 32, 64, 128, 257)  # edges of the width curve: a doubling each, as widths are sampled by their log
BAR = 40  # characters


@dataclass(frozen=True)
class Bin:
    """The best of one range of widths."""

    low: int
    high: int  # inclusive
    trials: int  # completed or pruned
    best: FrozenTrial | None  # best completed; where none is, the pruned one that was best when it was stopped


def value(trial: FrozenTrial) -> float:
    """Return the value of a trial that has one, as every completed trial does."""
    assert trial.value is not None
    return trial.value


def trial_json(trial: FrozenTrial, ends: Mapping[int, datetime]) -> dict[str, Any]:
    """Return a trial in JSON types; `ends` is what `Storage.ends` returns, since a trial's own times are local ones."""
    end = ends.get(trial._trial_id)
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
    return sorted(usable(study, TrialState.COMPLETE), key=lambda trial: (-value(trial), trial.number))


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """Return the ranking of a study that has one. Raises `NotFoundError` where nothing is completed yet."""
    ranked = ranking(study)
    if not ranked:
        raise NotFoundError(f"study {study.study_name!r} has no completed trial yet; go on with: python -m search.run")
    return ranked


def baseline_of(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the completed baseline among trials, if it is there."""
    return next((trial for trial in trials if trial.user_attrs.get("baseline")), None)


def width_curve(study: optuna.Study) -> list[Bin]:
    """Return the best trial of each range of widths, a completed one where there is any."""
    finished = usable(study, TrialState.COMPLETE, TrialState.PRUNED)
    bins = []
    for low, end in pairwise(BINS):
        inside = [trial for trial in finished if low <= trial.params["hidden_units"] < end]
        best = max(inside, key=lambda trial: (trial.state == TrialState.COMPLETE, value(trial)), default=None)
        bins.append(Bin(low, end - 1, len(inside), best))
    return bins


def curve_text(bins: Sequence[Bin]) -> list[str]:
    """Draw the width curve as bars from the worst to the best accuracy shown; light ones are of pruned trials."""
    values = [value(b.best) for b in bins if b.best]
    if not values:
        return ["no finished trial yet"]
    return [_bar(b, min(values), max(values)) for b in bins]


def _bar(b: Bin, low: float, high: float) -> str:
    label = f"{b.low:>4}-{b.high:<4}"
    if b.best is None:
        return f"{label} {'-':>7}  not tried"
    length = BAR if high == low else 1 + round((BAR - 1) * (value(b.best) - low) / (high - low))
    units = f"{b.best.params['hidden_units']} units, best of {b.trials}"
    if b.best.state == TrialState.COMPLETE:
        return f"{label} {value(b.best):>7.2%}  {'█' * length} {units}"
    return f"{label} {value(b.best):>7.2%}  {'░' * length} {units}, all pruned: this one at epoch {b.best.last_step}"


def table(best: FrozenTrial | None, baseline: FrozenTrial | None) -> Table:
    """Return best, baseline and their difference as a table."""
    result = Table(box=None, pad_edge=False)
    for title in ("", "trial", "units", "lr", "validation accuracy", "parameters"):
        result.add_column(title, justify="left" if title == "" else "right")
    for name, trial in (("best", best), ("baseline", baseline)):
        result.add_row(name, *(_cells(trial) if trial else ["-", "-", "-", "not finished", "-"]))
    if best and baseline:
        points = (value(best) - value(baseline)) * 100
        result.add_row("difference", "", "", "", f"{points:+.2f} points", "")
    return result


def _cells(trial: FrozenTrial) -> list[str]:
    params, attrs = trial.params, trial.user_attrs
    return [
        str(trial.number),
        str(params["hidden_units"]),
        f"{params['lr']:.5f}",
        f"{trial.value:.2%}",
        f"{attrs['parameters']:,}" if "parameters" in attrs else "-",
    ]
