"""What a search has found so far, as JSON and as text, made of its state."""

import math
import shlex
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from search.store.state import StudyState
from search.store.terms import Terms
from search.store.trials import trial_json, value
from studies.sweet_spot import NAME

BINS = (4, 8, 16, 32, 64, 128, 257)  # of hidden units: a doubling each, as widths are sampled by their log
PARTS = 6  # of another parameter's range, each as wide on its scale
BAR = 40  # characters


@dataclass(frozen=True)
class Bin:
    """The best of one range of a parameter."""

    low: float
    high: float  # inclusive for whole numbers
    trials: int  # completed or pruned
    best: FrozenTrial | None  # best completed; where none is, the pruned one that was best when it was stopped


def parameter_of(state: StudyState) -> str | None:
    """Return the parameter that the curve is drawn over: the first that is a number, whole ones before others."""
    return next(iter(state.terms.numbers), None)


def parameter_curve(state: StudyState) -> list[Bin]:
    """Return the best trial of each range of a parameter, a completed one where there is any."""
    name = parameter_of(state)
    return [] if name is None else [_bin(state, name, low, end) for low, end in pairwise(_edges(state, name))]


def _edges(state: StudyState, name: str) -> list[float]:
    if name == "hidden_units":
        return [*BINS]
    distribution = state.terms.numbers[name]
    whole = isinstance(distribution, IntDistribution)
    scale, back = (math.log, math.exp) if distribution.log else (float, float)
    low, high = scale(distribution.low), scale(distribution.high)
    inner = [back(low + (high - low) * k / PARTS) for k in range(1, PARTS)]
    last = distribution.high + 1 if whole else math.nextafter(distribution.high, math.inf)
    return sorted({distribution.low, *(map(round, inner) if whole else inner), last})


def _bin(state: StudyState, name: str, low: float, end: float) -> Bin:
    inside = [trial for trial in state.finished if low <= trial.params[name] < end]
    sign = state.terms.sign
    best = max(inside, key=lambda trial: (trial.state == TrialState.COMPLETE, sign * value(trial)), default=None)
    whole = isinstance(state.terms.numbers[name], IntDistribution)
    return Bin(low, end - 1 if whole else end, len(inside), best)


def curve_text(state: StudyState) -> list[str]:
    """Draw the curve as bars from the worst to the best value shown; light ones are of pruned trials."""
    bins = parameter_curve(state)
    values = [state.terms.sign * value(b.best) for b in bins if b.best]
    if not values:
        return ["no finished trial yet"]
    return [_bar(b, state, min(values), max(values)) for b in bins]


def curve_title(state: StudyState) -> str:
    """Return what the curve shows."""
    return f"best {state.terms.metric} by {(parameter_of(state) or 'parameter').replace('_', ' ')}"


def _bar(b: Bin, state: StudyState, low: float, high: float) -> str:
    terms, name = state.terms, parameter_of(state)
    label = f"{b.low:>4}-{b.high:<4}" if name == "hidden_units" else f"{b.low:>8.4g}-{b.high:<8.4g}"
    if b.best is None or name is None:
        return f"{label} {'-':>7}  not tried"
    length = BAR if high == low else 1 + round((BAR - 1) * (terms.sign * value(b.best) - low) / (high - low))
    which = f"{terms.setting({name: b.best.params[name]})}, best of {b.trials}"
    if b.best.state == TrialState.COMPLETE:
        return f"{label} {terms.value(value(b.best)):>7}  {'█' * length} {which}"
    pruned = f"all pruned: this one at epoch {b.best.last_step}"
    return f"{label} {terms.value(value(b.best)):>7}  {'░' * length} {which}, {pruned}"


def table(state: StudyState) -> Table:
    """Return best, baseline and their difference as a table."""
    terms, best, baseline = state.terms, state.best, state.baseline
    result, titles = Table(box=None, pad_edge=False), terms.titles()
    for title in ("", "trial", *titles, terms.metric, "parameters"):
        result.add_column(title, justify="left" if title == "" else "right")
    for name, trial in (("best", best), ("baseline", baseline)):
        result.add_row(name, *(_cells(trial, terms) if trial else ["-", *("-" for _ in titles), "not finished", "-"]))
    if best and baseline:
        result.add_row("difference", "", *("" for _ in titles), terms.difference(value(best) - value(baseline)), "")
    return result


def _cells(trial: FrozenTrial, terms: Terms) -> list[str]:
    attrs = trial.user_attrs
    parameters = f"{attrs['parameters']:,}" if "parameters" in attrs else "-"
    return [str(trial.number), *terms.cells(trial.params), terms.value(value(trial)), parameters]


def summary(state: StudyState) -> dict[str, Any]:
    """Return the study's state as JSON types: counts, best, baseline, their difference, and the curve by a parameter.

    The curve is called `widths` where the parameter is `hidden_units`, else `curve`, beside its `parameter`.
    """
    best, baseline, ends = state.best, state.baseline, state.ends
    bins = [
        {"low": b.low, "high": b.high, "trials": b.trials, "best": trial_json(b.best, ends) if b.best else None}
        for b in parameter_curve(state)
    ]
    name = parameter_of(state)
    return {
        "study": state.name,
        "storage": state.storage,
        "budget": state.budget,
        "counts": {**vars(state.counts), "finished": state.counts.finished},
        "best": trial_json(best, ends) if best else None,
        "baseline": trial_json(baseline, ends) if baseline else None,
        "difference": value(best) - value(baseline) if best and baseline else None,
        **({"widths": bins} if name == "hidden_units" else {"parameter": name, "curve": bins}),
        "torch": torch.__version__,
    }


def next_commands(state: StudyState) -> list[str]:
    """Return the commands a user is likely to want next, ready to paste; a password is not among them."""
    options = study_options(state.name, state.storage)
    rerun = [f"python -m search.rerun {state.best.number}{options}"] if state.best else []
    return [
        f"python -m search.best{options}",
        f"python -m search.baseline{options}",
        *rerun,
        f"python -m search.report --html report.html{options}",
        f"python -m search.dashboard{options}",
    ]


def study_options(name: str, storage: str) -> str:
    """Return the options that name a study to any command."""
    study = "" if name == NAME else f" --study {shlex.quote(name)}"
    return f"{study} --storage {shlex.quote(storage)}"
