"""A trial while it is trained."""

from dataclasses import dataclass

import optuna

from model.fleet.family import Scored
from model.fleet.fleet import Fleet
from model.network.member import BaseMember


@dataclass(eq=False)
class Run:
    """A trial that this process has acquired and trains."""

    trial: optuna.Trial
    fleet: Fleet
    member: BaseMember
    init_seed: int
    before: Scored  # untrained, on the first `BEFORE_SAMPLES` of the training set
    seconds: float = 0.0  # its share, by cost, of the device's training time
    last: Scored | None = None  # latest score, on the study's `score_on`

    @property
    def training(self) -> bool:
        """Whether it is in its fleet; else it waits at a rung, or for capacity."""
        return self.member in self.fleet.members

    @property
    def baseline(self) -> bool:
        """Whether it is the baseline, which is never pruned."""
        return bool(self.trial.user_attrs.get("baseline"))

    @property
    def kept(self) -> bool:
        """Whether it is trained to its end whatever it shows: the baseline, or another fixed trial."""
        return self.baseline or "fixed" in self.trial.user_attrs
