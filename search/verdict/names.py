"""What settings and figures are called in sentences."""

from dataclasses import dataclass
from typing import Literal

from studies.claims import Called, Metric, SweetSpot, Words, apart
from studies.settings import Setting, short

Unit = Literal["points", "times", "plain"]  # plain: the metric's own


@dataclass(frozen=True)
class Name:
    """What a setting is called in a sentence."""

    text: str  # "25 units": the subject of a sentence, in the plural
    brief: str  # "25": after a comparison


def named(a: Setting, b: Setting, words: Words) -> tuple[Name, Name]:
    """Return the names of two settings that are compared: what they are called, or the values that differ."""
    if words.called:
        return _called(a, words.called), _called(b, words.called)
    one, other = apart(a, b)
    return Name(f"runs with {one}", f"runs with {one}"), Name(f"runs with {other}", f"runs with {other}")


def _called(setting: Setting, called: Called) -> Name:
    own = short(setting[called.parameter])
    return Name(f"{own} {called.unit}", own)


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
    return f"{100 * value:.2f}" if unit == "points" else f"{value:.2f}"


def amount(value: float, metric: Metric) -> str:
    """Write a difference of a metric with its unit."""
    unit = unit_of(metric)
    return f"{number(value, unit)} points" if unit == "points" else number(value, unit)
