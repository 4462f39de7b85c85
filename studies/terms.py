"""How a study's parameters, values and settings are written: by its claims, its space and its words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from optuna.distributions import BaseDistribution, json_to_distribution

from studies.aims import AIMS, Aim
from studies.asked import Asked
from studies.built_in import built_in_of
from studies.claims import Called
from studies.confirmation import asked_of
from studies.prose import Prose, prose_of
from studies.settings import short
from studies.spec import StudySpec
from studies.study import Study
from studies.sweet_spot import ARTICLE, SPACE, STUDY


@dataclass(frozen=True)
class Terms:
    """The words and forms of one study."""

    asked: Asked
    space: Mapping[str, BaseDistribution]
    words: Prose
    sometimes: frozenset[str] = frozenset()  # parameters that some trials do not have
    against: Aim | None = None  # its second aim

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """Return the terms that a stored study's attributes tell; of a study that somebody else made, those of the
        first built-in one. Raises ValueError for claims that make no sense."""
        if "fingerprint" not in attributes:
            return cls(ARTICLE, SPACE, STUDY.prose or prose_of(ARTICLE, SPACE))
        asked, known, stated = asked_of(attributes), built_in_of(attributes), attributes["fingerprint"]
        space = {name: json_to_distribution(json.dumps(each)) for name, each in stated["space"].items()}
        words = known.study.prose if known else None
        sometimes, against = frozenset(stated.get("conditional", ())), AIMS.get(stated.get("against"))
        return cls(asked, space, words or prose_of(asked, space), sometimes, against)

    @classmethod
    def of_search(cls, spec: StudySpec, study: Study) -> Self:
        """Return the terms of a search that may not be stored yet."""
        assert spec.asked is not None
        words = study.prose or prose_of(spec.asked, spec.space)
        return cls(spec.asked, spec.space, words, spec.space.sometimes, spec.against)

    @property
    def metric(self) -> str:
        """The metric's name, of the part of the data that a search is scored on."""
        return self.asked.metric.name

    @property
    def plain_metric(self) -> str:
        """The metric's name without the part of the data."""
        return self.metric.removeprefix("validation ")

    @property
    def key(self) -> str:
        """The metric's name in those of a trial's figures: val_accuracy."""
        return self.asked.metric.short

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return self.asked.metric.sign

    def value(self, number: float) -> str:
        """Write a value of the metric."""
        return f"{number:.2%}" if self.asked.metric.fraction else f"{number:.4g}"

    def span(self, bounds: tuple[float, float] | None) -> str:
        """Write an interval of the metric."""
        return f"{self.value(bounds[0])} to {self.value(bounds[1])}" if bounds else "-"

    def difference(self, number: float) -> str:
        """Write a difference of the metric with its sign."""
        return f"{100 * number:+.2f} points" if self.asked.metric.fraction else f"{number:+.4g}"

    def label(self, name: str) -> str:
        """Return the head of a parameter's column."""
        return self.words.labels.get(name, name)

    def heads(self) -> list[str]:
        """Return the heads of the parameters' columns."""
        return [self.label(name) for name in self.space]

    def write(self, name: str, value: Any) -> str:
        """Write a parameter's value."""
        return format(value, self.words.formats[name]) if name in self.words.formats else short(value)

    def cells(self, params: Mapping[str, Any]) -> list[str]:
        """Write a trial's parameters, one for each column; "-" for one that it has not."""
        return [self.cell(name, params) for name in self.space]

    def cell(self, name: str, params: Mapping[str, Any]) -> str:
        """Write the value of one, "-" if it is not there."""
        return self.write(name, params[name]) if name in params else "-"

    def setting(self, params: Mapping[str, Any]) -> str:
        """Write a trial's parameters as sentences do: 25 units, lr 0.02000."""
        return ", ".join(self._told(name, params[name]) for name in self.space if name in params)

    def _told(self, name: str, value: Any) -> str:
        called: Called | None = self.asked.called
        written = self.write(name, value)
        return f"{written} {called.unit}" if called and called.parameter == name else f"{name} {written}"
