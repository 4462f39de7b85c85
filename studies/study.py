"""What a person writes: one file with a `study` in it. `python -m search.run FILE` answers its question.

from torch import nn
from studies import Float, Int, Study, claims

def network(units, dropout):
    return nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 10))

study = Study(
    data="digits",
    network=network,
    space={"units": Int(8, 256, log=True), "dropout": Float(0, 0.6), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"units": 25, "dropout": 0.0, "lr": 0.02},
    claims=[claims.better({"dropout": 0.2}, than={"dropout": 0.0})],
)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from torch import nn

from model.data.dataset import DataSource
from model.errors import SweetspotError
from model.general.augment import Augment
from model.general.choices import Loss, Metric, Optimizer
from studies.aims import AIMS
from studies.asked import Layout
from studies.asking import SpaceError
from studies.claims import Claim, Pair, SweetSpot
from studies.halving import Halving
from studies.prose import Prose
from studies.settings import Setting
from studies.space import Space

Params = Mapping[str, Any]


class StudyError(SweetspotError):
    """A study's file says what cannot be; the line says what, and how to mend it."""

    exit_code = 2


def Int(low: int, high: int, *, log: bool = False, step: int = 1) -> IntDistribution:  # noqa: N802  # as a type's name
    """A parameter that is a whole number from `low` to `high`, both included."""
    return IntDistribution(low, high, log=log, step=step)


def Float(low: float, high: float, *, log: bool = False, step: float | None = None) -> FloatDistribution:  # noqa: N802
    """A parameter that is a number from `low` to `high`."""
    return FloatDistribution(low, high, log=log, step=step)


def Categorical(choices: Sequence[Any]) -> CategoricalDistribution:  # noqa: N802
    """A parameter that is one of these: texts, numbers, True and False, or None."""
    return CategoricalDistribution(choices)


@dataclass(frozen=True)
class Study:
    """A question and all that answers it. Raises `StudyError` for a baseline or a claim outside the space."""

    data: str | DataSource  # a name, or studies.data("rows.csv", target="label")
    network: Callable[..., nn.Module]  # called with those of a trial's parameters, `inputs` and `classes` that it names
    space: Mapping[str, BaseDistribution] | Callable[[Any], Any]  # what is searched: ranges, or a function of a trial
    baseline: Params  # trial 0 of every search, never pruned; what claims leave out is taken from it
    fixed: Sequence[Params] = ()  # other settings that are tried, once each; what they leave out is the baseline's
    claims: Sequence[Claim] = ()
    optimizer: Optimizer = field(default_factory=Optimizer)  # Adam, whose lr is the parameter `lr`
    loss: Loss | None = None  # cross_entropy for classes, mse for numbers
    metric: Metric | None = None  # accuracy for classes, mean_squared_error for numbers; its name says which is better
    against: str | None = None  # a second aim: "parameters" or "seconds", the less the better; then no trial is stopped
    augment: Augment | None = None  # of training pictures; a strength is a number or the name of a parameter
    batch: int = 128
    epochs: int = 30  # of a trial that is not stopped
    tuned: Sequence[str] = ()  # parameters for which claims are judged a second time, at the best values found
    question: str = ""  # the first line of the file's docstring, unless given
    halving: Halving | None = None  # where trials are judged and stopped; by default `studies.halving.HALVING`
    published: Mapping[str, float] = field(default_factory=dict)  # figures of the baseline that others have printed
    prose: Prose | None = None  # what is said around its figures; words that fit any study, unless given
    layout: Layout = field(default_factory=Layout)  # names in stored verdicts and their JSON

    def __post_init__(self) -> None:
        for name, value in (("batch", self.batch), ("epochs", self.epochs)):
            if type(value) is not int or value < 1:
                raise StudyError(f"{name} is a whole number of 1 or more, not {value!r}")
        if self.against not in (None, *AIMS):
            raise StudyError(f"against is {' or '.join(map(repr, AIMS))}, not {self.against!r}")
        if self.against is not None and self.halving is not None:
            raise StudyError("halving stops trials, which Optuna cannot do with two aims: leave out halving or against")
        if not self.searched:
            raise StudyError("the space is empty: name at least one parameter, such as lr=Float(1e-4, 1e-1, log=True)")
        self._check("baseline", self.searched.wrong(self.baseline))
        for params in self.fixed:
            self._check("fixed trial", self.searched.wrong(params, self.baseline))
        for claim in self.claims:
            self._check(f"claim {claim.id!r}", self._wrong(claim))

    @cached_property
    def searched(self) -> Space:
        """The space, whichever way it is written. Raises `StudyError` for one that is none."""
        try:
            return Space.of(self.space)
        except SpaceError as error:
            raise StudyError(f"the space {error}") from error

    def _check(self, what: str, wrong: str) -> None:
        if wrong:
            raise StudyError(f"the {what} {wrong}")

    def _wrong(self, claim: Claim) -> str:
        """Return what is wrong with a claim's settings, "" if nothing is."""
        if isinstance(claim, SweetSpot):  # beside some values of its parameter not all occurs that is at=...
            settings = [Setting.of({claim.parameter: each}) for each in claim.among]
            return self.searched.unknown(claim.at) or self._first_wrong(settings, {**self.baseline, **claim.at})
        wrong = self._first_wrong(claim.settings(), self.baseline)
        if not wrong and isinstance(claim, Pair):
            one, other = (self.searched.belonging(each.over(self.baseline)) for each in claim.settings())
            wrong = f"compares {Setting.of(one)} with itself" if one == other else ""
        return wrong

    def _first_wrong(self, settings: Sequence[Setting], over: Params) -> str:
        return next(filter(None, (self.searched.wrong(each, over) for each in settings)), "")
