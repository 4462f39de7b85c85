"""TPE for searches that train many trials at once."""

from collections.abc import Container
from copy import copy
from typing import Any, cast

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState


class LatestTPESampler(TPESampler):
    """TPE that ranks all trials, pruned and running ones too, by the value they reported last.

    Optuna's own ranks complete trials first, however bad (a baseline that is never pruned, say), then pruned ones by
    how far they came, and takes every running trial for a bad one (`constant_liar`) or for none at all. But those
    that run on past a rung are the best there are, and where trials train side by side there are many of them.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return parameters drawn together."""
        return super().sample_relative(_latest(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a parameter drawn by itself."""
        return super().sample_independent(_latest(study), trial, param_name, param_distribution)


class _Latest:
    """A study whose pruned and running trials look complete, once they have reported."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [_as_complete(trial) for trial in self._study._get_trials(deepcopy, None, use_cache)]
        return [trial for trial in trials if states is None or trial.state in states]


def _latest(study: Study) -> Study:
    return cast("Study", _Latest(study))


def _as_complete(trial: FrozenTrial) -> FrozenTrial:
    if trial.state not in (TrialState.PRUNED, TrialState.RUNNING) or not trial.intermediate_values:
        return trial
    trial = copy(trial)  # the study's own stays as it is
    trial.state = TrialState.COMPLETE
    trial.value = trial.intermediate_values[max(trial.intermediate_values)]
    return trial
