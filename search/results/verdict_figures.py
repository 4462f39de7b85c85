"""The report's figures, each with its words and its numbers.

A figure is never only a picture: `alt` says in a sentence what it shows, `rows` holds the numbers drawn. Settings stand
on a line over their parameter where all of them lie on that of a sweet spot; else side by side, and each sweet spot has
a figure of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from search.results.display import Axis, Display, Names
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
    front_line,
    label_x,
    mean_curve,
    means,
)
from search.store.trials import value
from search.verdict.findings import Findings
from search.verdict.judge import ArmSummary
from studies.claims import SweetSpot
from studies.settings import Setting

SHIFTS = (0.97, 1.03)  # of the protocols, so that none hides the other
RINGS = ("square-open", "circle-open")  # around the baseline and the winner


def verdict_figures(found: Findings) -> list[Picture]:
    """Return all figures of the report."""
    view = View(found)
    return [
        view.values(),
        *view.spots(),
        view.learning_curves(),
        view.gaps(),
        view.gap_by_epoch(),
        view.cost(),
        search_trials(found, view.display),
    ]


class View:
    """What the figures of one verdict have in common."""

    def __init__(self, found: Findings) -> None:
        self.found, self.display = found, Display.of(found.search.attributes)
        self.words, self.metric = self.display.words, found.asked.metric
        self.settings = sorted({arm.setting for arm in found.verdict.arms}, key=Setting.order)
        self.names = Names.of(self.settings, found.asked.called)
        self.line = next((spot for spot in found.asked.spots if self._all_on(spot)), None)
        self.axis = self._axis(self.line, self.settings) if self.line else Axis.of_arms(self.settings, self.names)
        pairs = zip(found.asked.protocols.names, self.words.legends, SHIFTS, strict=False)
        self.protocols = list(enumerate(pairs))

    def _all_on(self, spot: SweetSpot) -> bool:
        return len(spot.line(self.settings)) == len(self.settings)

    def _axis(self, spot: SweetSpot, settings: Sequence[Setting]) -> Axis:
        title = spot.words.called.axis if spot.words.called else self.display.words.axes.get(spot.parameter)
        return Axis.of_parameter(settings, spot.parameter, title or spot.parameter, spot.among)

    @property
    def plain(self) -> str:
        """The metric at the beginning of a title."""
        return self.display.plain_metric[0].upper() + self.display.plain_metric[1:]

    @property
    def full(self) -> str:
        """The metric with its data at the beginning of a sentence."""
        return self.metric.name[0].upper() + self.metric.name[1:]

    def arms(self, protocol: str) -> list[ArmSummary]:
        """Return the arms of a protocol."""
        return [arm for arm in self.found.verdict.arms if arm.protocol == protocol]

    def values(self) -> Picture:
        """Every seed as a dot, means with their intervals, all protocols."""
        return self._values("accuracy", self.axis, self.names.one, lambda _: True, self.line is not None)

    def spots(self) -> list[Picture]:
        """Return a curve for each claim of a sweet spot on whose line not all settings lie."""
        spots = [spot for spot in self.found.asked.spots if spot is not self.line]
        return [self._curve(f"spot-{at}", spot) for at, spot in enumerate(spots) if spot.line(self.settings)]

    def _curve(self, name: str, spot: SweetSpot) -> Picture:
        line = spot.line(self.settings)
        one = spot.words.called.one if spot.words.called else f"value of {spot.parameter}"
        return self._values(name, self._axis(spot, line), one, lambda setting: setting in line, True)

    def _values(self, name: str, axis: Axis, one: str, chosen: Callable[[Setting], bool], joined: bool) -> Picture:
        plot, rows, shown = empty(axis.title, self.metric.name, self.display.tick_format), [], []
        for i, (protocol, label, shift) in self.protocols:
            arms = [arm for arm in self.arms(protocol) if chosen(arm.setting)]
            shown += arms
            dots(plot, i, [(axis.at(arm.setting, shift**1.8), value) for arm in arms for value in arm.values])
            points = [(axis.at(arm.setting, shift), arm.mean, arm.ci95) for arm in arms]
            names = [self.names.full(arm.setting) for arm in arms]
            means(plot, i, label, points, names=names, joined=joined)
            rows += [self._value_cells(label, arm) for arm in arms]
        best = max(shown, key=lambda arm: self.metric.sign * arm.mean)
        end = "highest" if self.metric.sign > 0 else "lowest"
        free = [self.display.label(parameter) for parameter in self.found.asked.protocols.free]
        return Picture(
            name,
            f"{self.plain} by {one}",
            "Small dots are single seeds; large marks are means with 95 % intervals, "
            "not corrected for many comparisons.",
            f"{self.full} against {axis.title}. The {end} mean is {self.display.value(best.mean)} at "
            f"{self.names.full(best.setting)}.",
            label_x(plot, axis.ticks, axis.labels, axis.logarithmic),
            (self.words.column, self.names.head, *free, "seeds", "mean", "95 % interval"),
            rows,
        )

    def _value_cells(self, label: str, arm: ArmSummary) -> list[str]:
        free = [self.display.cell(name, arm.params) for name in self.found.asked.protocols.free]
        setting = self.names.brief(arm.setting)
        return [label, setting, *free, str(arm.n), self.display.value(arm.mean), self.display.span(arm.ci95)]

    @property
    def factor(self) -> float:
        """Gaps of fractions are drawn in points."""
        return 100 if self.metric.fraction else 1

    def gap(self, value: float) -> str:
        """Write a gap as it is drawn."""
        return f"{value:.2f}" if self.metric.fraction else f"{value:.4g}"

    @property
    def gap_title(self) -> str:
        """The title of the axis of gaps."""
        return "gap (points)" if self.metric.fraction else "gap"

    def gaps(self) -> Picture:
        """The generalisation gap at the last epoch."""
        plot, rows = empty(self.axis.title, self.gap_title, ""), []
        for i, (protocol, label, shift) in self.protocols:
            arms = [arm for arm in self.found.plan.arms if arm.protocol == protocol]
            seeds = [(arm.setting, trial.user_attrs["gap"]) for arm in arms for trial in self.found.of(arm)]
            dots(plot, i, [(self.axis.at(setting, shift**1.8), self.factor * gap) for setting, gap in seeds])
            scaled = [(arm.setting, self.factor * arm.gap, self._scaled(arm.gap_ci95)) for arm in self.arms(protocol)]
            points = [(self.axis.at(setting, shift), gap, ci) for setting, gap, ci in scaled]
            names = [self.names.full(setting) for setting, _, _ in scaled]
            means(plot, i, label, points, names=names, joined=self.line is not None)
            rows += [[label, self.names.brief(each), self.gap(gap), self._gap_span(ci)] for each, gap, ci in scaled]
        return Picture(
            "gap",
            f"{f'Does {self.names.one} memorize? ' if self.names.called else ''}The gap by {self.names.one}",
            f"Training minus {self.metric.name} after {self.found.epochs} epochs; "
            "a network that memorizes has a wide one.",
            f"Generalisation gap against {self.axis.title}: {self._range()}.",
            label_x(plot, self.axis.ticks, self.axis.labels, self.axis.logarithmic),
            (self.words.column, self.names.head, self.gap_title.replace(" (", ", ").rstrip(")"), "95 % interval"),
            rows,
        )

    def _scaled(self, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        return (self.factor * bounds[0], self.factor * bounds[1]) if bounds else None

    def _gap_span(self, bounds: tuple[float, float] | None) -> str:
        return f"{self.gap(bounds[0])} to {self.gap(bounds[1])}" if bounds else "-"

    def _range(self) -> str:
        gaps = [(self.factor * arm.gap, at, arm.setting) for at, arm in enumerate(self.found.verdict.arms)]
        (low, _, narrow), (high, _, wide) = min(gaps), max(gaps)
        unit = " points" if self.metric.fraction else ""
        return (
            f"from {self.gap(low)}{unit} at {self.names.full(narrow)} "
            f"to {self.gap(high)}{unit} at {self.names.full(wide)}"
        )

    def gap_by_epoch(self) -> Picture:
        """How the gap grows, at the settings as they are stated."""
        by_setting = self._stated(lambda trial: trial.user_attrs["gap_by_epoch"], self.factor)
        unit = " points" if self.metric.fraction else ""
        return Picture(
            "growth",
            "The gap by epoch",
            f"Mean over seeds of training minus {self.metric.name}{self.words.captioned}.",
            f"Generalisation gap against epochs for each {self.names.one}. "
            + self._ends(by_setting, lambda gap: f"{self.gap(gap)}{unit}"),
            curves(self._full(by_setting), self.gap_title, ""),
            *curve_table(self.names.head, self._brief(by_setting), self.gap),
        )

    def learning_curves(self) -> Picture:
        """The metric by epoch, at the settings as they are stated."""
        by_setting = self._stated(lambda trial: trial.intermediate_values, 1)
        return Picture(
            "curves",
            "Learning curves",
            f"Mean {self.metric.name} over seeds{self.words.captioned}.",
            f"{self.full} against epochs for each {self.names.one}. " + self._ends(by_setting, self.display.value),
            curves(self._full(by_setting), self.metric.name, self.display.tick_format),
            *curve_table(self.names.head, self._brief(by_setting), self.display.value),
        )

    def _stated(self, figures: Callable[[FrozenTrial], Any], factor: float) -> dict[Setting, Curve]:
        arms = [arm for arm in self.found.plan.arms if arm.protocol == self.found.asked.protocols.stated]
        return {arm.setting: mean_curve([figures(trial) for trial in self.found.of(arm)], factor) for arm in arms}

    def _full(self, by_setting: dict[Setting, Curve]) -> dict[str, Curve]:
        return {self.names.full(setting): curve for setting, curve in by_setting.items()}

    def _brief(self, by_setting: dict[Setting, Curve]) -> dict[str, Curve]:
        return {self.names.brief(setting): curve for setting, curve in by_setting.items()}

    def _ends(self, by_setting: dict[Setting, Curve], write: Callable[[float], str]) -> str:
        named = [(self.names.full(setting), curve) for setting, curve in by_setting.items() if curve]
        return ", ".join(f"{name} end at {write(curve[max(curve)])}" for name, curve in named) + "."

    def cost(self) -> Picture:
        """The metric against time, or against parameters where nothing was timed, with the Pareto front."""
        timed = all(arm.seconds_per_epoch for arm in self.found.verdict.arms)
        title = f"ms per epoch, each {self.names.one} alone" if timed else "parameters"
        plot, rows, fronts = empty(title, self.metric.name, self.display.tick_format), [], []
        plot.update_xaxes(type="log", nticks=5)
        for i, (protocol, label, _) in self.protocols:
            arms = self.arms(protocol)
            self._front(plot, i, label, [(_cost(arm, timed), arm) for arm in arms])
            rows += [[label, *self._cost_cells(arm)] for arm in arms]
            best = [self.names.brief(arm.setting) for arm in arms if arm.pareto]
            unit = f" {self.names.called.unit}" if self.names.called else ""
            fronts += [f"{', '.join(best)}{unit} ({protocol})"] if arms else []
        return Picture(
            "cost",
            f"What {self.display.plain_metric} costs",
            f"Filled marks lie on the Pareto front: no other {self.names.one} is better in "
            f"{self.display.plain_metric}, parameters and time at once.",
            f"{self.plain} against cost. On the front are {'; '.join(fronts)}.",
            plot,
            (
                *(self.words.column, self.names.head, "parameters", "ms per epoch", "MFLOP per epoch"),
                *(self.display.plain_metric, "on the front"),
            ),
            rows,
        )

    def _front(self, plot: go.Figure, i: int, label: str, points: Sequence[tuple[float, ArmSummary]]) -> None:
        colour = PAIR[i]
        front_line(plot, i, sorted((cost, arm.mean) for cost, arm in points if arm.pareto))
        symbols = [SYMBOLS[i] + ("" if arm.pareto else "-open") for _, arm in points]
        plot.add_scatter(
            x=[cost for cost, _ in points],
            y=[arm.mean for _, arm in points],
            mode="markers+text",
            cliponaxis=False,
            name=label,
            text=[self.names.brief(arm.setting) for _, arm in points],
            textposition=("top center", "bottom center")[i],
            marker={"color": colour, "size": 11, "symbol": symbols, "line": {"color": colour, "width": 2}},
            customdata=[self.names.full(arm.setting) for _, arm in points],
            hovertemplate="%{customdata}: %{y}<extra></extra>",
        )

    def _cost_cells(self, arm: ArmSummary) -> list[str]:
        seconds, flops = arm.seconds_per_epoch, arm.flops_per_epoch
        return [
            self.names.brief(arm.setting),
            f"{arm.parameters:,}",
            f"{1000 * seconds:.1f}" if seconds else "-",
            f"{flops / 1e6:,.0f}" if flops else "-",
            self.display.value(arm.mean),
            "yes" if arm.pareto else "no",
        ]


def _cost(arm: ArmSummary, timed: bool) -> float:
    return 1000 * (arm.seconds_per_epoch or 0) if timed else arm.parameters


def search_trials(found: Findings, display: Display) -> Picture:
    """What the search itself tried."""
    trials, main, other = found.search.finished, display.main, display.other
    plot = empty(display.axis(main), display.axis(other) if other else found.asked.metric.name)
    if other:
        ticks = display.ticks(other)
        plot.update_yaxes(tickformat="", **({"type": "log"} if display.logarithmic(other) else {}))
        if ticks:
            plot.update_yaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    ends = colour_ends([value(trial) for trial in trials], found.asked.metric.sign)
    for state, symbol in ((TrialState.PRUNED, "circle"), (TrialState.COMPLETE, "diamond")):
        chosen = [trial for trial in trials if trial.state == state]
        plot.add_scatter(**_tried(display, chosen, state.name.lower(), symbol, ends))
    _ring(plot, display, trials, found)
    best = next(t for t in trials if t.number == found.plan.winner)
    ticks = display.ticks(main)
    return Picture(
        "search",
        "What the search tried",
        f"Each mark is a trial, coloured by its last {found.asked.metric.name}; pruned ones trained for fewer epochs.",
        f"{len(trials)} trials over {display.words.space}. The best is trial {best.number}: "
        f"{display.setting(best.params)}, {display.value(value(best))}.",
        label_x(plot, ticks, [str(tick) for tick in ticks or []], display.logarithmic(main)),
        ("trial", *display.heads(), "state", "epochs", found.asked.metric.name),
        [_trial_cells(display, trial) for trial in trials],
    )


def colour_ends(values: Sequence[float], sign: int) -> tuple[float, float]:
    """Return the ends of the scale of colours: the worst quarter, far from the rest, shares one."""
    ordered = sorted(values)
    if sign > 0:
        return ordered[len(ordered) // 4], ordered[-1]
    return ordered[0], ordered[-1 - len(ordered) // 4]


def second(display: Display, trial: FrozenTrial) -> Any:
    """Return where a trial stands on the y axis: at its second parameter or, where there is none, at its value."""
    return trial.params.get(display.other) if display.other else value(trial)


def hover_value(display: Display) -> str:
    """Return Plotly's format of a value that is pointed at."""
    return ":.2%" if display.asked.metric.fraction else ":.4g"


