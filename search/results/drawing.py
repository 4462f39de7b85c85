"""How the report's figures are drawn: Plotly's objects, without colours of paper and ink, which the page chooses.

Colours are Okabe and Ito's, which all common kinds of colour vision tell apart, and never stand alone: symbols differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

# Okabe & Ito (2008), less black and yellow, which vanish on a dark and on a light page; grey is the seventh.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C8C8C")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "cross")
PAIR = (COLOURS[0], COLOURS[3])  # of the two protocols
Curve = dict[int, float]  # by epoch
Point = tuple[float, float, tuple[float, float] | None]  # place, mean, 95 % interval


@dataclass(frozen=True)
class Picture:
    """A figure with what stands around it."""

    name: str  # of its element in the page
    title: str
    caption: str  # how to read it
    alt: str  # what it shows, for those who do not see it
    plot: go.Figure
    head: Sequence[str]  # of the table of its numbers
    rows: Sequence[Sequence[str]]


def empty(x: str, y: str, y_format: str = ".1%") -> go.Figure:
    """Return an empty figure with its axes named; the page gives it its colours."""
    plot = go.Figure()
    plot.update_layout(
        margin={"l": 62, "r": 14, "t": 8, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        template="none",
        hovermode="closest",
    )
    plot.update_xaxes(title_text=x, automargin=True, zeroline=False)
    plot.update_yaxes(title_text=y, automargin=True, zeroline=False, tickformat=y_format)
    return plot


def label_x(plot: go.Figure, ticks: Sequence[Any] | None, labels: Sequence[str], logarithmic: bool) -> go.Figure:
    """Label the x axis at these places, if there are any, and put it on a log scale."""
    if logarithmic:
        plot.update_xaxes(type="log")
    if ticks is not None:
        plot.update_xaxes(tickvals=ticks, ticktext=labels)
    return plot


def dots(plot: go.Figure, i: int, points: Sequence[tuple[float, float]]) -> None:
    """Draw single seeds, beside their mean so that neither hides the other."""
    marker = {"color": PAIR[i], "size": 6, "opacity": 0.45, "symbol": SYMBOLS[i]}
    x, y = [place for place, _ in points], [value for _, value in points]
    plot.add_scatter(
        x=x, y=y, mode="markers", marker=marker, showlegend=False, hovertemplate="%{y}<extra>a seed</extra>"
    )


def means(plot: go.Figure, i: int, label: str, points: Sequence[Point], *, names: Sequence[str], joined: bool) -> None:
    """Draw means with their intervals, joined by a line or apart; `i` picks colour and symbol."""
    colour = PAIR[i]
    bars = [(mean - ci[0], ci[1] - mean) if ci else (0.0, 0.0) for _, mean, ci in points]
    plot.add_scatter(
        x=[place for place, _, _ in points],
        y=[mean for _, mean, _ in points],
        error_y={"array": [up for _, up in bars], "arrayminus": [down for down, _ in bars], "thickness": 1.6},
        mode="lines+markers" if joined else "markers",
        name=label,
        line={"color": colour, "width": 1.2, "dash": ("solid", "dot")[i]},
        marker={"color": colour, "size": 10, "symbol": SYMBOLS[i]},
        customdata=list(names),
        hovertemplate="%{customdata}: %{y}<extra></extra>",
    )


def front_line(plot: go.Figure, i: int, points: Sequence[tuple[float, float]]) -> None:
    """Draw the edge of a Pareto front, given as costs and values from the cheapest on; `i` picks the colour."""
    line = {"color": PAIR[i], "shape": "hv", "width": 1.2}
    x, y = [cost for cost, _ in points], [value for _, value in points]
    plot.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip")


def curves(curves: Mapping[str, Curve], y: str, y_format: str) -> go.Figure:
    """Draw a curve for each setting, by its name."""
    plot = empty("epoch", y, y_format)
    for i, (name, curve) in enumerate(curves.items()):
        style = {"color": COLOURS[i % len(COLOURS)]}
        plot.add_scatter(
            x=list(curve),
            y=list(curve.values()),
            mode="lines+markers",
            name=name,
            line=style | {"width": 2},
            marker=style | {"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 8},
        )
    return plot


def curve_table(
    head: str, curves: Mapping[str, Curve], write: Callable[[float], str]
) -> tuple[Sequence[str], list[list[str]]]:
    """Return head and rows of the table of curves."""
    epochs = sorted({epoch for curve in curves.values() for epoch in curve})
    rows = [
        [name, *(write(curve[epoch]) if epoch in curve else "-" for epoch in epochs)] for name, curve in curves.items()
    ]
    return (head, *(f"epoch {epoch}" for epoch in epochs)), rows


def mean_curve(runs: Sequence[Mapping[Any, float]], factor: float) -> Curve:
    """Return the mean over runs of a figure by epoch, whose keys JSON may have made strings."""
    epochs = sorted({int(epoch) for run in runs for epoch in run})
    plain = [{int(epoch): value for epoch, value in run.items()} for run in runs]
    return {epoch: factor * fmean([run[epoch] for run in plain if epoch in run]) for epoch in epochs}
