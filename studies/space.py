"""What a study searches: every parameter that can occur and, where some occur only beside others, which do when.

A space is a dict of ranges, or a function of a trial, in Optuna's own define-by-run:

    def space(trial):
        for at in range(trial.suggest_int("layers", 1, 3)):
            trial.suggest_int(f"units{at}", 8, 256, log=True)
        trial.suggest_float("lr", 1e-4, 1e-1, log=True)

What the function returns is of no account. It is run often, and must ask for the same whenever it is told the same.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.asking import Asked, Params, SpaceError, written
from studies.branches import Function, at_random, representatives, systematic, united
from studies.optuna_private import contains


def inside(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value may be drawn from a distribution. Optuna would read True and texts as numbers."""
    if not isinstance(distribution, CategoricalDistribution) and isinstance(value, (bool, str)):
        return False
    try:
        return contains(distribution, value)
    except (TypeError, ValueError):
        return False


def share_of_range(distribution: IntDistribution | FloatDistribution, value: float) -> float:
    """Return where in its range a value lies, from 0 to 1 on the range's own scale; beyond them outside of it.

    Raises `ZeroDivisionError` for a range of a single value.
    """
    scale = math.log if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    return (scale(value) - low) / (high - low)


@dataclass(frozen=True, eq=False)
class Space(Mapping[str, BaseDistribution]):
    """The parameters that can occur, with their ranges; made by `Space.of`."""

    ranges: Mapping[str, BaseDistribution]
    function: Function | None = None  # of a space whose parameters are asked for one after another
    sometimes: frozenset[str] = frozenset()  # those that do not always occur
    branches: Sequence[Params] = ()  # settings that together have every parameter, low and high; if there is a function

    @staticmethod
    def of(stated: "Mapping[str, BaseDistribution] | Function") -> "Space":
        """Return the space of a dict or a function.

        Raises `SpaceError` for a function that gives one parameter two ranges, and what the function raises.
        """
        if isinstance(stated, Space):
            return stated
        if isinstance(stated, Mapping):
            return Space(dict(stated))
        if not callable(stated):
            raise SpaceError(f"is a dict of ranges or a function of a trial, not {type(stated).__name__}")
        ordered, others = list(systematic(stated)), list(at_random(stated))
        ranges = united([*ordered, *others])
        always = frozenset(ranges).intersection(*(run.ranges for run in (*ordered, *others)))
        return Space(ranges, stated, frozenset(ranges) - always, representatives(ordered, others))

    def __getitem__(self, name: str) -> BaseDistribution:
        return self.ranges[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)

    @property
    def always(self) -> frozenset[str]:
        """The parameters that every setting has."""
        return frozenset(self.ranges) - self.sometimes

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Give a trial its parameters and return them.

        Raises `SpaceError` where the function fails, or asks for what it has not asked for when it was looked through.
        """

        def choose(name: str, distribution: BaseDistribution) -> Any:
            if self.ranges.get(name) != distribution:
                raise SpaceError(f"asks for {name} = {distribution} with {written(asked.params)} for the first time")
            return _suggest(trial, name, distribution)

        asked = Asked(choose)
        try:
            self._ask(asked)
        except Exception as error:
            if asked.choosing or isinstance(error, SpaceError):
                raise
            raise SpaceError(f"fails with {written(asked.params)}: {type(error).__name__}: {error}") from error
        return asked.params

    def belonging(self, params: Params) -> dict[str, Any]:
        """Return those of some parameters that occur together, in order.

        Raises `SpaceError` for a value that is missing or outside its range.
        """

        def given(name: str, distribution: BaseDistribution) -> Any:
            if name not in params:
                raise SpaceError(f"has no {name}{self._when(asked.params)}")
            if not inside(distribution, params[name]):
                raise SpaceError(f"has {name} = {params[name]!r}, which is outside {distribution}")
            return params[name]

        asked = Asked(given)
        self._ask(asked)
        return asked.params

    def lacks(self, params: Params) -> str:
        """Return what is missing among parameters or outside its range, "" if nothing is."""
        try:
            self.belonging(params)
        except SpaceError as error:
            return str(error)
        return ""

    def wrong(self, params: Params, over: Params | None = None) -> str:
        """Return what is wrong with parameters, completed by those of `over`; "" if nothing is.

        The line goes on from the setting's name: "the baseline" has no units.
        """
        whole = {**(over or {}), **params}
        if wrong := self.unknown(params) or self.lacks(whole):
            return wrong
        own = self.belonging(whole)
        idle = next((name for name in params if name not in own), None)
        return "" if idle is None else f"has {idle}, which does not occur with {written(own)}"

    def unknown(self, params: Params) -> str:
        """Return which parameter the space has not, or not with this value; "" if there is none."""
        for name, value in params.items():
            if name not in self.ranges:
                return f"has {name}, which the space has not: {', '.join(self.ranges)}"
            if not inside(self.ranges[name], value):
                return f"has {name} = {value!r}, which is outside {self.ranges[name]}"
        return ""

    def _when(self, known: Params) -> str:
        if self.function is None:
            return ": it names every parameter of the space"
        return f", which occurs with {written(known)}" if known else ""

    def _ask(self, asked: Asked) -> None:
        if self.function is not None:
            self.function(asked)
            return
        for name, distribution in self.ranges.items():
            asked.value(name, distribution)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """Give a trial a parameter, by the public method that belongs to its distribution."""
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, FloatDistribution):
        step, log = distribution.step, distribution.log
        return trial.suggest_float(name, distribution.low, distribution.high, step=step, log=log)
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)
