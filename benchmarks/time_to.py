"""A part of the table of `benchmarks.whole_job`: how long until a search has a trial of so much accuracy in hand.

Searches of one budget end at different accuracies, so that wall time alone compares different things. A result is in
hand when a trial is complete, as a study's best value is; a trial that was stopped is none.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.tenants import LIMIT, REPEATS, SLOWER, disturbance, disturbed

Line = Mapping[str, Any]
LEVELS = 0.975, 0.98, 0.981  # validation accuracy


def until(line: Line, level: float) -> float:
    """Return the seconds until a job had a complete trial of this accuracy, infinite if it never had."""
    return min((at for at, accuracy in line["results"] if accuracy >= level), default=math.inf)


def middle(lines: Sequence[Line], level: float) -> str:
    """Return the median of jobs' times, those that never got there among them, and how many did."""
    times = [until(line, level) for line in lines]
    reached, between = sum(map(math.isfinite, times)), median(times)
    return f"{f'{between:.0f}' if math.isfinite(between) else 'never'} ({reached} of {len(times)})"


def parts(jobs: Mapping[str, Mapping[int, Line]], names: Mapping[str, str]) -> list[str]:
    """Return a table with a row for each contender whose jobs told when results came, and what it says; or nothing."""
    told = {name: [line for line in runs.values() if "results" in line] for name, runs in jobs.items()}
    told = {name: lines for name, lines in told.items() if lines and name != "optuna_example"}
    if not told:
        return []
    sets = sorted({line["instructions"] for lines in told.values() for line in lines if line.get("instructions")})
    return [
        "How long until a search has it in hand: seconds from its start until a complete trial has this validation"
        " accuracy. Medians over seeds, in which a run that never gets there counts as infinitely long; in brackets how"
        f" many got there. Contenders ran in turn, on {'; '.join(sets) or 'an unknown instruction set'}. Others'"
        " time is what the hypervisor (steal) and other processes took of all cores while a run lasted; not known where"
        " a run's own processes end uncounted, as Ray's do: then steal alone says whether it was disturbed. By a rule"
        f" stated before, a run with more than {100 * LIMIT:.0f} % of both together is repeated at the end, at most"
        f" {REPEATS} times, and so is one beside which a fixed product was slower by more than {100 * SLOWER:.0f} %"
        " than at its fastest; of a job's runs the least disturbed counts.",
        results.table(_HEAD, [_row(names[name], lines) for name, lines in told.items()]),
    ]


_HEAD = (
    "contender",
    "n",
    *(f"s until {100 * level:.1f} %" for level in LEVELS),
    "CPU, s",
    "steal, %: median, most",
    "others, %: median, most",
    "slower, %: median, most",
    "load before",
    "still disturbed",
)


def _row(name: str, lines: Sequence[Line]) -> list[object]:
    return [
        name,
        len(lines),
        *(middle(lines, level) for level in LEVELS),
        _cpu([line["cpu_seconds"] for line in lines]),
        *(_of(lines, key) for key in ("stolen", "others", "slower")),
        f"{median(line.get('load', math.nan) for line in lines):.1f}",
        f"{sum(map(disturbed, lines))} (at most {100 * max(map(disturbance, lines)):.0f} %)",
    ]


def _cpu(seconds: Sequence[float | None]) -> str:
    known = [each for each in seconds if each is not None]
    return f"{median(known):.0f}" if known else "not known"


def _of(lines: Sequence[Line], key: str) -> str:
    taken = [100 * share for line in lines if (share := line.get(key)) is not None]
    if not taken:
        return "not known"
    return f"{median(taken):.1f}, {max(taken):.1f}"
