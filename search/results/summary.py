"""What a search has found so far, as JSON and as text, made of its state."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from search.store.state import StudyState
from search.store.trials import trial_json, value
from studies.sweet_spot import NAME

BINS = (4, 8, 16, 32, 64, 128, 257)  # edges of the width curve: a doubling each, as widths are sampled by their log
BAR = 40  # characters


@dataclass(frozen=True)
class Bin:
    """The best of one range of widths."""

    low: int
    high: int  # inclusive
    trials: int  # completed or pruned
    best: FrozenTrial | None  # best completed; where none is, the pruned one that was best when it was stopped


def width_curve(finished: Sequence[FrozenTrial]) -> list[Bin]:
    """Return the best trial of each range of widths, a completed one where there is any."""
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


def summary(state: StudyState) -> dict[str, Any]:
    """Return the study's state as JSON types: counts, best, baseline, their difference, and the curve by width."""
    best, baseline, ends = state.best, state.baseline, state.ends
    return {
        "study": state.name,
        "storage": state.storage,
        "budget": state.budget,
        "counts": {**vars(state.counts), "finished": state.counts.finished},
        "best": trial_json(best, ends) if best else None,
        "baseline": trial_json(baseline, ends) if baseline else None,
        "difference": value(best) - value(baseline) if best and baseline else None,
        "widths": [
            {"low": b.low, "high": b.high, "trials": b.trials, "best": trial_json(b.best, ends) if b.best else None}
            for b in width_curve(state.finished)
        ],
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
