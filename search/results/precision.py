"""What is said of the precision in which a study trains."""

from model.network.arithmetic import Precision

WORTH_SAYING = 1.5  # times as fast


def precision_text(precision: Precision, gain: float | None) -> str:
    """Return the precision, and if this machine would train much faster in the other one.

    gain: how many times as fast as in float32 it trains in bfloat16, None where that is not known.
    """
    other, times = ("bfloat16", gain) if precision == "float32" else ("float32", gain and 1 / gain)
    if times is None or times < WORTH_SAYING:
        return precision
    return f"{precision} (a new study by --precision {other} would train about {times:.1f} x as fast here)"
