"""The queue of trials that have their parameters already: what may enter it, and what comes back after a crash."""

import logging
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from search.store.storage import Storage
from studies.optuna_private import study_key, trial_key
from studies.space import Space, inside
from studies.spec import Params

GRACE_SECONDS = 60.0  # without a heartbeat until a trial counts as stale
MAX_RETRIES = 3  # times a trial is run again after its worker died
KEPT = (
    "baseline",
    "fixed",
    "protocol",
    "role",
    "seed_index",
    "init_seed",
    "lr_from",
)  # what a trial is, also when run again
STALE = "stale: its worker stopped without a word"

_log = logging.getLogger(__name__)


def enqueue(study: optuna.Study, space: Mapping[str, BaseDistribution], params: Params, **attrs: Any) -> None:
    """Put a trial with fixed parameters in the queue; raises `ValueError` for a name or value outside the space."""
    if wrong := invalid_params(space, params):
        raise ValueError(wrong)
    if wrong := Space.of(space).wrong(params):
        raise ValueError(f"the trial {wrong}")
    study.enqueue_trial(dict(params), user_attrs=attrs)


def invalid_params(space: Mapping[str, BaseDistribution], params: Params) -> str:
    """Return what is wrong with fixed parameters, "" if nothing is; Optuna drops or replaces them without a word."""
    for name, value in params.items():
        if name not in space:
            return f"parameter {name!r} is unknown; the space has {', '.join(space)}"
        if not inside(space[name], value):
            return f"{name} = {value!r} is outside {space[name]}"
    return ""


def fail_stale(
    storage: Storage, study: optuna.Study, grace: float = GRACE_SECONDS, dead: str | None = None
) -> list[FrozenTrial]:
    """Fail trials whose worker died, and queue each again with the same parameters, at most `MAX_RETRIES` times.

    A worker is dead when its heartbeats stopped `grace` seconds ago, or when its name begins with `dead`. Returns
    those trials, as they were.
    """
    ages = storage.ages(study_key(study))
    running = [trial for trial in study.get_trials(deepcopy=False) if trial_key(trial) in ages]
    lost = [trial for trial in running if ages[trial_key(trial)] > grace or _works_for(trial, dead)]
    return [trial for trial in lost if storage.fail(study_key(study), trial_key(trial), STALE, _again(study, trial))]


def _works_for(trial: FrozenTrial, worker: str | None) -> bool:
    return worker is not None and str(trial.user_attrs.get("worker", "")).startswith(worker)


def _again(study: optuna.Study, lost: FrozenTrial) -> dict[str, Any] | None:
    """Return the trial to queue for one that was lost; None if it had no parameters yet, or too many tries."""
    params = {**lost.system_attrs.get("fixed_params", {}), **lost.params}
    retry = lost.user_attrs.get("retry", 0) + 1
    again = retry <= MAX_RETRIES and _whole(params, study.user_attrs["fingerprint"])
    _log.warning(
        "trial %d is stale (%s), %s",
        lost.number,
        lost.user_attrs.get("worker", "worker unknown"),
        "queued again" if again else "not run again",
    )
    kept = {name: lost.user_attrs[name] for name in KEPT if name in lost.user_attrs}
    return {"params": params, "attrs": {**kept, "retry": retry, "retry_of": lost.number}} if again else None


def _whole(params: Params, stated: Mapping[str, Any]) -> bool:
    """Return whether a trial had its parameters; of those that occur only beside others, what is missing is drawn."""
    known = stated["space"].keys()
    return bool(known - set(stated.get("conditional", ())) <= params.keys() <= known)
