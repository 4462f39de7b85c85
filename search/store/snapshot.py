"""A study's storage as samplers and pruners see it: all trials as they were at one moment, read once.

Optuna asks the database for all trials, and for the study by its name, at every turn, and writes each parameter in a
transaction of its own.
"""

import copy
from collections.abc import Container, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from studies.optuna_private import storage_of, study_key, trial_key


class Snapshot:
    """Answers of one study from the trials that it was given; what else is asked or written goes to its storage."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        self._study = study
        self._storage = storage_of(study)
        self._trials = trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials."""
        found = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the study's key, which is known."""
        assert study_name == self._study.study_name
        return study_key(self._study)

    def study(self, sampler: BaseSampler | None, pruner: BasePruner) -> optuna.Study:
        """Return the study for one who asks it for its trials."""
        storage = cast("BaseStorage", self)
        return optuna.load_study(study_name=self._study.study_name, storage=storage, sampler=sampler, pruner=pruner)


class Draft(Snapshot):
    """Keeps what is written of one trial until somebody stores it."""

    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial], drafted: FrozenTrial) -> None:
        super().__init__(study, trials)
        self.trial = copy.deepcopy(drafted)
        self.params: dict[str, tuple[float, BaseDistribution]] = {}  # by name, as Optuna stores them
        self.attrs: dict[str, Any] = {}  # system attributes

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return the trial."""
        assert trial_id == trial_key(self.trial)
        return self.trial

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """Return the trial's system attributes."""
        return self.get_trial(trial_id).system_attrs

    def set_trial_param(self, trial_id: int, name: str, value: float, distribution: BaseDistribution) -> None:
        """Note a parameter."""
        assert trial_id == trial_key(self.trial)
        self.params[name] = (value, distribution)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note a system attribute."""
        assert trial_id == trial_key(self.trial)
        self.attrs[key] = value
