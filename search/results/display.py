"""How a study's parameters, settings and metric are written and drawn: from its claims, its space and its words."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.trial import FrozenTrial

from search.results import article
from search.results.prose import Prose, prose_of
from studies.asked import Asked
from studies.claims import Called
from studies.confirmation import asked_of
from studies.settings import Setting, is_number, short
from studies.sweet_spot import ARTICLE, SPACE


@dataclass(frozen=True)
class Display:
    """How one study is shown."""

    asked: Asked
    space: Mapping[str, BaseDistribution]
    words: Prose
    sometimes: frozenset[str] = frozenset()  # parameters that some trials do not have

    @property
    def main(self) -> str:
        """The parameter over which is drawn: that of the claims, or the first of the space."""
        if self.asked.called:
            return self.asked.called.parameter
        return self.asked.spots[0].parameter if self.asked.spots else self._ordered[0]

    @property
    def other(self) -> str | None:
        """A second parameter, None where there is one only."""
        return next((name for name in self._ordered if name != self.main), None)

    @property
    def _ordered(self) -> list[str]:
        """The parameters, those that all trials have before the others."""
        return sorted(self.space, key=lambda name: name in self.sometimes)

    @property
    def called(self) -> Called:
        """How values of the main parameter are called."""
        name = self.main
        return self.asked.called or Called(name, "", f"value of {name}", f"values of {name}", name)

    @property
    def metric(self) -> str:
        """The metric's name without the part of the data."""
        return self.asked.metric.name.removeprefix("validation ")

    @property
    def curve_key(self) -> str:
        """The name of the curve over the main parameter in JSON."""
        return self.asked.called.many if self.asked.called else "values"

    def label(self, name: str) -> str:
        """Return the head of a parameter's column."""
        return self.words.labels.get(name, name)

    def axis(self, name: str) -> str:
        """Return the title of a parameter's axis."""
        return self.called.axis if name == self.main else self.words.axes.get(name, name)

    def write(self, name: str, value: Any) -> str:
        """Write a parameter's value."""
        return format(value, self.words.formats[name]) if name in self.words.formats else short(value)

    def cells(self, params: Mapping[str, Any]) -> list[str]:
        """Write the values of all parameters, in order of the space; "-" for one that is not there."""
        return [self.cell(name, params) for name in self.space]

    def cell(self, name: str, params: Mapping[str, Any]) -> str:
        """Write the value of one, "-" if it is not there."""
        return self.write(name, params[name]) if name in params else "-"

    def heads(self) -> list[str]:
        """Return the heads of these columns."""
        return [self.label(name) for name in self.space]

    def value(self, value: float) -> str:
        """Write a value of the metric."""
        return f"{value:.2%}" if self.asked.metric.fraction else f"{value:.4g}"

    def span(self, bounds: tuple[float, float] | None) -> str:
        """Write an interval of the metric."""
        return f"{self.value(bounds[0])} to {self.value(bounds[1])}" if bounds else "-"

    def difference(self, value: float) -> str:
        """Write a difference of the metric with its sign."""
        return f"{100 * value:+.2f} points" if self.asked.metric.fraction else f"{value:+.4g}"

    @property
    def tick_format(self) -> str:
        """Plotly's format of the metric at an axis."""
        return ".1%" if self.asked.metric.fraction else ""

    def of_main(self, value: Any) -> str:
        """Write a value of the main parameter as sentences do: "25 units"."""
        called = self.asked.called
        return f"{short(value)} {called.unit}" if called else f"{self.main}={short(value)}"

    def described(self, trial: FrozenTrial) -> str:
        """Write a trial's parameters as sentences do."""
        params = trial.params
        rest = [
            f"{name} {self.write(name, params[name])}" for name in self.space if name in params and name != self.main
        ]
        main = [self.of_main(params[self.main])] if self.main in params else []
        return " at ".join([*main, *([", ".join(rest)] if rest else [])])

    def ticks(self, name: str) -> list[Any] | None:
        """Return where an axis of a parameter is labelled, None to leave it to Plotly."""
        dist = self.space[name]
        if not (isinstance(dist, IntDistribution | FloatDistribution) and dist.log):
            return None
        base = 2 if isinstance(dist, IntDistribution) else 10
        powers = range(math.ceil(math.log(dist.low, base) - 1e-9), math.floor(math.log(dist.high, base) + 1e-9) + 1)
        return [base**power if base == 2 else float(f"1e{power}") for power in powers]

    def logarithmic(self, name: str) -> bool:
        """Say whether a parameter is searched by its logarithm."""
        return bool(getattr(self.space[name], "log", False))

    def bins(self) -> list[tuple[Any, Any]]:
        """Return ranges of the main parameter, both ends inclusive: doublings, sixths of its range, or its choices."""
        dist = self.space[self.main]
        if isinstance(dist, CategoricalDistribution):
            return [(choice, choice) for choice in dist.choices]
        assert isinstance(dist, IntDistribution | FloatDistribution)
        edges = self._edges(dist)
        if isinstance(dist, IntDistribution):
            ends = [*edges[1:-1], dist.high + 1]
            return [(low, end - 1) for low, end in zip(edges[:-1], ends, strict=True)]
        return list(pairwise(edges))

    def _edges(self, dist: IntDistribution | FloatDistribution) -> list[Any]:
        inner = [tick for tick in self.ticks(self.main) or [] if dist.low < tick < dist.high]
        if not inner:
            width = (dist.high - dist.low) / 6
            inner = [dist.low + step * width for step in range(1, 6)]
        if isinstance(dist, IntDistribution):
            inner = sorted({round(edge) for edge in inner} - {dist.low, dist.high})
        return [dist.low, *inner, dist.high]


