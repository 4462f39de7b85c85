"""When the trials of a study are judged, and what is then expected of them.

The numbers are those of the article's study: 50,000 images in batches of 1,028, an epoch of 49 steps of the optimizer.
docs/decisions.md says how they were chosen. For other data they are stretched.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from studies.curve_model import LATEST, AnyErrors, CurveModel
from studies.spec import report_epochs

STEPS = 49 * 3  # of the article's trials until they are first judged
LATEST_SHARE = 6  # the first rung lies at this part of a trial's epochs at the latest


@dataclass(frozen=True)
class Halving:
    """Successive halving by learning curves."""

    rungs: Mapping[int, int] = field(default_factory=lambda: {3: 4, 9: 4, 27: 2, 50: 2})
    """Epochs at which the pruner decides: of so many trials, one goes on."""
    size: int = 8  # trials judged together
    horizon: int = 15  # epochs: what is expected of trials then is what sampler and pruner go by
    model: CurveModel = field(default_factory=AnyErrors)

    @property
    def first(self) -> int:
        """The first rung."""
        return min(self.rungs)

    def stretched(self, epochs: int, rows: int, batch: int, scored: int | None = None) -> "Halving":
        """Return the same for trials of so many epochs on so many rows, scored on so many others.

        On 1,200 rows in batches of 128 a trial has made 30 steps after 3 epochs, and little could be said of it. So a
        trial is first judged after `STEPS`, but no later than after a sixth of its epochs, since short ones would
        otherwise not be stopped at all, and not before its third epoch. Later rungs and the horizon keep their ratio.
        """
        wanted = math.ceil(STEPS / math.ceil(rows / batch))
        first = max(self.first, min(wanted, epochs // LATEST_SHARE))
        rungs = {round(first * rung / self.first): of for rung, of in self.rungs.items()}
        horizon = max(self.horizon, min(self.horizon * first // self.first, epochs))
        model = self.model if scored is None else AnyErrors(rows=scored)
        return replace(self, rungs=rungs, horizon=horizon, model=model)

    def before(self, epochs: int) -> list[int]:
        """Return the rungs that trials of this length come to before their end."""
        return [rung for rung in self.rungs if rung < epochs]

    def reports(self, epochs: int) -> list[int]:
        """Return the epochs at which a trial reports: as everywhere, and at each rung and some before it, since a
        single score says too little of a trial's luck."""
        latest = {rung - k for rung in self.rungs for k in range(LATEST) if 0 < rung - k < epochs}
        return sorted(latest.union(report_epochs(epochs)))


HALVING = Halving()
