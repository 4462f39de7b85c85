"""The Pareto front of a search with two aims, as a figure and as a table: what the metric costs among its trials."""

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from search.results.display import Display
from search.results.drawing import COLOURS, PAIR, SYMBOLS, Picture, empty, front_line
from search.store.state import StudyState
from search.store.trials import value
from studies.aims import Aim

TITLE = "The Pareto front of the search"
CAPTION = "On the front, no other trial is better in one of the two and as good in the other."


def front_figures(search: StudyState) -> list[Picture]:
    """Return the figure of the front, none where there is one aim, or nothing on the front."""
    display = Display.of(search.attributes)
    return [_figure(search, display, display.against)] if display.against and search.front else []


def front_table(search: StudyState, display: Display) -> tuple[Sequence[str], list[list[str]]]:
    """Return head and rows of the front, best first; no rows where there is one aim."""
    aim = display.against
    head = ("trial", *display.heads(), display.metric, aim.title if aim else "")
    return head, [_cells(trial, display, aim) for trial in search.front if aim]


def _cells(trial: FrozenTrial, display: Display, aim: Aim) -> list[str]:
    return [str(trial.number), *display.cells(trial.params), display.value(value(trial)), aim.told(_cost(trial))]


def _cost(trial: FrozenTrial) -> float:
    return float(trial.values[1])


def _figure(search: StudyState, display: Display, aim: Aim) -> Picture:
    """The metric against the cost, drawn as the figure of the confirmed settings' costs is."""
    plot, on_front = empty(aim.title, display.metric, display.tick_format), search.front
    plot.update_xaxes(type="log", nticks=5)
    front_line(plot, 0, [(aim.factor * _cost(trial), value(trial)) for trial in on_front[::-1]])
    numbers = {trial.number for trial in on_front}
    others = [trial for trial in search.ranked if trial.number not in numbers]
    for name, trials, symbol in (("others", others, f"{SYMBOLS[0]}-open"), ("on the front", on_front, SYMBOLS[0])):
        marker = {"color": PAIR[0], "size": 11, "symbol": symbol, "line": {"color": PAIR[0], "width": 2}}
        told = [[each.number, display.setting(each.params), display.value(value(each))] for each in trials]
        plot.add_scatter(
            **_places(trials, aim),
            mode="markers",
            name=name,
            cliponaxis=False,
            marker=marker,
            customdata=told,
            hovertemplate="trial %{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    if search.baseline:
        ring = {"symbol": "circle-open", "size": 20, "color": COLOURS[3], "line": {"width": 3}}
        plot.add_scatter(**_places([search.baseline], aim), mode="markers", name="baseline", marker=ring)
    return Picture(
        "search-front",
        TITLE,
        f"Completed trials of the search, on one seed each{aim.method}. {CAPTION}",
        f"{display.metric[0].upper() + display.metric[1:]} against {aim.title} of {len(search.ranked)} trials. "
        f"The front goes from {_end(on_front[-1], display, aim)} to {_end(on_front[0], display, aim)}.",
        plot,
        *front_table(search, display),
    )


def _places(trials: Sequence[FrozenTrial], aim: Aim) -> dict[str, Any]:
    return {"x": [aim.factor * _cost(trial) for trial in trials], "y": [value(trial) for trial in trials]}


def _end(trial: FrozenTrial, display: Display, aim: Aim) -> str:
    return f"{display.value(value(trial))} at {aim.told(_cost(trial))} {aim.title}"
