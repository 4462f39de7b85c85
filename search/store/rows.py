"""Rows of Optuna's tables: the statements that `search/store/storage.py` puts together to transactions.

Optuna checks the version of its schema when a database is opened, so these tables are what they are here.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from sqlalchemy.dialects import postgresql, sqlite

from search.store.counts import COPIED
from studies.optuna_private import tables


def _table(name: str) -> sa.Table:
    return cast(sa.Table, tables()[name])


STUDIES = _table("studies")
STUDY_USER = _table("study_user_attributes")
TRIALS = _table("trials")
REPORTS = _table("trial_intermediate_values")
USER = _table("trial_user_attributes")
SYSTEM = _table("trial_system_attributes")
PARAMS = _table("trial_params")
VALUES = _table("trial_values")
HEARTBEATS = _table("trial_heartbeats")
NAMES = {*tables(), "alembic_version"}
"""Tables of a database that is Optuna's."""
INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf}  # kinds of values that have no number in SQL


def time_now() -> datetime:
    """Return the time as Optuna keeps it in `datetime_start` and `datetime_complete`: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def in_state(study_id: int, *states: str) -> sa.ColumnElement[bool]:
    """The trials of a study that are in one of these states."""
    return sa.and_(TRIALS.c.study_id == study_id, TRIALS.c.state.in_(states))


def lock_study(connection: sa.Connection, study_id: int) -> None:
    """As Optuna does before it numbers a trial; SQLite has locked the whole file already."""
    connection.execute(sa.select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id).with_for_update())


def still_running(connection: sa.Connection, trial_ids: Iterable[int]) -> list[int]:
    """Return those that are running, and keep them so until the transaction ends."""
    asked = sa.select(TRIALS.c.trial_id).where(TRIALS.c.trial_id.in_(sorted(trial_ids)), TRIALS.c.state == "RUNNING")
    return list(connection.scalars(asked.order_by(TRIALS.c.trial_id).with_for_update()))


def running_of(connection: sa.Connection, study_id: int, worker: str) -> Iterable[int]:
    """Return the running trials that a worker has acquired."""
    mine = TRIALS.c.trial_id.in_(_having("worker", worker))
    running = sa.select(TRIALS.c.trial_id).where(in_state(study_id, "RUNNING"), mine)
    return connection.scalars(running)


def finished(connection: sa.Connection, study_id: int, *also: str) -> int:
    """Count a study's own trials that are finished, or in one of these states as well."""
    own = sa.and_(in_state(study_id, "COMPLETE", "PRUNED", *also), TRIALS.c.number >= copied(connection, study_id))
    return connection.scalar(sa.select(sa.func.count()).where(own)) or 0


def copied(connection: sa.Connection, study_id: int) -> int:
    """Return how many trials of another study a study begins with; they have the first numbers."""
    asked = sa.select(STUDY_USER.c.value_json).where(STUDY_USER.c.study_id == study_id, STUDY_USER.c.key == COPIED)
    stored = connection.scalar(asked)
    numbers = [] if stored is None else json.loads(stored)
    return len(numbers) if isinstance(numbers, list) else 0  # what others call so is nothing of ours


def times(connection: sa.Connection, study_id: int) -> list[tuple[datetime, datetime | None]]:
    """Return when each of a study's own trials began and, if it is finished, ended."""
    asked = sa.select(TRIALS.c.datetime_start, TRIALS.c.datetime_complete, TRIALS.c.state).where(
        TRIALS.c.study_id == study_id,
        TRIALS.c.datetime_start.is_not(None),
        TRIALS.c.number >= copied(connection, study_id),
    )
    finished = ("COMPLETE", "PRUNED")
    return [(start, end if state.name in finished else None) for start, end, state in connection.execute(asked)]


def ends(connection: sa.Connection, study_id: int) -> dict[int, datetime]:
    """Return when each trial that has ended did so, in UTC, by the trial's id."""
    asked = sa.select(TRIALS.c.trial_id, TRIALS.c.datetime_complete).where(
        TRIALS.c.study_id == study_id, TRIALS.c.datetime_complete.is_not(None)
    )
    return {trial_id: end.replace(tzinfo=UTC) for trial_id, end in connection.execute(asked)}


def study_attrs(connection: sa.Connection, study_id: int) -> dict[str, Any]:
    """Return the user attributes of a study."""
    asked = sa.select(STUDY_USER.c.key, STUDY_USER.c.value_json).where(STUDY_USER.c.study_id == study_id)
    return {row.key: json.loads(row.value_json) for row in connection.execute(asked)}


def budget(connection: sa.Connection, study_id: int) -> int | None:
    """Return how many finished trials a study is to have, None if nobody has said so."""
    asked = sa.select(STUDY_USER.c.value_json).where(STUDY_USER.c.study_id == study_id, STUDY_USER.c.key == "budget")
    stored = connection.scalar(asked)
    return None if stored is None else int(stored)


def first_waiting(connection: sa.Connection, study_id: int, attrs: Mapping[str, Any]) -> int | None:
    """Return the trial that has waited longest, of those with these user attributes, if one waits."""
    waiting = sa.select(TRIALS.c.trial_id).where(in_state(study_id, "WAITING"))
    for key, value in attrs.items():
        waiting = waiting.where(TRIALS.c.trial_id.in_(_having(key, value)))
    return connection.scalars(waiting.order_by(TRIALS.c.trial_id)).first()


def _having(key: str, value: Any) -> sa.Select[Any]:
    return sa.select(USER.c.trial_id).where(USER.c.key == key, USER.c.value_json == json.dumps(value))


