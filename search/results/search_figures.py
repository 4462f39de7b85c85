"""Plots of a search by itself, from its trials alone: what they tried, the best by parameter, how they learnt."""

from collections.abc import Sequence

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.results.display import Display
from search.results.drawing import COLOURS, SYMBOLS, Picture, empty, label_x
from search.results.verdict_figures import colour_ends, hover_value, second
from search.store.state import StudyState
from search.store.trials import value
from studies.curve_model import reports

PAGE = {"pruned": COLOURS[6], "complete": COLOURS[0], "baseline": COLOURS[3], "best": COLOURS[2]}
Marked = Sequence[tuple[str, FrozenTrial]]  # the trials that stand out, by what they are


def search_figures(search: StudyState) -> list[Picture]:
    """Return the figures; empty where no trial has been scored yet."""
    trials, marked = search.finished, _marked(search)
    if not trials:
        return []
    display = Display.of(search.attributes)
    return [_tried(display, trials, marked), _by_main(display, trials, marked), _learning(display, trials, marked)]


def _tried(display: Display, trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """Every trial at its first two parameters."""
    main, other, metric = display.main, display.other, display.asked.metric
    plot = empty(display.axis(main), display.axis(other) if other else metric.name)
    if other:
        ticks = display.ticks(other)
        plot.update_yaxes(tickformat="", **({"type": "log"} if display.logarithmic(other) else {}))
        if ticks:
            plot.update_yaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    low, high = colour_ends([value(trial) for trial in trials], metric.sign)
    end = {"cmin": low} if metric.sign > 0 else {"cmax": high}
    marker = {"color": [value(trial) for trial in trials], "size": 11, "colorscale": "Cividis", "showscale": True}
    marker |= {"colorbar": {"tickformat": display.tick_format}, **end}
    _points(plot, display, trials, "trial", y=[second(display, trial) for trial in trials], marker=marker)
    for name, trial in marked:
        _points(plot, display, [trial], name, y=[second(display, trial)], marker=_ring(name))
    return Picture(
        "search",
        "What the search tried",
        f"Coloured by the last {metric.name}; pruned trials trained for fewer epochs.",
        f"{len(trials)} trials over {display.words.space}.",
        _over_main(plot, display),
        ("trial", *display.heads(), metric.name),
        [[str(t.number), *display.cells(t.params), display.value(value(t))] for t in trials],
    )


def _by_main(display: Display, trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """The metric against the parameter of the claims, completed and pruned apart."""
    metric, main = display.asked.metric, display.main
    plot = empty(display.axis(main), metric.name, display.tick_format)
    for i, state in enumerate((TrialState.PRUNED, TrialState.COMPLETE)):
        name, chosen = state.name.lower(), [trial for trial in trials if trial.state == state]
        marker = {"symbol": SYMBOLS[i], "size": 10, "color": PAGE[name]}
        _points(plot, display, chosen, name, y=[value(trial) for trial in chosen], marker=marker)
    for name, trial in marked:
        _points(plot, display, [trial], name, y=[value(trial)], marker=_ring(name))
    plot.update_yaxes(range=_frame(display, [value(trial) for trial in trials]))  # the worst would squeeze the rest
    plain = display.plain_metric[0].upper() + display.plain_metric[1:]
    return Picture(
        "search-widths",
        f"{plain} by {display.called.one} in the search",
        "The worst quarter of the trials may lie outside the frame."
        if metric.sign < 0
        else "The worst quarter of the trials may lie below the frame.",
        f"{metric.name[0].upper() + metric.name[1:]} of {len(trials)} trials against {display.axis(main)}.",
        _over_main(plot, display),
        ("trial", display.label(main), "state", metric.name),
        [[str(t.number), display.cell(main, t.params), t.state.name.lower(), display.value(value(t))] for t in trials],
    )


def _frame(display: Display, values: Sequence[float]) -> list[float]:
    """Return the ends of the axis: a little beyond the values but for the worst quarter."""
    low, high = colour_ends(values, display.asked.metric.sign)
    if display.asked.metric.fraction:
        return [low - 0.005, high + 0.01]
    room = 0.05 * (high - low or 1)
    return [low - room, high + room]


def _learning(display: Display, trials: Sequence[FrozenTrial], marked: Marked) -> Picture:
    """Learning curves: all trials in grey, baseline and best in colour."""
    metric = display.asked.metric
    plot = empty("epoch", metric.name, display.tick_format)
    for trial in trials:
        _curve(plot, trial, f"trial {trial.number}", {"color": COLOURS[6], "width": 1}, False)
    for name, trial in marked:
        _curve(plot, trial, f"{name}: trial {trial.number}", {"color": PAGE[name], "width": 3}, True)
    plot.update_xaxes(type="log")
    if metric.fraction and metric.sign > 0:
        worst = min((value(trial) for _, trial in marked), default=0.9)
        plot.update_yaxes(range=[worst - 0.1, 1.0])  # the start of the curves would squeeze their ends
    return Picture(
        "search-curves",
        "Learning curves of the search",
        "Grey lines are all trials; those that end early were pruned.",
        f"{metric.name[0].upper() + metric.name[1:]} by epoch of {len(trials)} trials.",
        plot,
        ("trial", "epochs", metric.name),
        [[str(trial.number), str(trial.last_step), display.value(value(trial))] for trial in trials],
    )


def _ring(name: str) -> dict[str, object]:
    return {"symbol": "circle-open", "size": 20, "color": PAGE[name], "line": {"width": 3}}


def _over_main(plot: go.Figure, display: Display) -> go.Figure:
    ticks = display.ticks(display.main)
    return label_x(plot, ticks, [str(tick) for tick in ticks or []], display.logarithmic(display.main))


def _points(
    plot: go.Figure, display: Display, trials: Sequence[FrozenTrial], name: str, *, y: Sequence[float], marker: object
) -> None:
    plot.add_scatter(
        x=[trial.params.get(display.main) for trial in trials],
        y=y,
        mode="markers",
        name=name,
        marker=marker,
        customdata=[[trial.number, value(trial), display.setting(trial.params)] for trial in trials],
        hovertemplate=f"trial %{{customdata[0]}}: %{{customdata[2]}}<br>%{{customdata[1]{hover_value(display)}}}",
    )


def _curve(plot: go.Figure, trial: FrozenTrial, name: str, line: object, named: bool) -> None:
    told = reports(trial)
    steps, values = list(told), list(told.values())
    plot.add_scatter(x=steps, y=values, mode="lines", name=name, line=line, showlegend=named)


def _marked(search: StudyState) -> Marked:
    pairs = [("baseline", search.baseline), ("best", search.best)]
    return [(name, trial) for name, trial in pairs if trial is not None]
