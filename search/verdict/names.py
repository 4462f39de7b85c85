"""What settings and figures are called in sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from studies.claims import Called, Metric, SweetSpot, Words, apart
from studies.settings import Setting, short

Unit = Literal["points", "times", "%", "plain"]  # %: a level, not a difference; plain: the metric's own


@dataclass(frozen=True)
class Name:
    """What a setting is called in a sentence, at its first mention and in a comparison."""

    text: str  # "25 units", "runs with dropout=0.2": the subject of a sentence, in the plural
    brief: str  # "25", "with dropout=0.2": after "than"
    of: str  # "of 25 units", "with dropout=0.2"
    of_brief: str  # "of 25", "with dropout=0.2"
    beside: str  # "with 25 units", "with dropout=0.2"
    beside_brief: str  # "with 25", "with dropout=0.2"


def named(a: Setting, b: Setting, words: Words) -> tuple[Name, Name]:
    """Return the names of two settings that are compared: what they are called, or the values that differ."""
    if words.called:
        return _called(a, words.called), _called(b, words.called)
    one, other = apart(a, b)
    return _told(one), _told(other)


def _called(setting: Setting, called: Called) -> Name:
    own = short(setting[called.parameter])
    text = f"{own} {called.unit}"
    return Name(text, own, f"of {text}", f"of {own}", f"with {text}", f"with {own}")


def _told(values: Setting) -> Name:
    text = f"with {values}"
    return Name(f"runs {text}", text, text, text, text, text)


def alone(setting: Setting, words: Words, alike: Iterable[str] = ()) -> Name:
    """Return the name of a setting that is not one of a pair; `alike` are parameters that need not be told."""
    return _called(setting, words.called) if words.called else _told(setting.without(alike))


def called(claim: SweetSpot) -> Called:
    """Return how a sweet spot's values are called."""
    name = claim.parameter
    return claim.words.called or Called(name, "", f"value of {name}", f"values of {name}", name)


def value_of(claim: SweetSpot, setting: Setting) -> str:
    """Return what a setting of a sweet spot's line is called."""
    words, own = claim.words.called, setting[claim.parameter]
    return _called(setting, words).text if words else f"runs with {claim.parameter}={short(own)}"


def unit_of(metric: Metric) -> Unit:
    """Return the unit in which differences of a metric are told."""
    return "points" if metric.fraction else "plain"


def number(value: float, unit: Unit) -> str:
    """Write a figure in its unit, without it."""
    if unit == "plain":
        return f"{value:.4g}"
    return f"{100 * value:.2f}" if unit in {"points", "%"} else f"{value:.2f}"


def amount(value: float, metric: Metric) -> str:
    """Write a difference of a metric with its unit."""
    unit = unit_of(metric)
    return f"{number(value, unit)} points" if unit == "points" else number(value, unit)


def level(value: float, metric: Metric) -> str:
    """Write a value of a metric with its unit."""
    return f"{number(value, '%')} %" if metric.fraction else number(value, "plain")
