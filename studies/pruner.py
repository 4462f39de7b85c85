"""Successive halving that judges a trial by what is to be expected of it."""

from collections.abc import Mapping

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from studies.curve_model import CurveModel, expected_values, reporting, reports, subsample
from studies.foreign import outside_space


class CurvePruner(BasePruner):
    """Lets a trial go on from a rung if more is to be expected of it than of most others that came there lately.

    `rungs` are epochs at which trials report, each with how many come for one that goes on. A trial is compared with
    the latest `window` that have come there, itself among them; of fewer, at least the best goes on. The baseline,
    which is never stopped, takes nobody's place. What counts is what is expected at the epoch `horizon`, or at the
    rung if that is later. Optuna's own compares what trials show at the rung, and with all that there ever were. But a
    high learning rate shows more at first than a low one that ends higher; and where the first trials were drawn at
    random and a sampler has learnt since, most of what comes later is in their best third.
    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016).
    """

    def __init__(self, rungs: Mapping[int, int], window: int, horizon: int, model: CurveModel | None = None) -> None:
        self.rungs = rungs
        self.window = window
        self.horizon = horizon
        self.model = model

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial should stop at its last report."""
        epoch = trial.last_step
        if epoch is None or epoch not in self.rungs:
            return False
        others = reporting(other for other in study.get_trials(deepcopy=False) if other.number != trial.number)
        others = [other for other in others if not outside_space(other, trial.distributions)]
        rivals = [other for other in others if not other.user_attrs.get("baseline")]
        here = [other for other in rivals if epoch in reports(other)][::-1][: self.window - 1]
        told = {each.number: each for each in (*subsample(others), *here, trial)}
        reaches = dict(zip(told, expected_values([*told.values()], max(self.horizon, epoch), self.model), strict=True))
        better = sum(reaches[other.number] > reaches[trial.number] for other in here)
        return better >= max(1, round((len(here) + 1) / self.rungs[epoch]))