def _tried(
    display: Display, trials: Sequence[FrozenTrial], name: str, symbol: str, ends: tuple[float, float]
) -> dict[str, Any]:
    values = [value(trial) for trial in trials]
    marker = {"color": values, "symbol": symbol, "size": 11, "colorscale": "Cividis", "cmin": ends[0], "cmax": ends[1]}
    marker |= {"line": {"width": 1, "color": "#888"}, "showscale": symbol == "diamond"}
    return {
        "x": [trial.params.get(display.main) for trial in trials],
        "y": [second(display, trial) for trial in trials],
        "mode": "markers",
        "name": name,
        "marker": marker | {"colorbar": {"tickformat": display.tick_format, "thickness": 12, "outlinewidth": 0}},
        "customdata": [
            [trial.number, value(trial), trial.last_step, display.setting(trial.params)] for trial in trials
        ],
        "hovertemplate": f"trial %{{customdata[0]}}: %{{customdata[3]}}<br>%{{customdata[1]{hover_value(display)}}} "
        "at epoch %{customdata[2]}<extra></extra>",
    }


def _ring(plot: go.Figure, display: Display, trials: Sequence[FrozenTrial], found: Findings) -> None:
    """Ring the baseline and the winner."""
    for i, (name, wanted) in enumerate((("baseline", _is_baseline), ("winner", _is_numbered(found.plan.winner)))):
        chosen = [trial for trial in trials if wanted(trial)]
        plot.add_scatter(
            x=[trial.params.get(display.main) for trial in chosen],
            y=[second(display, trial) for trial in chosen],
            mode="markers",
            name=name,
            hoverinfo="skip",
            marker={"symbol": RINGS[i], "size": 20, "line": {"width": 2.5}, "color": COLOURS[3]},
        )


def _is_baseline(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get("baseline"))


def _is_numbered(number: int) -> Any:
    return lambda trial: trial.number == number


def _trial_cells(display: Display, trial: FrozenTrial) -> list[str]:
    cells = [str(trial.number), *display.cells(trial.params), trial.state.name.lower()]
    return [*cells, str(trial.last_step), display.value(value(trial))]