def start(connection: sa.Connection, trial_id: int, worker: str) -> None:
    """Let a worker run a trial."""
    started = sa.update(TRIALS).where(TRIALS.c.trial_id == trial_id)
    connection.execute(started.values(state="RUNNING", datetime_start=time_now()))
    heartbeat(connection, [trial_id])
    set_attrs(connection, USER, trial_id, {"worker": worker})


def new_trial(connection: sa.Connection, study_id: int, state: str) -> int:
    """Insert a trial with the next number; the study must be locked."""
    number = sa.select(sa.func.count()).where(TRIALS.c.study_id == study_id).scalar_subquery()
    row = sa.insert(TRIALS).values(study_id=study_id, number=number, state=state)
    return int(connection.execute(row.returning(TRIALS.c.trial_id)).scalar_one())


def set_attrs(connection: sa.Connection, table: sa.TableClause, owner: int, attrs: Mapping[str, Any]) -> None:
    """Insert or replace attributes of a trial, in `USER` or `SYSTEM`, or of a study, in `STUDY_USER`."""
    of = "study_id" if table is STUDY_USER else "trial_id"
    rows = [{of: owner, "key": key, "value_json": json.dumps(value)} for key, value in attrs.items()]
    _replace(connection, table, rows, (of, "key"))


def set_params(connection: sa.Connection, trial_id: int, params: Mapping[str, tuple[float, BaseDistribution]]) -> None:
    """Insert parameters of a trial, each with its number as Optuna stores it, and its distribution."""
    rows = [
        {"trial_id": trial_id, "param_name": name, "param_value": value, "distribution_json": distribution_to_json(d)}
        for name, (value, d) in params.items()
    ]
    _replace(connection, PARAMS, rows, ("trial_id", "param_name"))


def report(connection: sa.Connection, shown: Mapping[int, tuple[int, float]]) -> None:
    """Insert or replace what trials show, each at an epoch."""
    rows = [
        {"trial_id": trial_id, "step": epoch, "intermediate_value": number, "intermediate_value_type": kind}
        for trial_id, (epoch, value) in shown.items()
        for number, kind in [_as_stored(value)]
    ]
    _replace(connection, REPORTS, rows, ("trial_id", "step"))


def last_report(connection: sa.Connection, trial_id: int) -> list[float]:
    """Return the value of a trial's last report, which Optuna takes for that of a pruned one; none if it is none."""
    asked = sa.select(REPORTS.c.intermediate_value, REPORTS.c.intermediate_value_type)
    found = connection.execute(asked.where(REPORTS.c.trial_id == trial_id).order_by(REPORTS.c.step.desc())).first()
    if found is None or found[1].name == "NAN":
        return []
    return [INFINITE.get(found[1].name, found[0])]


def end(connection: sa.Connection, trial_id: int, state: str, values: Sequence[float]) -> None:
    """Let a running trial end so, now, and with these values."""
    stored = [(objective, *_as_stored(value)) for objective, value in enumerate(values)]
    rows = [
        {"trial_id": trial_id, "objective": objective, "value": number, "value_type": kind}
        for objective, number, kind in stored
    ]
    _replace(connection, VALUES, rows, ("trial_id", "objective"))
    ended = sa.update(TRIALS).where(TRIALS.c.trial_id == trial_id)
    connection.execute(ended.values(state=state, datetime_complete=time_now()))


def _as_stored(value: float) -> tuple[float | None, str]:
    """Return a value's number in SQL, where infinity has none, and its kind."""
    if math.isnan(value):
        return None, "NAN"
    return (value, "FINITE") if math.isfinite(value) else (None, "INF_POS" if value > 0 else "INF_NEG")


def _replace(
    connection: sa.Connection, table: sa.TableClause, rows: Sequence[Mapping[str, Any]], key: tuple[str, str]
) -> None:
    """Insert rows, or replace those of the same key; the statement is of one row, so that it is compiled once."""
    if rows:
        insert = _insert(connection, table)
        new = {name: insert.excluded[name] for name in rows[0] if name not in key}
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=new), list(rows))


def heartbeat(connection: sa.Connection, trial_ids: Iterable[int]) -> None:
    """Insert or renew the heartbeats of these trials."""
    new = _insert(connection, HEARTBEATS).values(heartbeat=sa.func.now())
    new = new.on_conflict_do_update(index_elements=["trial_id"], set_={"heartbeat": sa.func.now()})
    if rows := [{"trial_id": trial_id} for trial_id in sorted(trial_ids)]:
        connection.execute(new, rows)


def studies_with(keys: Collection[str]) -> sa.Select[Any]:
    """Study, name, key and JSON text of these user attributes, oldest study first."""
    columns = (STUDIES.c.study_id, STUDIES.c.study_name, STUDY_USER.c.key, STUDY_USER.c.value_json)
    joined = sa.select(*columns).join(STUDY_USER, STUDY_USER.c.study_id == STUDIES.c.study_id)
    return joined.where(STUDY_USER.c.key.in_(sorted(keys))).order_by(STUDIES.c.study_id)


def studies_running() -> sa.Select[Any]:
    """Names of the studies that have running trials, oldest first."""
    running = sa.select(TRIALS.c.study_id).where(TRIALS.c.state == "RUNNING")
    return sa.select(STUDIES.c.study_name).where(STUDIES.c.study_id.in_(running)).order_by(STUDIES.c.study_id)


def _insert(connection: sa.Connection, table: sa.TableClause) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def clock(connection: sa.Connection) -> tuple[datetime, datetime]:
    """Return the database's time and since when it has been up, both in UTC without a zone."""
    started = sa.func.pg_postmaster_start_time() if connection.dialect.name == "postgresql" else sa.literal(None)
    now, up = connection.execute(sa.select(sa.func.now(), started)).one()
    return now.replace(tzinfo=None), up.replace(tzinfo=None) if up else datetime.min
