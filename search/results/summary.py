"""What a search has found so far, as JSON and as text, made of its state."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from search.results.display import Display
from search.results.edge import Edge, edges
from search.results.front import front_table
from search.results.influence import influence_json
from search.store.state import StudyState
from search.store.trials import trial_json, value
from studies.built_in import DEFAULT
from studies.settings import is_number, short
from studies.wider import suggested

BAR = 40  # characters


@dataclass(frozen=True)
class Bin:
    """The best of one range of the parameter that claims are about."""

    low: Any
    high: Any  # inclusive
    trials: int  # completed or pruned
    best: FrozenTrial | None  # best completed; where none is, the pruned one that was best when it was stopped


def width_curve(finished: Sequence[FrozenTrial], display: Display) -> list[Bin]:
    """Return the best trial of each range of the main parameter, a completed one where there is any."""
    bins = display.bins()
    inside: list[list[FrozenTrial]] = [[] for _ in bins]
    for trial in (trial for trial in finished if display.main in trial.params):
        own = trial.params[display.main]
        at = next((at for at, (low, high) in enumerate(bins) if _within(own, low, high)), None)
        if at is not None:
            inside[at].append(trial)
    best = [max(trials, key=lambda trial: _merit(trial, display), default=None) for trials in inside]
    return [Bin(*ends, len(trials), top) for ends, trials, top in zip(bins, inside, best, strict=True)]


def _within(own: Any, low: Any, high: Any) -> bool:
    return bool(own == low if not is_number(low) else low <= own <= high)


def _merit(trial: FrozenTrial, display: Display) -> tuple[bool, float]:
    return trial.state == TrialState.COMPLETE, display.asked.metric.sign * value(trial)


def curve_text(bins: Sequence[Bin], display: Display) -> list[str]:
    """Draw the curve as bars from the worst to the best value shown; light ones are of pruned trials."""
    values = [display.asked.metric.sign * value(b.best) for b in bins if b.best]
    if not values:
        return ["no finished trial yet"]
    return [_bar(b, min(values), max(values), display) for b in bins]


def _bar(b: Bin, low: float, high: float, display: Display) -> str:
    label = f"{short(b.low):>4}-{short(b.high):<4}" if b.low != b.high else f"{short(b.low):<9}"
    if b.best is None:
        return f"{label} {'-':>7}  not tried"
    merit = display.asked.metric.sign * value(b.best)
    length = BAR if high == low else 1 + round((BAR - 1) * (merit - low) / (high - low))
    best = f"{display.of_main(b.best.params[display.main])}, best of {b.trials}"
    shown = f"{label} {display.value(value(b.best)):>7}"
    if b.best.state == TrialState.COMPLETE:
        return f"{shown}  {'█' * length} {best}"
    return f"{shown}  {'░' * length} {best}, all pruned: this one at epoch {b.best.last_step}"


def table(best: FrozenTrial | None, baseline: FrozenTrial | None, display: Display) -> Table:
    """Return best, baseline and their difference as a table."""
    result = Table(box=None, pad_edge=False)
    heads = display.heads()
    for title in ("", "trial", *heads, display.asked.metric.name, "parameters"):
        result.add_column(title, justify="left" if title == "" else "right")
    blank = ["-"] * (len(heads) + 1)
    for name, trial in (("best", best), ("baseline", baseline)):
        result.add_row(name, *(_cells(trial, display) if trial else [*blank, "not finished", "-"]))
    if best and baseline:
        told = display.difference(value(best) - value(baseline))
        result.add_row("difference", *[""] * (len(heads) + 1), told, "")
    return result


def front_as_table(state: StudyState, display: Display) -> Table | None:
    """Return the Pareto front as a table, None where there is one aim or nothing on it."""
    head, rows = front_table(state, display)
    result = Table(*head, box=None, pad_edge=False)
    for column in result.columns:
        column.justify = "right"
    for row in rows:
        result.add_row(*row)
    return result if rows else None


def _cells(trial: FrozenTrial, display: Display) -> list[str]:
    parameters, origin = trial.user_attrs.get("parameters"), trial.user_attrs.get("from")
    return [
        f"{trial.number} (of {origin['study']}: {origin['number']})" if origin else str(trial.number),
        *display.cells(trial.params),
        display.value(value(trial)),
        f"{parameters:,}" if parameters is not None else "-",
    ]


def summary(state: StudyState) -> dict[str, Any]:
    """Return the study's state as JSON types: counts, best, baseline, edges, importances, expected gain, the curve."""
    best, baseline, ends = state.best, state.baseline, state.ends
    display = Display.of(state.attributes)
    return {
        "study": state.name,
        "storage": state.storage,
        "budget": state.budget,
        "counts": {**vars(state.counts), "finished": state.counts.finished},
        "best": trial_json(best, ends) if best else None,
        "baseline": trial_json(baseline, ends) if baseline else None,
        "difference": value(best) - value(baseline) if best and baseline else None,
        **({"front": [trial_json(trial, ends) for trial in state.front]} if display.against else {}),
        "edges": [{**vars(edge), "sentence": edge.sentence} for edge in best_edges(state)],
        **influence_json(state),
        display.curve_key: [
            {"low": b.low, "high": b.high, "trials": b.trials, "best": trial_json(b.best, ends) if b.best else None}
            for b in width_curve(state.finished, display)
        ],
        "wider": state.attributes.get("fingerprint", {}).get("wider"),
        "torch": torch.__version__,
    }


def best_edges(state: StudyState) -> list[Edge]:
    """Return where the best trial lies at the edge of what was searched."""
    return edges(state.terms.space, state.best.params) if state.best else []


def next_commands(state: StudyState) -> list[str]:
    """Return the commands a user is likely to want next, ready to paste; a password is not among them."""
    options = study_options(state.name, state.storage)
    rerun = [f"python -m search.rerun {state.best.number}{options}"] if state.best else []
    return [
        f"python -m search.best{options}",
        f"python -m search.baseline{question_of(state.attributes)}{options}",
        *rerun,
        *([wider] if (wider := wider_command(state)) else []),
        f"python -m search.report --html report.html{options}",
        f"python -m search.dashboard{options}",
    ]


def wider_command(state: StudyState) -> str | None:
    """Return the command that searches on beyond the best trial's edges as a new study, None if there is none."""
    space = state.terms.space
    found = [(edge.parameter, suggested(space[edge.parameter], edge.side)) for edge in best_edges(state)]
    widen = [f"--widen {shlex.quote(f'{name}={ends[0]!r}:{ends[1]!r}')}" for name, ends in found if ends]
    if not widen or "fingerprint" not in state.attributes:
        return None
    new, old = study_options(f"{state.name}-wider", state.storage), shlex.quote(state.name)
    return f"python -m search.run{question_of(state.attributes)}{new} {' '.join(widen)} --from {old}"


def question_of(attributes: Mapping[str, Any]) -> str:
    """Return what a command is told of which question a study asks: nothing for the first one, else name or file."""
    question = attributes.get("study_file", {}).get("name") or attributes.get("built_in", DEFAULT)
    return "" if question == DEFAULT else f" {shlex.quote(question)}"


def study_options(name: str, storage: str) -> str:
    """Return the options that name a study to any command."""
    study = "" if name == DEFAULT else f" --study {shlex.quote(name)}"
    return f"{study} --storage {shlex.quote(storage)}"
