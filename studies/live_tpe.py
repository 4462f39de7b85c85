"""TPE for searches that train many trials at once."""

from copy import copy
from typing import Any, cast

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState


class LiveTPESampler(TPESampler):
    """TPE to which a running trial that has reported counts as one pruned there.

    Optuna's own takes every running trial for a bad one or, without `constant_liar`, for none at all. But those that
    run on past a rung are the best there are, and where trials train side by side there are many of them.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return parameters drawn together."""
        return super().sample_relative(_live(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a parameter drawn by itself."""
        return super().sample_independent(_live(study), trial, param_name, param_distribution)


class _Live:
    """A study whose running trials look pruned, once they have reported."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        return [_as_pruned(trial) for trial in self._study._get_trials(*args, **kwargs)]


def _live(study: Study) -> Study:
    return cast("Study", _Live(study))


def _as_pruned(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.RUNNING or not trial.intermediate_values:
        return trial
    trial = copy(trial)  # the study's own stays as it is
    trial.state = TrialState.PRUNED
    return trial