def display_of(attributes: Mapping[str, Any]) -> Display:
    """Return how a stored study is shown. Raises ValueError for claims that make no sense."""
    asked = asked_of(attributes)
    stored = attributes["fingerprint"]["space"]
    space = {name: json_to_distribution(json.dumps(dist)) for name, dist in stored.items()}
    words = article.WORDS if asked is ARTICLE else prose_of(asked, space)
    return Display(asked, space, words, frozenset(attributes["fingerprint"].get("conditional", ())))


OF_ARTICLE = Display(ARTICLE, SPACE, article.WORDS)


@dataclass(frozen=True)
class Names:
    """What the settings of a verdict are called: by what tells them from each other."""

    called: Called | None  # where one parameter does
    varying: tuple[str, ...]

    @classmethod
    def of(cls, settings: Iterable[Setting], called: Called | None) -> "Names":
        """Find what tells settings apart."""
        known = set(settings)
        names = sorted({name for setting in known for name in setting})
        varying = tuple(name for name in names if len({setting.get(name) for setting in known}) > 1)
        enough = called is not None and set(varying) <= {called.parameter}
        return cls(called if enough else None, varying)

    def full(self, setting: Setting) -> str:
        """Return "25 units", or its values."""
        return f"{self.brief(setting)} {self.called.unit}" if self.called else self.brief(setting)

    def brief(self, setting: Setting) -> str:
        """Return "25", or its values."""
        if self.called:
            return short(setting[self.called.parameter])
        told = setting.without(set(setting) - set(self.varying)) if self.varying else setting
        return str(told)

    @property
    def head(self) -> str:
        """The head of their column."""
        return self.called.unit if self.called else "setting"

    @property
    def one(self) -> str:
        """What a setting is."""
        return self.called.one if self.called else "setting"

    @property
    def many(self) -> str:
        """What settings are."""
        return self.called.many if self.called else "settings"


@dataclass(frozen=True)
class Axis:
    """Where settings stand on the x axis of a figure: at the value of one parameter, or side by side."""

    title: str
    places: Mapping[Setting, float]
    logarithmic: bool
    ticks: Sequence[float]
    labels: Sequence[str]

    def at(self, setting: Setting, shift: float) -> float:
        """Return the place of a setting, shifted by a factor near 1 so that protocols do not hide each other."""
        place = self.places[setting]
        return place * shift if self.logarithmic else place + math.log(shift) * self._step

    @property
    def _step(self) -> float:
        return 3 * (max(self.places.values()) - min(self.places.values()) or 1) / max(1, len(self.places) - 1)

    @classmethod
    def of_arms(cls, settings: Sequence[Setting], names: Names) -> "Axis":
        """Put settings side by side."""
        places = {setting: float(at) for at, setting in enumerate(settings)}
        return cls(names.one, places, False, list(places.values()), [names.brief(setting) for setting in settings])

    @classmethod
    def of_parameter(cls, settings: Sequence[Setting], name: str, title: str, always: Iterable[Any]) -> "Axis":
        """Put settings at their values of a parameter; labels of those that are not always to be seen keep apart."""
        values = [setting[name] for setting in settings]
        if not all(map(is_number, values)):
            places = {setting: float(at) for at, setting in enumerate(settings)}
            return cls(title, places, False, list(places.values()), [short(value) for value in values])
        logarithmic = min(values) > 0 and max(values) / min(values) >= 8
        shown = _labelled([value for value in values if value in set(always)], values, logarithmic)
        places = {setting: setting[name] for setting in settings}
        return cls(title, places, logarithmic, shown, [short(value) for value in shown])


def _labelled(always: Sequence[Any], values: Sequence[Any], logarithmic: bool) -> list[Any]:
    def apart(one: float, other: float) -> bool:
        span = max(values) - min(values) or 1
        return abs(math.log(one / other)) > 0.2 if logarithmic else abs(one - other) > span / 20

    free = [value for value in values if value not in always and all(apart(value, near) for near in always)]
    return sorted({*always, *free})
