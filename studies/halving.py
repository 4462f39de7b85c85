"""Successive halving that judges a trial by what it would reach."""

from collections.abc import Mapping

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from studies.outlook import reporting, would_reach


class OutlookPruner(BasePruner):
    """Lets a trial go on from a rung if it would show more at the last one than most others that came there lately.

    `rungs` are epochs at which trials report, each with how many come for one that goes on. A trial is compared with
    the latest `window` that have come there, itself among them; of fewer, at least the best goes on. Optuna's own
    compares what they show there, and with all that there ever were. But a high learning rate shows more at first than
    a low one that ends higher; and where the first trials were drawn at random and a sampler has learnt since, most of
    what comes later is in their best third.
    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016).
    """

    def __init__(self, rungs: Mapping[int, int], window: int) -> None:
        self.rungs = rungs
        self.window = window

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial should stop at its last report."""
        epoch = trial.last_step
        if epoch is None or epoch not in self.rungs:
            return False
        others = reporting(other for other in study.get_trials(deepcopy=False) if other.number != trial.number)
        *reaches, own = would_reach([*others, trial], max(self.rungs), known=epoch)
        here = [value for other, value in zip(others, reaches, strict=True) if epoch in other.intermediate_values]
        latest = [*here[::-1][: self.window - 1], own]
        return sum(value > own for value in latest) >= max(1, round(len(latest) / self.rungs[epoch]))
