"""Plots of a search by itself, from its trials alone: what they tried, the best by width, how they learnt."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.results.drawing import COLOURS, SYMBOLS, Picture, empty
from search.store.state import StudyState
from search.store.terms import SHORT, Terms
from search.store.trials import value
from studies.curve_model import reports

WIDTHS = (4, 8, 16, 32, 64, 128, 256)
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
PAGE = {"pruned": COLOURS[6], "complete": COLOURS[0], "baseline": COLOURS[3], "best": COLOURS[2]}
Marked = Sequence[tuple[str, FrozenTrial]]  # the trials that stand out, by what they are


def search_figures(search: StudyState) -> list[Picture]:
    """Return the figures; empty where no trial has been scored yet."""
    trials, marked, terms = search.finished, _marked(search), search.terms
    if not trials:
        return []
    axes = [*terms.numbers]
    tried = [_tried(trials, marked, terms, *axes[:2])] if len(axes) > 1 else []
    by_parameter = [_by_parameter(trials, marked, terms, axes[0])] if axes else []
    return [*tried, *by_parameter, _learning(trials, marked, terms)]


def _tried(trials: Sequence[FrozenTrial], marked: Marked, terms: Terms, x: str, y: str) -> Picture:
    """Every trial at two of its parameters."""
    plot = empty(title(x), title(y))
    _axis(plot.update_yaxes, y, terms)
    values = [value(trial) for trial in trials]
    marker = {"color": values, "size": 11, "colorscale": "Cividis", "showscale": True, **_colours(values, terms)}
    _points(plot, trials, "trial", x, [trial.params[y] for trial in trials], marker, terms)
    for name, trial in marked:
        ring = {"symbol": "circle-open", "size": 20, "color": PAGE[name], "line": {"width": 3}}
        _points(plot, [trial], name, x, [trial.params[y]], ring, terms)
    _axis(plot.update_xaxes, x, terms)
    return Picture(
        "search",
        "What the search tried",
        f"Coloured by the last {terms.metric}; pruned trials trained for fewer epochs.",
        f"{len(trials)} trials over {title(x)} and {title(y)}.",
        plot,
        ("trial", *terms.titles(), terms.metric),
        [[str(t.number), *terms.cells(t.params), terms.value(value(t))] for t in trials],
    )


def _colours(values: Sequence[float], terms: Terms) -> dict[str, object]:
    """The worst quarter, far from the rest, shares a colour."""
    ordered = sorted(values)
    ends = {"cmin": ordered[len(ordered) // 4]} if terms.sign > 0 else {"cmax": ordered[-1 - len(ordered) // 4]}
    return {**ends, "colorbar": {"tickformat": ".1%" if terms.is_share else ".3g"}}


def _by_parameter(trials: Sequence[FrozenTrial], marked: Marked, terms: Terms, x: str) -> Picture:
    """The metric against a parameter, completed and pruned apart."""
    plot = empty(title(x), terms.metric, ".1%" if terms.is_share else "")
    for i, state in enumerate((TrialState.PRUNED, TrialState.COMPLETE)):
        name, chosen = state.name.lower(), [trial for trial in trials if trial.state == state]
        marker = {"symbol": SYMBOLS[i], "size": 10, "color": PAGE[name]}
        _points(plot, chosen, name, x, [value(trial) for trial in chosen], marker, terms)
    for name, trial in marked:
        ring = {"symbol": "circle-open", "size": 20, "color": PAGE[name], "line": {"width": 3}}
        _points(plot, [trial], name, x, [value(trial)], ring, terms)
    values = sorted((value(trial) for trial in trials), key=lambda one: terms.sign * one)
    worst, best = values[len(values) // 4], values[-1]  # the worst quarter would squeeze the rest
    reach = max(abs(best - worst), 1e-9)
    plot.update_yaxes(range=sorted([worst - 0.1 * terms.sign * reach, best + 0.1 * terms.sign * reach]))
    _axis(plot.update_xaxes, x, terms)
    return Picture(
        "search-widths" if x == "hidden_units" else "search-parameter",
        f"{'Accuracy by width' if x == 'hidden_units' else f'By {title(x)}'} in the search",
        "The worst quarter of the trials may lie outside the frame.",
        f"{terms.metric.capitalize()} of {len(trials)} trials against {title(x)}.",
        plot,
        ("trial", SHORT.get(x, x), "state", terms.metric),
        [[str(t.number), f"{t.params[x]:.5g}", t.state.name.lower(), terms.value(value(t))] for t in trials],
    )


def _learning(trials: Sequence[FrozenTrial], marked: Marked, terms: Terms) -> Picture:
    """Learning curves: all trials in grey, baseline and best in colour."""
    plot = empty("epoch", terms.metric, ".1%" if terms.is_share else "")
    for trial in trials:
        _curve(plot, trial, f"trial {trial.number}", {"color": COLOURS[6], "width": 1}, False)
    for name, trial in marked:
        _curve(plot, trial, f"{name}: trial {trial.number}", {"color": PAGE[name], "width": 3}, True)
    plot.update_xaxes(type="log")
    if terms.key == "accuracy":
        worst = min((value(trial) for _, trial in marked), default=0.9)
        plot.update_yaxes(range=[worst - 0.1, 1.0])  # the start of the curves would squeeze their ends
    return Picture(
        "search-curves",
        "Learning curves of the search",
        "Grey lines are all trials; those that end early were pruned.",
        f"{terms.metric.capitalize()} by epoch of {len(trials)} trials.",
        plot,
        ("trial", "epochs", terms.metric),
        [[str(trial.number), str(trial.last_step), terms.value(value(trial))] for trial in trials],
    )


def title(name: str) -> str:
    """Return a parameter's name as an axis has it."""
    return {"lr": "learning rate"}.get(name, name.replace("_", " "))


def _axis(update: Callable[..., object], name: str, terms: Terms) -> None:
    ticks = {"hidden_units": WIDTHS, "lr": RATES}.get(name)
    update(type="log" if terms.numbers[name].log else "linear", tickformat="")
    if ticks:
        update(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])


def _points(  # noqa: PLR0917
    plot: go.Figure,
    trials: Sequence[FrozenTrial],
    name: str,
    x: str,
    y: Sequence[float],
    marker: object,
    terms: Terms,
) -> None:
    plot.add_scatter(
        x=[trial.params[x] for trial in trials],
        y=y,
        mode="markers",
        name=name,
        marker=marker,
        customdata=[[trial.number, terms.value(value(trial)), terms.setting(trial.params)] for trial in trials],
        hovertemplate="trial %{customdata[0]}: %{customdata[2]}<br>%{customdata[1]}",
    )


def _curve(plot: go.Figure, trial: FrozenTrial, name: str, line: object, named: bool) -> None:
    told = reports(trial)
    steps, values = list(told), list(told.values())
    plot.add_scatter(x=steps, y=values, mode="lines", name=name, line=line, showlegend=named)


def _marked(search: StudyState) -> Marked:
    pairs = [("baseline", search.baseline), ("best", search.best)]
    return [(name, trial) for name, trial in pairs if trial is not None]
