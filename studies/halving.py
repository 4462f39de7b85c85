"""Successive halving for searches that get better as they go."""

from collections.abc import Sequence

from optuna import Study
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


class RecentHalvingPruner(BasePruner):
    """Lets a trial go on from a rung if it is in the best part of the latest that have reported there.

    At each of `rungs`, epochs at which trials report, one in `factor` of the last `window` goes on, itself among them;
    of fewer, at least the best. Optuna's own compares with all that there ever were: where the first were drawn at
    random and a sampler has learnt since, most of what comes later is in their best third.
    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016).
    """

    def __init__(self, rungs: Sequence[int], factor: int, window: int) -> None:
        self.rungs = rungs
        self.factor = factor
        self.window = window

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial should stop at its last report."""
        epoch = trial.last_step
        if epoch is None or epoch not in self.rungs:
            return False
        trials = study.get_trials(deepcopy=False)
        others = [
            t.intermediate_values[epoch] for t in trials if epoch in t.intermediate_values and t.number != trial.number
        ]
        latest = [trial.intermediate_values[epoch], *others[max(0, len(others) - self.window + 1) :]]
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        better = sum(sign * value > sign * latest[0] for value in latest)
        return better >= max(1, round(len(latest) / self.factor))
