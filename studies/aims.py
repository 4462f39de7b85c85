"""What a study may weigh its metric against: a second aim, minimised, by Optuna's multi-objective studies.

A completed trial of such a study has two values, the metric and this one; all others have one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Aim:
    """A second aim, and how it is told."""

    name: str  # as a study's file says it
    value: str  # as Optuna's tools call it
    figure: str  # name among a trial's figures
    title: str  # of an axis or a column, in the unit it is told in
    factor: float  # from the stored value to that unit
    form: str  # Python's format of a number in that unit
    method: str  # how it is found, in words

    def of(self, figures: Mapping[str, Any]) -> float:
        """Return the value that a trial of these figures is told with."""
        return float(figures[self.figure])

    def told(self, value: float) -> str:
        """Write a value, in the unit of the title."""
        return format(self.factor * value, self.form)


TIMES = 3  # epochs, after one to warm up, of which the median is a trial's time
PARAMETERS = Aim("parameters", "parameters", "parameters", "parameters", 1, ",.0f", "")
SECONDS = Aim(
    "seconds",
    "seconds per epoch",
    "seconds_per_epoch",
    "ms per epoch",
    1000,
    ",.2f",
    f"; a trial's seconds are measured, with noise: the median of {TIMES} epochs of its network alone",
)
AIMS = {aim.name: aim for aim in (PARAMETERS, SECONDS)}


def rank(trial: FrozenTrial, sign: int = 1) -> tuple[float, ...]:
    """Return by what completed trials are put in order, best first: the metric, a second aim on a tie, the number.

    sign: 1 where a higher metric is better, else -1.
    """
    assert trial.values
    return (-sign * trial.values[0], *trial.values[1:], trial.number)


def no_values(trial: FrozenTrial, against: Aim | None) -> str | None:
    """Return which value of a trial cannot be compared with others', None if all can; others may have told it."""
    found: list[float | None] = [*(trial.values or ()), None, None]
    if found[0] is None or not math.isfinite(found[0]):
        return f"its value is {found[0]}"
    if against is not None and (found[1] is None or not 0 < found[1] < math.inf):
        return f"its {against.value} is {found[1]}"
    return None
