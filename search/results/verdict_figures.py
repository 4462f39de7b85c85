"""The report's figures, each with its words and its numbers.

A figure is never only a picture: `alt` says in a sentence what it shows, `rows` holds the numbers drawn.
"""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.results.drawing import (
    COLOURS,
    PAIR,
    SYMBOLS,
    Curve,
    Picture,
    curve_table,
    curves,
    dots,
    empty,
    log_widths,
    mean_curve,
    means,
    percent,
    span,
)
from search.verdict.findings import Findings
from search.verdict.judge import WidthSummary
from studies.confirmation import GRID

PROTOCOLS = (("article-lr", "lr 0.02, as the article", 0.97), ("best-lr", "best lr found per width", 1.03))
TICKS = (4, 8, 16, 32, 64, 128, 256)
RINGS = ("square-open", "circle-open")  # around the baseline and the winner
LRS = (1e-4, 1e-3, 1e-2, 1e-1)


def verdict_figures(found: Findings) -> list[Picture]:
    """Return all figures of the report."""
    return [
        accuracy_by_width(found),
        learning_curves(found),
        gap_by_width(found),
        gap_by_epoch(found),
        cost(found),
        search_trials(found),
    ]


def accuracy_by_width(found: Findings) -> Picture:
    """Every seed as a dot, means with their intervals, both protocols."""
    plot, rows = empty("hidden units", "validation accuracy"), []
    for i, (protocol, label, shift) in enumerate(PROTOCOLS):
        widths = _widths(found, protocol)
        dots(plot, i, shift, [(width.width, value) for width in widths for value in width.values])
        points = [(width.width, width.mean, width.ci95) for width in widths]
        means(plot, i, label, shift, points)
        rows += [[label, str(w.width), f"{w.lr:.5f}", str(w.n), percent(w.mean), span(w.ci95)] for w in widths]
    best = max(found.verdict.widths, key=lambda width: width.mean)
    return Picture(
        "accuracy",
        "Accuracy by width",
        "Small dots are single seeds; large marks are means with 95 % intervals, not corrected for many comparisons.",
        f"Validation accuracy against hidden units. The highest mean is {percent(best.mean)} at {best.width} units.",
        log_widths(plot, _tried_widths(found)),
        ("learning rate", "units", "lr", "seeds", "mean", "95 % interval"),
        rows,
    )


def gap_by_width(found: Findings) -> Picture:
    """The generalisation gap at the last epoch."""
    plot, rows = empty("hidden units", "gap (points)", ""), []
    for i, (protocol, label, shift) in enumerate(PROTOCOLS):
        runs = [trial for arm in found.plan.arms if arm.protocol == protocol for trial in found.of(arm)]
        dots(plot, i, shift, [(trial.params["hidden_units"], 100 * trial.user_attrs["gap"]) for trial in runs])
        widths = _widths(found, protocol)
        points = [(w.width, 100 * w.gap, _scaled(w.gap_ci95)) for w in widths]
        means(plot, i, label, shift, points)
        rows += [[label, str(w), f"{gap:.2f}", f"{ci[0]:.2f} to {ci[1]:.2f}" if ci else "-"] for w, gap, ci in points]
    return Picture(
        "gap",
        "Does width memorize? The gap by width",
        f"Training minus validation accuracy after {found.epochs} epochs; a network that memorizes has a wide one.",
        f"Generalisation gap against hidden units: {_range_of(found)}.",
        log_widths(plot, _tried_widths(found)),
        ("learning rate", "units", "gap, points", "95 % interval"),
        rows,
    )


def gap_by_epoch(found: Findings) -> Picture:
    """How the gap grows, at the article's learning rate."""
    by_width = {
        arm.width: mean_curve([trial.user_attrs["gap_by_epoch"] for trial in found.of(arm)], 100)
        for arm in found.plan.arms
        if arm.protocol == "article-lr"
    }
    return Picture(
        "growth",
        "The gap by epoch",
        "Mean over seeds of training minus validation accuracy, at the article's lr 0.02.",
        "Generalisation gap against epochs for each width. " + _ends(by_width, "{:.2f} points"),
        curves(by_width, "gap (points)", ""),
        *curve_table(by_width, "{:.2f}"),
    )


