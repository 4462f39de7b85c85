"""A study that searches wider ranges than its file states, and begins with the trials of another one."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from studies.asking import Asked, SpaceError
from studies.space import Space

Range = tuple[float, float]
_WRITTEN = re.compile(r"([^=]+)=([^:=]+):([^:=]+)")


@dataclass(frozen=True)
class Wider:
    """The wider ranges, and the study whose finished trials are copied."""

    source: str
    ranges: Mapping[str, Range]

    def as_dict(self) -> dict[str, Any]:
        """Return it in JSON types, as it is stored in a fingerprint."""
        return {"from": self.source, "ranges": {name: list(ends) for name, ends in sorted(self.ranges.items())}}

    @staticmethod
    def stored(fingerprint: Mapping[str, Any]) -> "Wider | None":
        """Return what a fingerprint tells, None for a study of its file's own ranges."""
        told = fingerprint.get("wider")
        return told and Wider(told["from"], {name: (low, high) for name, (low, high) in told["ranges"].items()})

    def of(self, space: Space) -> Space:
        """Return the wider space. Raises `SpaceError`, a line about --widen, where it is none."""
        for name in self.ranges:
            if name not in space:
                raise SpaceError(f"--widen {name}: the space has no such parameter; it has {', '.join(space)}")
        new = {name: widened(name, space[name], ends) for name, ends in self.ranges.items()}
        if space.function is None:
            return Space({**space.ranges, **new})
        asks = space.function
        return Space.of(lambda trial: asks(_Widened(trial, self.ranges)))


class _Widened(Asked):
    """A trial whose function asks for narrower ranges than it is to have."""

    def __init__(self, trial: Asked, ranges: Mapping[str, Range]) -> None:
        self._trial = trial
        self._wider = ranges
        self.params, self.ranges = trial.params, trial.ranges

    def value(self, name: str, distribution: BaseDistribution) -> Any:
        """Return the value of a parameter, from its wider range."""
        known = self._wider.get(name)
        return self._trial.value(name, widened(name, distribution, known) if known else distribution)


def widened(name: str, old: BaseDistribution, ends: Range) -> BaseDistribution:
    """Return a range with other ends. Raises `SpaceError` for a category, and where the old one is not contained."""
    if not isinstance(old, IntDistribution | FloatDistribution):
        raise SpaceError(f"--widen {name}: it is a category, which has no range")
    low, high = ends
    written = f"--widen {name}={low:g}:{high:g}"
    if isinstance(old, IntDistribution) and not (type(low) is int and type(high) is int):
        raise SpaceError(f"{written}: {name} takes whole numbers")
    if not low <= old.low <= old.high <= high:
        raise SpaceError(f"{written} does not contain the range before, {old.low:g} to {old.high:g}")
    if old.log and low <= 0:
        raise SpaceError(f"{written}: {name} is searched by its logarithm, so its range is above 0")
    if old.step is not None and not all(_whole(gap / old.step) for gap in (old.low - low, high - old.high)):
        raise SpaceError(f"{written} misses the steps of {old.step:g} of the range before")
    if isinstance(old, IntDistribution):
        return IntDistribution(int(low), int(high), log=old.log, step=old.step)
    return FloatDistribution(low, high, log=old.log, step=old.step)


def _whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9


def ranges_of(texts: Iterable[str]) -> dict[str, Range]:
    """Read "hidden_units=4:1024". Raises `SpaceError` for anything else, and for a parameter that is there twice."""
    found: dict[str, Range] = {}
    for text in texts:
        match = _WRITTEN.fullmatch(text.strip())
        ends = [_number(each) for each in match.groups()[1:]] if match else []
        if match is None or None in ends or match[1] in found:
            raise SpaceError(f"--widen is NAME=LOW:HIGH, once for each parameter, not {text!r}")
        found[match[1]] = (ends[0] or 0, ends[1] or 0)
    return found


def _number(text: str) -> float | None:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def suggested(old: BaseDistribution, side: str) -> Range | None:
    """Return a range that goes on beyond an edge, None where none is natural.

    By the logarithm four times as far, else by half its width. What begins at 0 is taken to end there; a share, between
    0 and 1, to end at 1.
    """
    if not isinstance(old, IntDistribution | FloatDistribution):
        return None
    low, high = _beyond(old, old.low, -1), _beyond(old, old.high, 1)
    ends: Range = (low, old.high) if side == "lower" else (old.low, high)
    return None if ends == (old.low, old.high) else ends


def _beyond(old: IntDistribution | FloatDistribution, end: float, sign: int) -> float:
    """Return the next end in a direction."""
    if old.log:
        further = end * 4.0**sign
        return max(1, round(further)) if isinstance(old, IntDistribution) else float(f"{further:.6g}")
    if old.low == 0 and sign < 0:
        return end
    half = (old.high - old.low) / 2
    further = end + sign * (half if old.step is None else old.step * math.ceil(half / old.step))
    if isinstance(old, FloatDistribution) and old.low >= 0 and old.high <= 1:
        further = min(max(further, 0.0), 1.0) if old.step is None else further
    return round(further) if isinstance(old, IntDistribution) else float(f"{further:.6g}")
