"""Where the trials of a study are judged, and what is then expected of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studies.curve_model import LATEST, AnyErrors, CurveModel
from studies.spec import report_epochs


@dataclass(frozen=True)
class Halving:
    """Successive halving by learning curves. docs/decisions.md says how the numbers were chosen."""

    rungs: Mapping[int, int] = field(default_factory=lambda: {3: 4, 9: 4, 27: 2, 50: 2})
    """Epochs at which the pruner decides: of so many trials, one goes on."""
    size: int = 8  # trials judged together
    horizon: int = 15  # epochs: what is expected of trials then is what sampler and pruner go by
    model: CurveModel = field(default_factory=AnyErrors)

    def before(self, epochs: int) -> list[int]:
        """Return the rungs of trials of this length."""
        return [rung for rung in self.rungs if rung < epochs]

    def reports(self, epochs: int) -> list[int]:
        """Return the epochs at which a trial reports: as everywhere, and at each rung and some before it, since a
        single score says too little of a trial's luck."""
        latest = {rung - k for rung in self.rungs for k in range(LATEST) if rung - k < epochs}
        return sorted(latest.union(report_epochs(epochs)))


HALVING = Halving()