def learning_curves(found: Findings) -> Picture:
    """Validation accuracy by epoch, at the article's learning rate."""
    by_width = {
        arm.width: mean_curve([trial.intermediate_values for trial in found.of(arm)], 1)
        for arm in found.plan.arms
        if arm.protocol == "article-lr"
    }
    return Picture(
        "curves",
        "Learning curves",
        "Mean validation accuracy over seeds, at the article's lr 0.02.",
        "Validation accuracy against epochs for each width. " + _ends(by_width, "{:.2%}"),
        curves(by_width, "validation accuracy", ".1%"),
        *curve_table(by_width, "{:.2%}"),
    )


def cost(found: Findings) -> Picture:
    """Accuracy against time, or against parameters where nothing was timed, with the Pareto front."""
    timed = all(width.seconds_per_epoch for width in found.verdict.widths)
    title = "ms per epoch, each width alone" if timed else "parameters"
    plot, rows = empty(title, "validation accuracy"), []
    plot.update_xaxes(type="log", nticks=5)
    for i, (protocol, label, _) in enumerate(PROTOCOLS):
        widths = _widths(found, protocol)
        _front(plot, i, label, [(_cost(w, timed), w) for w in widths])
        rows += [[label, *_cost_cells(width)] for width in widths]
    return Picture(
        "cost",
        "What accuracy costs",
        "Filled marks lie on the Pareto front: no other width is better in accuracy, parameters and time at once.",
        "Accuracy against cost. On the front are "
        + "; ".join(f"{', '.join(map(str, s.pareto))} units ({s.protocol})" for s in found.verdict.sweet_spot)
        + ".",
        plot,
        ("learning rate", "units", "parameters", "ms per epoch", "MFLOP per epoch", "accuracy", "on the front"),
        rows,
    )


def search_trials(found: Findings) -> Picture:
    """What the search itself tried."""
    trials = found.search.finished
    plot = empty("hidden units", "learning rate")
    plot.update_yaxes(type="log", tickformat="", tickvals=LRS, ticktext=[f"{lr:g}" for lr in LRS])
    values = sorted(trial.value for trial in trials if trial.value is not None)
    ends = (values[len(values) // 4], values[-1])  # the worst quarter, far below the rest, shares a colour
    for state, symbol in ((TrialState.PRUNED, "circle"), (TrialState.COMPLETE, "diamond")):
        chosen = [trial for trial in trials if trial.state == state]
        plot.add_scatter(**_tried(chosen, state.name.lower(), symbol, ends))
    _ring(plot, trials, found)
    best = next(t for t in trials if t.number == found.plan.winner)
    return Picture(
        "search",
        "What the search tried",
        "Each mark is a trial, coloured by its last validation accuracy; pruned ones trained for fewer epochs.",
        f"{len(trials)} trials over width and learning rate. The best is trial {best.number}: "
        f"{best.params['hidden_units']} units at lr {best.params['lr']:.5f}, {percent(best.value or 0)}.",
        log_widths(plot, TICKS),
        ("trial", "units", "lr", "state", "epochs", "validation accuracy"),
        [_trial_cells(trial) for trial in trials],
    )


def _front(plot: go.Figure, i: int, label: str, points: Sequence[tuple[float, WidthSummary]]) -> None:
    colour = PAIR[i]
    front = sorted((cost, width) for cost, width in ((c, w.mean) for c, w in points if w.pareto))
    x, y = [cost for cost, _ in front], [mean for _, mean in front]
    plot.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "shape": "hv", "width": 1.2}, showlegend=False)
    symbols = [SYMBOLS[i] + ("" if width.pareto else "-open") for _, width in points]
    plot.add_scatter(
        x=[cost for cost, _ in points],
        y=[width.mean for _, width in points],
        mode="markers+text",
        cliponaxis=False,
        name=label,
        text=[str(width.width) for _, width in points],
        textposition=("top center", "bottom center")[i],
        marker={"color": colour, "size": 11, "symbol": symbols, "line": {"color": colour, "width": 2}},
        hovertemplate="%{text} units: %{y}<extra></extra>",
    )


