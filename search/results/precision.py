"""What is said of the precision in which a study trains."""

from typing import Any

from optuna.distributions import IntDistribution

from model.network.arithmetic import Precision
from studies.spec import StudySpec

WORTH_SAYING = 1.5  # times as fast


def precision_text(precision: Precision, gain: float | None) -> str:
    """Return the precision, and if this machine would train much faster in the other one.

    gain: how many times as fast as in float32 it trains in bfloat16, None where that is not known.
    """
    other, times = ("bfloat16", gain) if precision == "float32" else ("float32", gain and 1 / gain)
    if times is None or times < WORTH_SAYING:
        return precision
    return (
        f"{precision} (a new study by --precision {other} would train its largest networks {times:.1f} x as fast here)"
    )


def slower_text(precision: Precision, gain: float | None, has_units: bool) -> str | None:
    """Return a line that says that a study's bfloat16 is no gain here, None where it is one or the study has it not.

    gain: as of `precision_text`; has_units: whether the device has some for bfloat16.
    """
    if precision == "float32" or (has_units if gain is None else gain >= 1):
        return None
    if gain is None:
        return "bfloat16 is no faster than float32 here: this machine has no units for it"
    return f"bfloat16 is slower than float32 here: the largest networks take {1 / gain:.2f} x as long"


def largest(spec: StudySpec) -> dict[str, Any]:
    """Return the baseline's parameters, but whole numbers, as widths are, as large as they are searched."""
    searched = {name: spec.space[name] for name in spec.baseline or {} if name in spec.space}
    highest = {name: each.high for name, each in searched.items() if isinstance(each, IntDistribution)}
    return {**(spec.baseline or {}), **highest}
