"""Trials that Optuna's own tools, or others', wrote into a study: what cannot be used is left out with one line."""

import logging
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from studies.optuna_private import storage_of, study_key

_log = logging.getLogger(__name__)
_said: WeakKeyDictionary[BaseStorage, set[tuple[int, int, str]]] = WeakKeyDictionary()


def excluded(study: Study, trial: FrozenTrial, why: str | None) -> bool:
    """Return whether there is a reason to leave a trial out; say it once for each database that is open."""
    if why is None:
        return False
    line = (study_key(study), trial.number, why)
    said = _said.setdefault(storage_of(study), set())
    if line not in said:
        said.add(line)
        _log.warning("trial %d of study %r is left out: %s", trial.number, study.study_name, why)
    return True


def outside_space(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> str | None:
    """Return why a trial says nothing of a space, None if it has all its parameters, drawn from the same ranges."""
    other = next((name for name in space if trial.distributions.get(name) != space[name]), None)
    return other and f"sampler and pruner compare trials whose {other} is of the study's own range"
