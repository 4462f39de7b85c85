"""How a study is drawn: which parameters, over which ranges; and what the settings of its verdict are called."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from studies.claims import Called
from studies.settings import Setting, is_number, short
from studies.terms import Terms


class Display(Terms):
    """How one study is shown."""

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
    def curve_key(self) -> str:
        """The name of the curve over the main parameter in JSON."""
        return self.asked.called.many if self.asked.called else "values"

    def axis(self, name: str) -> str:
        """Return the title of a parameter's axis."""
        return self.called.axis if name == self.main else self.words.axes.get(name, name)

    @property
    def tick_format(self) -> str:
        """Plotly's format of the metric at an axis."""
        return ".1%" if self.asked.metric.fraction else ""

    def of_main(self, value: Any) -> str:
        """Write a value of the main parameter as sentences do: "25 units"."""
        called = self.asked.called
        return f"{short(value)} {called.unit}" if called else f"{self.main}={short(value)}"

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
