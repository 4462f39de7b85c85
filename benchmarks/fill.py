"""Fills a study with finished trials by the thousand: Optuna's own storage takes 70 ms for each."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.store import rows
from search.store.study import StudyStore
from studies.sweet_spot import SPACE

FIGURES = {f"figure_{k}": 0.123456789 * k for k in range(18)}  # as many as a trial leaves behind
PARAMS, VALUES = (models.BaseModel.metadata.tables[name] for name in ("trial_params", "trial_values"))


def made_up(width: float, lr: float, epoch: int, chance: random.Random) -> float:
    """Return an accuracy that rises with width and epochs and has a best learning rate."""
    off = abs(math.log10(lr / 0.005))
    return 0.99 - 0.2 / width**0.5 - 0.05 * off - 0.1 / epoch + chance.gauss(0, 0.002)


def finished(store: StudyStore, chance: random.Random) -> FrozenTrial:
    """Return a trial as one that ended looks: a third reach each further rung of the pruner."""
    params: dict[str, Any] = {"hidden_units": round(4 * 64 ** chance.random()), "lr": 10 ** chance.uniform(-4, -1)}
    reached = next((k for k in range(3) if chance.random() > 1 / 3), 3)
    last = (3, 10, 30, store.spec.epochs)[reached]
    width, lr = params.values()
    values = {e: made_up(width, lr, e, chance) for e in store.spec.report_epochs if e <= last}
    rungs = [values[e] for e in (3, 10, 30, 90) if e in values]
    return create_trial(
        params=params,
        distributions=SPACE,
        state=TrialState.COMPLETE if reached == 3 else TrialState.PRUNED,
        value=values[last],
        intermediate_values=values,
        user_attrs={"worker": "filler", **FIGURES},
        system_attrs={f"completed_rung_{k}": value for k, value in enumerate(rungs)},
    )


def fill(store: StudyStore, size: int, chance: random.Random) -> None:
    """Add finished trials in one transaction until the study has so many."""
    new = [finished(store, chance) for _ in range(size - store.counts().finished)]
    with store.storage.engine.begin() as connection:
        rows.lock_study(connection, store.study._study_id)
        ids = _insert_trials(connection, store.study._study_id, new)
        for table, found in (
            (PARAMS, _params(ids, new)),
            (VALUES, _values(ids, new)),
            (rows.REPORTS, _reports(ids, new)),
            (rows.USER, _attrs(ids, [t.user_attrs for t in new])),
            (rows.SYSTEM, _attrs(ids, [t.system_attrs for t in new])),
        ):
            connection.execute(sa.insert(table), list(found))


def _insert_trials(connection: sa.Connection, study_id: int, new: Sequence[FrozenTrial]) -> list[int]:
    there = sa.select(sa.func.count()).where(rows.TRIALS.c.study_id == study_id)
    first, now = connection.scalar(there) or 0, rows.time_now()
    times = {"datetime_start": now, "datetime_complete": now}
    insert = sa.insert(rows.TRIALS).returning(rows.TRIALS.c.trial_id, sort_by_parameter_order=True)
    values = [{"study_id": study_id, "number": first + k, "state": t.state, **times} for k, t in enumerate(new)]
    return list(connection.scalars(insert, values))


def _params(ids: Sequence[int], new: Sequence[FrozenTrial]) -> Iterator[dict[str, Any]]:
    for trial_id, trial in zip(ids, new, strict=True):
        for name, value in trial.params.items():
            shape = distribution_to_json(SPACE[name])
            yield {"trial_id": trial_id, "param_name": name, "param_value": value, "distribution_json": shape}


def _values(ids: Sequence[int], new: Sequence[FrozenTrial]) -> Iterator[dict[str, Any]]:
    for trial_id, trial in zip(ids, new, strict=True):
        yield {"trial_id": trial_id, "objective": 0, "value": trial.values[0], "value_type": "FINITE"}


def _reports(ids: Sequence[int], new: Sequence[FrozenTrial]) -> Iterator[dict[str, Any]]:
    for trial_id, trial in zip(ids, new, strict=True):
        for step, value in trial.intermediate_values.items():
            kind = {"intermediate_value": value, "intermediate_value_type": "FINITE"}
            yield {"trial_id": trial_id, "step": step, **kind}


def _attrs(ids: Sequence[int], attrs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for trial_id, each in zip(ids, attrs, strict=True):
        for key, value in each.items():
            yield {"trial_id": trial_id, "key": key, "value_json": repr(value) if key != "worker" else f'"{value}"'}
