"""A trial as the function of a space sees it: Optuna's three ways to suggest a parameter, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from model.errors import SweetspotError

Params = Mapping[str, Any]
Choose = Callable[[str, BaseDistribution], Any]


class SpaceError(SweetspotError):
    """A setting is not one of a space, or a space is none; the line goes on from the name of what is wrong."""

    exit_code = 2


class Asked:
    """A trial as the function of a space sees it: what it suggests is what `choose` returns."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self.params: dict[str, Any] = {}
        self.ranges: dict[str, BaseDistribution] = {}
        self.choosing = False  # and still so where that has failed: an error is then not the function's own

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number."""
        return self.value(name, IntDistribution(low, high, log=log, step=step))  # type: ignore[no-any-return]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number."""
        return self.value(name, FloatDistribution(low, high, log=log, step=step))  # type: ignore[no-any-return]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return self.value(name, CategoricalDistribution(choices))

    def value(self, name: str, distribution: BaseDistribution) -> Any:
        """Return the value of a parameter, the same whenever it is asked for again."""
        if self.ranges.setdefault(name, distribution) != distribution:
            raise two_ranges(name, self.ranges[name], distribution)
        if name not in self.params:
            self.choosing = True
            self.params[name] = self._choose(name, distribution)
            self.choosing = False
        return self.params[name]


def two_ranges(name: str, one: BaseDistribution, other: BaseDistribution) -> SpaceError:
    """Return what is to be raised for a parameter whose range depends on others."""
    return SpaceError(f"has {name} with two ranges, {one} and {other}; give one of them another name")


def written(params: Params) -> str:
    """Write parameters in a line."""
    return ", ".join(f"{name} = {value!r}" for name, value in params.items()) or "no other parameter"
