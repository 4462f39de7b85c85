"""What a search's trials say of its parameters and of going on, as sentences, JSON and figures."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import CategoricalDistribution

from search.results.dependence import Dependence, dependence
from search.results.display import Display
from search.results.drawing import COLOURS, PAIR, SYMBOLS, Picture, empty, label_x
from search.results.gain import Gain, expected_gain
from search.results.importance import Importance, importances
from search.results.tried import Tried, tried
from search.store.state import StudyState

FIGURES = 3  # parameters that are drawn at most
BAND = "rgba(0, 114, 178, 0.2)"  # the first colour, that paper shows through


def influence_sentences(state: StudyState) -> list[str]:
    """Return what mattered, and what going on is expected to gain; nothing of what cannot be said."""
    known, display = tried(state), Display.of(state.attributes)
    found, gain = importances(known), expected_gain(known)
    return [*([_importances_told(found)] if found else []), *([_gain_told(gain, display)] if gain else [])]


def influence_json(state: StudyState) -> dict[str, Any]:
    """Return the same in JSON types."""
    known, display = tried(state), Display.of(state.attributes)
    gain = expected_gain(known)
    return {
        "importances": [{**vars(each), "known": each.known} for each in importances(known)],
        "expected_gain": {**vars(gain), "sentence": _gain_told(gain, display)} if gain else None,
    }


def _importances_told(found: Sequence[Importance]) -> str:
    sure = [f"{each.parameter} {each.told}" for each in found if each.known]
    rest = [each.parameter for each in found if not each.known]
    if not sure:
        return f"what mattered cannot be told from chance yet: {', '.join(rest)}"
    return f"what mattered: {', '.join(sure)}" + (f"; not told from chance: {', '.join(rest)}" if rest else "")


def _gain_told(gain: Gain, display: Display) -> str:
    mean, low, high = (_size(each, display) for each in (gain.mean, gain.low, gain.high))
    unit = " points" if display.asked.metric.fraction else f" of {display.plain_metric}"
    return f"{gain.trials} more trials are expected to gain {mean}{unit} (roughly {low} to {high}), luck left out"


def _size(gain: float, display: Display) -> str:
    return f"{100 * gain:.2f}" if display.asked.metric.fraction else f"{gain:.3g}"


def influence_figures(state: StudyState) -> list[Picture]:
    """Return the metric's partial dependence on each of the most important parameters; none of too few trials."""
    known, display = tried(state), Display.of(state.attributes)
    drawn = [(each, dependence(known, each.parameter)) for each in importances(known)[:FIGURES]]
    return [_figure(k, each, curve, known, display) for k, (each, curve) in enumerate(drawn, 1) if curve]


def _figure(k: int, importance: Importance, curve: Dependence, known: Tried, display: Display) -> Picture:
    name, metric = importance.parameter, display.asked.metric
    plot = empty(display.axis(name), metric.name, display.tick_format)
    _trials(plot, known, name, display)
    (_categories if isinstance(display.space[name], CategoricalDistribution) else _band)(plot, curve)
    ticks = display.ticks(name)
    return Picture(
        f"search-influence-{k}",
        f"What to expect of {display.label(name)}",
        _caption(importance),
        _alt(known, display.axis(name), metric.name),
        label_x(plot, ticks, [f"{tick:g}" for tick in ticks or []], display.logarithmic(name)),
        (display.label(name), "expected", "95 % from", "to"),
        [
            [display.write(name, at), *(display.value(each) for each in ends)]
            for at, *ends in zip(curve.places, curve.means, curve.low, curve.high, strict=True)
        ],
    )


def _caption(importance: Importance) -> str:
    """Return what stands under the title; the dashboard has one line for it."""
    matters = f"{importance.told} of what mattered" if importance.known else "not told from chance"
    return f"Expected by a Gaussian process over the other parameters, with its 95 % band. Importance: {matters}."


def _alt(known: Tried, name: str, metric: str) -> str:
    worse = f" The worst {known.raised} are drawn, and count, as better than they were." if known.raised else ""
    return (
        f"Expected {metric} against {name}: averaged over the other parameters as they were tried; the band holds that "
        f"average with 95 %, if the process is right. It is fitted to {len(known)} trials, which lie where the search "
        "looked. Those that were pruned stand at what they showed last and what the completed ones gained from there "
        f"on, in the median.{worse}"
    )


def _trials(plot: go.Figure, known: Tried, name: str, display: Display) -> None:
    """Draw the trials that have the parameter, completed and pruned apart."""
    for ended, label, colour in ((False, "pruned, carried on", COLOURS[6]), (True, "complete", COLOURS[3])):
        chosen = [k for k, each in enumerate(known.complete) if each == ended and name in dict(known.settings[k])]
        plot.add_scatter(
            x=[_place(dict(known.settings[k])[name]) for k in chosen],
            y=[known.scale.value(known.levels[k]) for k in chosen],
            mode="markers",
            name=label,
            marker={"symbol": SYMBOLS[ended], "size": 7, "color": colour, "opacity": 0.7},
            customdata=[display.setting(dict(known.settings[k])) for k in chosen],
            hovertemplate="%{customdata}: %{y}<extra></extra>",
        )


def _band(plot: go.Figure, curve: Dependence) -> None:
    x = [*curve.places, *curve.places[::-1]]
    plot.add_scatter(
        x=x,
        y=[*curve.high, *curve.low[::-1]],
        mode="lines",
        fill="toself",
        fillcolor=BAND,
        line={"width": 0},
        hoverinfo="skip",
        name="95 % band",
    )
    plot.add_scatter(
        x=curve.places,
        y=curve.means,
        mode="lines",
        name="expected",
        line={"color": PAIR[0], "width": 2.5},
        hovertemplate="%{x:.4g}: %{y}<extra>expected</extra>",
    )


def _categories(plot: go.Figure, curve: Dependence) -> None:
    up = [high - mean for high, mean in zip(curve.high, curve.means, strict=True)]
    down = [mean - low for low, mean in zip(curve.low, curve.means, strict=True)]
    plot.add_scatter(
        x=[_place(each) for each in curve.places],
        y=curve.means,
        error_y={"array": up, "arrayminus": down, "thickness": 1.6},
        mode="markers",
        name="expected",
        marker={"color": PAIR[0], "size": 11, "symbol": SYMBOLS[2]},
        hovertemplate="%{x}: %{y}<extra>expected</extra>",
    )
    plot.update_xaxes(type="category")


def _place(value: Any) -> Any:
    """Return where a value stands on an axis; categories may be None, or mixed."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