def _cost(width: WidthSummary, timed: bool) -> float:
    return 1000 * (width.seconds_per_epoch or 0) if timed else width.parameters


def _cost_cells(width: WidthSummary) -> list[str]:
    seconds, flops = width.seconds_per_epoch, width.flops_per_epoch
    return [
        str(width.width),
        f"{width.parameters:,}",
        f"{1000 * seconds:.1f}" if seconds else "-",
        f"{flops / 1e6:,.0f}" if flops else "-",
        percent(width.mean),
        "yes" if width.pareto else "no",
    ]


def _tried(trials: Sequence[FrozenTrial], name: str, symbol: str, ends: tuple[float, float]) -> dict[str, Any]:
    values = [trial.value for trial in trials]
    marker = {"color": values, "symbol": symbol, "size": 11, "colorscale": "Cividis", "cmin": ends[0], "cmax": ends[1]}
    marker |= {"line": {"width": 1, "color": "#888"}, "showscale": symbol == "diamond"}
    return {
        "x": [trial.params["hidden_units"] for trial in trials],
        "y": [trial.params["lr"] for trial in trials],
        "mode": "markers",
        "name": name,
        "marker": marker | {"colorbar": {"tickformat": ".1%", "thickness": 12, "outlinewidth": 0}},
        "customdata": [[trial.number, trial.value, trial.last_step] for trial in trials],
        "hovertemplate": "trial %{customdata[0]}: %{x} units, lr %{y:.5f}<br>%{customdata[1]:.2%} at epoch "
        "%{customdata[2]}<extra></extra>",
    }


def _ring(plot: go.Figure, trials: Sequence[FrozenTrial], found: Findings) -> None:
    """Ring the baseline and the winner."""
    for i, (name, wanted) in enumerate((("baseline", _is_baseline), ("winner", _is_numbered(found.plan.winner)))):
        chosen = [trial for trial in trials if wanted(trial)]
        plot.add_scatter(
            x=[trial.params["hidden_units"] for trial in chosen],
            y=[trial.params["lr"] for trial in chosen],
            mode="markers",
            name=name,
            hoverinfo="skip",
            marker={
                "symbol": ("square-open", "circle-open")[i],
                "size": 20,
                "line": {"width": 2.5},
                "color": COLOURS[3],
            },
        )


def _is_baseline(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get("baseline"))


def _is_numbered(number: int) -> Any:
    return lambda trial: trial.number == number


def _trial_cells(trial: FrozenTrial) -> list[str]:
    params = trial.params
    cells = [str(trial.number), str(params["hidden_units"]), f"{params['lr']:.5f}", trial.state.name.lower()]
    return [*cells, str(trial.last_step), percent(trial.value or 0)]


def _ends(curves: dict[int, Curve], form: str) -> str:
    ends = [f"{width} units end at {form.format(curve[max(curve)])}" for width, curve in curves.items() if curve]
    return ", ".join(ends) + "."


def _widths(found: Findings, protocol: str) -> list[WidthSummary]:
    return [width for width in found.verdict.widths if width.protocol == protocol]


def _tried_widths(found: Findings) -> list[int]:
    """Return the widths to label: the grid, and the winner's where its label does not run into another."""
    others = {arm.width for arm in found.plan.arms} - set(GRID)
    return sorted({*GRID, *(width for width in others if all(abs(math.log(width / near)) > 0.2 for near in GRID))})


def _range_of(found: Findings) -> str:
    gaps = [(100 * width.gap, width.width) for width in found.verdict.widths]
    (low, narrow), (high, wide) = min(gaps), max(gaps)
    return f"from {low:.2f} points at {narrow} units to {high:.2f} points at {wide} units"


def _scaled(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    return (100 * bounds[0], 100 * bounds[1]) if bounds else None
