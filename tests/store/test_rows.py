"""What we write into Optuna's tables by hand is, column by column, what Optuna writes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from optuna.trial import TrialState, create_trial

from benchmarks.faults import store_at
from search.best import best_trial
from search.results.progress import rate
from search.results.summary import summary
from search.store import rows
from search.store.storage import Storage
from search.store.study import StudyStore
from search.verdict.findings import findings
from studies.sweet_spot import SPACE
from tests.support.tiny_study import confirmed_once, copy_of, storage_at

ZONES = ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata"]
RIGHT = {"hidden_units": 25, "lr": 0.02}


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A time zone of this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def row(store: StudyStore, trial_id: int) -> dict[str, Any]:
    with store.storage.engine.begin() as connection:
        found = connection.execute(sa.select(rows.TRIALS).where(rows.TRIALS.c.trial_id == trial_id)).mappings().one()
    return dict(found)


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in ours.keys() - {"trial_id", "number"}:
        if isinstance(theirs[name], datetime):
            assert abs(ours[name] - theirs[name]) < timedelta(minutes=1), name
        else:
            assert ours[name] == theirs[name], name


@pytest.mark.parametrize("zone", ZONES, indirect=True)
def test_a_trial_is_claimed_and_failed_as_by_optuna(url: str, zone: str) -> None:
    store = store_at(url)
    store.set_budget(3)
    ours, theirs = store.acquire(), store.study.ask(store.spec.space)
    assert ours is not None
    same(row(store, ours._trial_id), row(store, theirs._trial_id))
    assert store.storage.fail(store.study._study_id, ours._trial_id, "why", None)
    store.study.tell(theirs, state=TrialState.FAIL)
    same(row(store, ours._trial_id), row(store, theirs._trial_id))
    started = store.study.trials[ours.number].datetime_start
    assert started is not None
    assert abs(datetime.now() - started) < timedelta(minutes=1)


def test_a_trial_is_queued_again_as_by_optuna(url: str) -> None:
    store = store_at(url)
    store.set_budget(2)
    params = {"hidden_units": 25, "lr": 0.1 + 0.2}
    lost = store.acquire()
    assert lost is not None
    again = {"params": params, "attrs": {"retry": 1}}
    assert store.storage.fail(store.study._study_id, lost._trial_id, "why", again)
    store.study.enqueue_trial(params, user_attrs={"retry": 1})
    ours, theirs = store.study.trials[-2:]
    same(row(store, ours._trial_id), row(store, theirs._trial_id))
    assert theirs.number == ours.number + 1 == row(store, theirs._trial_id)["number"]
    for table in (rows.SYSTEM, rows.USER):
        assert stored(store, table, ours._trial_id) == stored(store, table, theirs._trial_id)


def stored(store: StudyStore, table: sa.Table, trial_id: int) -> dict[str, str]:
    """Return a trial's attributes as text."""
    asked = sa.select(table.c.key, table.c.value_json).where(table.c.trial_id == trial_id)
    with store.storage.engine.begin() as connection:
        return {found.key: found.value_json for found in connection.execute(asked)}


def all_of(store: StudyStore, table: sa.Table, trial_id: int) -> list[dict[str, Any]]:
    """Return a trial's rows in a table, without their own keys, in order."""
    own = {"trial_id", *(column.name for column in table.primary_key)}
    with store.storage.engine.begin() as connection:
        found = connection.execute(sa.select(table).where(table.c.trial_id == trial_id)).mappings().all()
    return sorted(({key: row[key] for key in row if key not in own} for row in found), key=str)


@pytest.mark.parametrize("zone", ["Asia/Tokyo"], indirect=True)
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
@pytest.mark.parametrize("last", [0.75, float("inf"), float("-inf"), float("nan")])
def test_a_trial_is_sampled_reports_and_ends_as_by_optuna(url: str, zone: str, state: TrialState, last: float) -> None:
    """Parameters, reports, values, attributes and times, column by column."""
    store = store_at(url)
    store.set_budget(2)
    baseline, ours, theirs = store.acquire(), store.acquire(), store.study.ask()
    assert baseline is not None
    assert ours is not None
    attrs: dict[str, Any] = {"text": "é", "number": 0.1, "list": [1, None, True], "record": {"a": {"b": 2}}}
    for name, value in ours.params.items():
        theirs.storage.set_trial_param(theirs._trial_id, name, SPACE[name].to_internal_repr(value), SPACE[name])
    for epoch, value in ((1, 0.5), (3, last)):
        store.report(ours, value, epoch)
        theirs.report(value, epoch)
    for key, value in attrs.items():
        theirs.set_user_attr(key, value)
    values = [0.25] if state == TrialState.COMPLETE else None
    store._tell(ours, state, [] if state == TrialState.FAIL else values, attrs)
    store.study.tell(theirs, values, state)
    same(row(store, ours._trial_id), row(store, theirs._trial_id))
    for table in (rows.PARAMS, rows.REPORTS, rows.VALUES):
        assert all_of(store, table, ours._trial_id) == all_of(store, table, theirs._trial_id)
    written = [stored(store, rows.USER, one._trial_id) for one in (ours, theirs)]
    assert written[0].items() >= {key: written[1][key] for key in attrs}.items()


def test_heartbeats_are_written_as_by_optuna(url: str) -> None:
    store = store_at(url)
    store.set_budget(2)
    ours, theirs = store.acquire(), store.acquire()
    assert ours is not None
    assert theirs is not None
    store.storage.optuna.record_heartbeat(theirs._trial_id)
    ages = store.storage.ages(store.study._study_id)
    assert abs(ages[ours._trial_id] - ages[theirs._trial_id]) < 60


@pytest.mark.parametrize("zone", [*ZONES, "Europe/Berlin", "America/New_York"], indirect=True)
@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 11, 1, 6)])
def test_the_rate_is_right_when_the_hour_changes(zone: str, change: datetime, tmp_path: Path) -> None:
    store = store_at(f"sqlite:///{tmp_path}/study.db")
    for minute in (-2, -1, 0):
        trial = create_trial(value=0.5)
        start, end = ((change + timedelta(minutes=at)).replace(tzinfo=UTC) for at in (minute, minute + 1))
        trial.datetime_start, trial.datetime_complete = start, end
        store.study.add_trial(trial)
    times = store.storage.times(store.study._study_id)
    assert rate(times, change + timedelta(minutes=1)) == pytest.approx(1.0)


def end_all_at(storage: Storage, end: datetime) -> None:
    with storage.engine.begin() as connection:
        connection.execute(sa.update(rows.TRIALS).values(datetime_complete=end))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"], indirect=True)
@pytest.mark.parametrize("hour", [0, 1])  # both are half past two in Berlin
def test_what_ends_in_the_hour_that_is_there_twice_is_shown_by_the_right_one(
    hour: int, zone: str, url: str, tmp_path: Path
) -> None:
    end = datetime(2026, 10, 25, hour, 30)
    shown = f"2026-10-25T0{hour}:30:00+00:00"
    store = store_at(url)
    store.study.add_trial(create_trial(value=0.5, params=RIGHT, distributions=store.spec.space))
    end_all_at(store.storage, end)
    assert best_trial(store.storage, "study")["datetime_complete"] == shown
    document = summary(store.state())
    assert document["best"]["datetime_complete"] == shown
    assert {each["best"]["datetime_complete"] for each in document["widths"] if each["best"]} == {shown}
    confirmed = storage_at(copy_of(confirmed_once(), tmp_path))
    end_all_at(confirmed, end)
    assert findings(confirmed, "sweet-spot").ended == end.replace(tzinfo=UTC)
