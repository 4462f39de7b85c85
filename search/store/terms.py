"""How a study's values and parameters are written: by its metric, its direction and its space."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution

from studies.claims import ACCURACY, Metric
from studies.sweet_spot import SPACE

SHORT = {"hidden_units": "units"}  # what a column is headed with, where that is not the parameter's name


@dataclass(frozen=True)
class Terms:
    """The words and forms of one study."""

    told: Metric = ACCURACY
    space: Mapping[str, BaseDistribution] = field(default_factory=lambda: SPACE)
    sometimes: frozenset[str] = frozenset()  # parameters that some trials do not have

    @staticmethod
    def of(attributes: Mapping[str, Any]) -> "Terms":
        """Return the terms that a study's attributes tell; those of studies before there were others by default."""
        stated = attributes.get("fingerprint", {})
        space = {name: json_to_distribution(json.dumps(each)) for name, each in stated.get("space", {}).items()}
        claims = attributes.get("claims")
        metric = Metric(**claims["metric"]) if claims else ACCURACY
        return Terms(metric, space or SPACE, frozenset(stated.get("conditional", ())))

    @property
    def key(self) -> str:
        """The metric's name in those of a trial's figures: val_accuracy."""
        return self.told.short

    @property
    def metric(self) -> str:
        """The metric on the images or rows that the search is scored on."""
        return self.told.name

    @property
    def is_share(self) -> bool:
        """Whether values are written in per cent, and differences in points."""
        return self.told.fraction

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return self.told.sign

    def value(self, number: float) -> str:
        """Write a value."""
        return f"{number:.2%}" if self.is_share else f"{number:.4g}"

    def difference(self, number: float) -> str:
        """Write a difference of two values."""
        return f"{100 * number:+.2f} points" if self.is_share else f"{number:+.4g}"

    def titles(self) -> list[str]:
        """Return what columns of the parameters are headed with."""
        return [SHORT.get(name, name) for name in self.space]

    def cells(self, params: Mapping[str, Any]) -> list[str]:
        """Write a trial's parameters, one for each column; "-" for one that it has not."""
        return [_short(name, params[name]) if name in params else "-" for name in self.space]

    def setting(self, params: Mapping[str, Any]) -> str:
        """Write a trial's parameters in a line: 25 units, lr 0.02000."""
        known = [name for name in self.space if name in params]
        return ", ".join(
            f"{_short(name, params[name])} units" if name == "hidden_units" else f"{name} {_short(name, params[name])}"
            for name in known
        )

    def space_json(self) -> dict[str, str]:
        """Return the space as Optuna writes it."""
        return {name: distribution_to_json(each) for name, each in self.space.items()}


def _short(name: str, value: Any) -> str:
    if name == "lr" and isinstance(value, float):
        return f"{value:.5f}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
