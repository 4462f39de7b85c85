"""What a search has tried and what came of it, on one scale, for all that is estimated from its trials.

A pruned trial trained for fewer epochs. It stands at what it showed last, and what the completed trials gained from
that epoch on, in the median. Levels are higher where trials are better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.store.state import StudyState
from search.store.trials import value
from studies.claims import Metric
from studies.curve_model import ERRORS, reports
from studies.terms import Terms

WORST = 5  # a level is at the worst so many times as far below the median as the best is above it

Setting = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Scale:
    """The scale of a metric: the logarithm of errors and of losses, since they differ by factors, or the value."""

    kind: Literal["error", "loss", "value"]
    sign: int
    least: float = ERRORS[0]  # error: what is smaller counts as this

    @classmethod
    def of(cls, metric: Metric, values: Sequence[float]) -> "Scale":
        """Return the scale of a metric with such values."""
        if metric.fraction and metric.sign > 0:
            errors = [1 - each for each in values if each < 1]
            return cls("error", 1, max(ERRORS[0], min(errors, default=0) / 2))
        positive = metric.sign < 0 and all(each > 0 for each in values)
        return cls("loss" if positive else "value", metric.sign)

    def level(self, value: float) -> float:
        """Return the level of a value of the metric."""
        if self.kind == "error":
            return -math.log(max(1 - value, self.least))
        return -math.log(max(value, 1e-300)) if self.kind == "loss" else self.sign * value

    def value(self, level: float) -> float:
        """Return the value of the metric at a level."""
        if self.kind == "error":
            return 1 - math.exp(-level)
        return math.exp(-level) if self.kind == "loss" else self.sign * level


@dataclass(frozen=True)
class Tried:
    """The trials of a search; hashable, so that what follows from the same trials is found once."""

    space: tuple[tuple[str, BaseDistribution], ...]  # without what has one value only
    settings: tuple[Setting, ...]  # a trial's parameters, by trial
    levels: tuple[float, ...]
    complete: tuple[bool, ...]
    scale: Scale
    seed: int
    aims: int = 1
    raised: int = 0  # trials that were still worse than their levels say

    @classmethod
    def of(cls, trials: Sequence[FrozenTrial], terms: Terms, seed: int) -> "Tried":
        """Return what is known of finished trials that can be compared."""
        scale = Scale.of(terms.asked.metric, [value(trial) for trial in trials])
        levels = _levels(trials, scale)
        known = [trial for trial in trials if trial.number in levels]
        space = {name: each for name, each in terms.space.items() if not each.single()}
        found = [levels[trial.number] for trial in known]
        bounded = _bounded(found)
        return cls(
            tuple(space.items()),
            tuple(tuple((name, t.params[name]) for name in space if name in t.params) for t in known),
            bounded,
            tuple(trial.state == TrialState.COMPLETE for trial in known),
            scale,
            seed,
            2 if terms.against else 1,
            sum(raised > level for raised, level in zip(bounded, found, strict=True)),
        )

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def best(self) -> int:
        """Which completed trial is the best; there must be one."""
        return max((at for at, ended in enumerate(self.complete) if ended), key=lambda at: self.levels[at])

    @property
    def conditional(self) -> bool:
        """Whether some trials lack parameters that others have."""
        return any(len(setting) < len(self.space) for setting in self.settings)

    def thinned(self, most: int) -> "Tried":
        """Return a cross-section of so many trials, and the best; all if they are no more."""
        count = len(self)
        if count <= most:
            return self
        kept = sorted({k * count // most for k in range(most)} | ({self.best} if any(self.complete) else set()))
        settings, levels, complete = (tuple(each[k] for k in kept) for each in self._columns)
        return replace(self, settings=settings, levels=levels, complete=complete)

    @property
    def _columns(self) -> tuple[Sequence[Any], ...]:
        return self.settings, self.levels, self.complete


def tried(state: StudyState) -> Tried:
    """Return what a study has tried."""
    return Tried.of(state.finished, state.terms, int(state.attributes.get("seed", 0)))


def _levels(trials: Sequence[FrozenTrial], scale: Scale) -> Mapping[int, float]:
    """Return the level of each trial by its number; none of a pruned one whose epoch no completed one has reported."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    gains: dict[int, list[float]] = {}
    for trial in complete:
        for epoch, told in reports(trial).items():
            gains.setdefault(epoch, []).append(scale.level(value(trial)) - scale.level(told))
    found = {trial.number: scale.level(value(trial)) for trial in complete}
    for trial in trials:
        if trial.number not in found and trial.last_step in gains:
            found[trial.number] = scale.level(value(trial)) + median(gains[trial.last_step])
    return found


def _bounded(levels: Sequence[float]) -> tuple[float, ...]:
    """Raise the worst levels, which would make all others look alike."""
    if not levels:
        return ()
    middle = median(levels)
    least = middle - WORST * (max(levels) - middle)
    return tuple(max(level, least) for level in levels) if max(levels) > middle else tuple(levels)
