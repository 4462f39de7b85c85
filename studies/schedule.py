"""When trials are judged: the rungs of the article's study, stretched to the length and the steps of another.

On 50,000 images in batches of 1,028 an epoch is 49 steps of the optimizer, and a trial is first judged after 3 epochs,
or 147 steps. On 1,200 rows in batches of 128 it would have made 30 by then, and little could be said of it. So a trial
is first judged after as many steps as the article's, but no later than after a sixth of its epochs, since short ones
would otherwise not be stopped at all, and not before its third epoch. Later rungs and the horizon keep their ratio.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from studies.curve_model import LATEST
from studies.spec import report_epochs
from studies.sweet_spot import HORIZON, RUNGS

FIRST = min(RUNGS)  # epochs
STEPS = 49 * FIRST  # of the article's trials until they are first judged
LATEST_SHARE = 6  # the first rung lies at this part of a trial's epochs at the latest


@dataclass(frozen=True)
class Schedule:
    """Epochs at which trials are judged, and the one at which they are compared."""

    rungs: Mapping[int, int]  # epochs, each with how many trials come for one that goes on; as `CurvePruner` has them
    horizon: int  # epochs: what is expected of trials then is what sampler and pruner go by

    @staticmethod
    def of(epochs: int, rows: int, batch: int) -> "Schedule":
        """Return that of trials of so many epochs on so many rows."""
        wanted = math.ceil(STEPS / math.ceil(rows / batch))
        first = max(FIRST, min(wanted, epochs // LATEST_SHARE))
        rungs = {round(first * rung / FIRST): of for rung, of in RUNGS.items()}
        return Schedule(rungs, max(HORIZON, min(HORIZON * first // FIRST, epochs)))

    def before(self, epochs: int) -> list[int]:
        """Return the rungs that a trial of so many epochs comes to before its end."""
        return [rung for rung in self.rungs if rung < epochs]

    def reports(self, epochs: int) -> list[int]:
        """Return the epochs at which a trial reports: as everywhere, and at each rung and some before it."""
        latest = {rung - k for rung in self.rungs for k in range(LATEST) if 0 < rung - k < epochs}
        return sorted(latest.union(report_epochs(epochs)))
