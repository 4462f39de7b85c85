"""The finished trials of a study, copied into one that searches wider ranges.

The copies come first, numbered from 0: they inform sampler and pruner and do not count towards the budget. Each is
marked by `from`. Which are copied is stored with the study, so that who is killed between two of them can go on.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.errors import StudyMismatchError
from search.store.counts import COPIED
from search.store.trials import usable
from studies.space import inside
from studies.spec import differences

FROM = "from"  # attribute of a copied trial: study and number
OWN = ("space", "conditional", "wider")  # in what the two studies may differ
LEFT = ("worker", "retry", "retry_of")  # attributes that speak of the other study's work


def to_copy(source: optuna.Study, space: Mapping[str, BaseDistribution], asked: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the trials that a study of this space and fingerprint begins with.

    Raises `StudyMismatchError` where they cannot be compared with its own.
    """
    stored = source.user_attrs.get("fingerprint")
    if stored is None:
        raise StudyMismatchError(f"study {source.study_name!r} was not made by sweetspot; --from names one that was")
    for key, was, now in differences(stored, asked):
        if key not in OWN:
            raise StudyMismatchError(
                f"study {source.study_name!r} has {key} {was}, you ask for {now}: "
                "its trials cannot be compared with new ones"
            )
    finished = usable(source, TrialState.COMPLETE, TrialState.PRUNED)
    return [trial.number for trial in finished if _fits(trial, space)]


def complete_copies(study: optuna.Study, source: optuna.Study, space: Mapping[str, BaseDistribution]) -> None:
    """Copy what is not copied yet; the study must be locked."""
    wanted: Sequence[int] = study.user_attrs[COPIED][len(study.get_trials(deepcopy=False)) :]
    trials = source.get_trials(deepcopy=False)
    study.add_trials([_copied(trials[number], source.study_name, space) for number in wanted])


def _fits(trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> bool:
    return all(name in space and inside(space[name], value) for name, value in trial.params.items())


def _copied(trial: FrozenTrial, source: str, space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return a trial as the new study holds it: drawn from its ranges, or sampler and pruner would leave it out."""
    new = copy.copy(trial)
    new.distributions = {name: space[name] for name in trial.params}
    kept = {name: value for name, value in trial.user_attrs.items() if name not in LEFT}
    new.user_attrs = {**kept, FROM: {"study": source, "number": trial.number}}
    new.system_attrs = {key: each for key, each in trial.system_attrs.items() if key.startswith("completed_rung_")}
    return new
