"""Plots of a search by itself, from its trials alone: what they tried, the best by width, how they learnt."""

from collections.abc import Sequence

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.results.drawing import COLOURS, SYMBOLS, Picture, empty, log_widths, percent
from search.store.state import StudyState
from search.store.trials import value
from studies.curve_model import reports

WIDTHS = (4, 8, 16, 32, 64, 128, 256)
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
PAGE = {"pruned": COLOURS[6], "complete": COLOURS[0], "baseline": COLOURS[3], "best": COLOURS[2]}
Marked = Sequence[tuple[str, FrozenTrial]]  # the trials that stand out, by what they are


def search_figures(search: StudyState) -> list[Picture]:
    """Return the figures; empty where no trial has been scored yet."""
    trials, marked = search.finished, _marked(search)
    return [_tried(trials, marked), _by_width(trials, marked), _learning(trials, marked)] if trials else []


def _tried(trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """Every trial at its width and learning rate."""
    plot = empty("hidden units", "learning rate")
    plot.update_yaxes(type="log", tickformat="", tickvals=RATES, ticktext=[f"{rate:g}" for rate in RATES])
    values = [value(trial) for trial in trials]
    low = sorted(values)[len(values) // 4]
    marker = {"color": values, "size": 11, "colorscale": "Cividis", "cmin": low, "showscale": True}
    _points(
        plot, trials, "trial", [trial.params["lr"] for trial in trials], marker | {"colorbar": {"tickformat": ".1%"}}
    )
    for name, trial in marked:
        ring = {"symbol": "circle-open", "size": 20, "color": PAGE[name], "line": {"width": 3}}
        _points(plot, [trial], name, [trial.params["lr"]], ring)
    return Picture(
        "search",
        "What the search tried",
        "Coloured by the last validation accuracy; pruned trials trained for fewer epochs.",
        f"{len(trials)} trials over width and learning rate.",
        log_widths(plot, WIDTHS),
        ("trial", "units", "lr", "validation accuracy"),
        [[str(t.number), str(t.params["hidden_units"]), f"{t.params['lr']:.5f}", percent(value(t))] for t in trials],
    )


def _by_width(trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """Accuracy against width, completed and pruned apart."""
    plot = empty("hidden units", "validation accuracy")
    for i, state in enumerate((TrialState.PRUNED, TrialState.COMPLETE)):
        name, chosen = state.name.lower(), [trial for trial in trials if trial.state == state]
        marker = {"symbol": SYMBOLS[i], "size": 10, "color": PAGE[name]}
        _points(plot, chosen, name, [value(trial) for trial in chosen], marker)
    for name, trial in marked:
        ring = {"symbol": "circle-open", "size": 20, "color": PAGE[name], "line": {"width": 3}}
        _points(plot, [trial], name, [value(trial)], ring)
    values = sorted(value(trial) for trial in trials)
    plot.update_yaxes(range=[values[len(values) // 4] - 0.005, values[-1] + 0.01])  # the worst would squeeze the rest
    return Picture(
        "search-widths",
        "Accuracy by width in the search",
        "The worst quarter of the trials may lie below the frame.",
        f"Validation accuracy of {len(trials)} trials against hidden units.",
        log_widths(plot, WIDTHS),
        ("trial", "units", "state", "validation accuracy"),
        [[str(t.number), str(t.params["hidden_units"]), t.state.name.lower(), percent(value(t))] for t in trials],
    )


def _learning(trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """Learning curves: all trials in grey, baseline and best in colour."""
    plot = empty("epoch", "validation accuracy")
    for trial in trials:
        _curve(plot, trial, f"trial {trial.number}", {"color": COLOURS[6], "width": 1}, False)
    for name, trial in marked:
        _curve(plot, trial, f"{name}: trial {trial.number}", {"color": PAGE[name], "width": 3}, True)
    plot.update_xaxes(type="log")
    worst = min((value(trial) for _, trial in marked), default=0.9)
    plot.update_yaxes(range=[worst - 0.1, 1.0])  # the start of the curves would squeeze their ends
    return Picture(
        "search-curves",
        "Learning curves of the search",
        "Grey lines are all trials; those that end early were pruned.",
        f"Validation accuracy by epoch of {len(trials)} trials.",
        plot,
        ("trial", "epochs", "validation accuracy"),
        [[str(trial.number), str(trial.last_step), percent(value(trial))] for trial in trials],
    )


def _points(plot: go.Figure, trials: Sequence[FrozenTrial], name: str, y: Sequence[float], marker: object) -> None:
    plot.add_scatter(
        x=[trial.params["hidden_units"] for trial in trials],
        y=y,
        mode="markers",
        name=name,
        marker=marker,
        customdata=[[trial.number, value(trial), trial.params["lr"]] for trial in trials],
        hovertemplate="trial %{customdata[0]}: %{x} units, lr %{customdata[2]:.5f}<br>%{customdata[1]:.2%}",
    )


def _curve(plot: go.Figure, trial: FrozenTrial, name: str, line: object, named: bool) -> None:
    told = reports(trial)
    steps, values = list(told), list(told.values())
    plot.add_scatter(x=steps, y=values, mode="lines", name=name, line=line, showlegend=named)


def _marked(search: StudyState) -> Marked:
    pairs = [("baseline", search.baseline), ("best", search.best)]
    return [(name, trial) for name, trial in pairs if trial is not None]
