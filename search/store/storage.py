"""Opens the SQL storage. The only file that knows engine options, transactions, locks and dialects.

Optuna's own tables, so that every tool that reads Optuna reads ours. What Optuna's storage leaves open is closed here:

- The schema is created once, under a lock; several processes that find a fresh database collide otherwise.
- On SQLite a transaction begins with BEGIN IMMEDIATE, in WAL mode with a long timeout: with a deferred one two
  processes both read a WAITING trial and both take it.
- What must happen once is one transaction: counting and acquiring, failing a trial and queueing it again, giving back.
  So it holds whenever a process is killed or a connection breaks.

Each transaction locks in the same order, study before trials, so that PostgreSQL finds no deadlocks.
"""

import hashlib
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage

from search.errors import NotFoundError, StorageError
from search.store import rows
from search.store.retry import Retry, is_away, is_restarting, reason
from search.store.url import is_file, parse_url, redacted

DEFAULT_URL = "sqlite:///sweetspot.db"
SQLITE_TIMEOUT = 60.0  # seconds to wait for a locked file before asking again
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}

_log = logging.getLogger(__name__)


class Storage:
    """An open database: `optuna` for Optuna, the rest for what Optuna does not do.

    `retry(attempt)` runs what uses either, and waits while the database is away.
    """

    def __init__(self, url: sa.URL, backend: RDBStorage) -> None:
        self.url = url
        self.engine = backend.engine
        self.optuna = optuna.storages.get_storage(backend)
        self.retry = Retry(redacted(url))

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name against every other process on the same database."""
        with _lock(self.url, name):
            yield

    def acquire(
        self, study_id: int, worker: str, held: Collection[int], *, wanted: Mapping[str, Any] | None = None
    ) -> int | None:
        """Make the first waiting trial, or else a new one, a running trial of `worker`; return its id.

        None if as many trials as the study's budget says are finished or running. In a study without a budget only a
        waiting trial will do, and one with the `wanted` user attributes if there are any. A trial that already runs
        in the worker's name, though it is not among those it holds, is returned as it is: the connection broke when
        it was acquired.
        """
        with self.engine.begin() as connection:
            rows.lock_study(connection, study_id)
            if orphans := set(rows.running_of(connection, study_id, worker)) - set(held):
                return min(orphans)
            budget = rows.budget(connection, study_id)
            if budget is not None and rows.finished(connection, study_id, "RUNNING") >= budget:
                return None
            trial_id = rows.first_waiting(connection, study_id, wanted or {})
            if trial_id is None and budget is not None:
                trial_id = rows.new_trial(connection, study_id, "RUNNING")
            if trial_id is not None:
                rows.start(connection, trial_id, worker)
            return trial_id

    def amend(self, study_id: int, change: Callable[[dict[str, Any], int], Mapping[str, Any]]) -> None:
        """Store what `change` makes of a study's user attributes and its number of finished trials; one transaction."""
        with self.engine.begin() as connection:
            rows.lock_study(connection, study_id)
            new = change(rows.study_attrs(connection, study_id), rows.finished(connection, study_id))
            rows.set_attrs(connection, rows.STUDY_USER, study_id, new)

    def attributes(self, keys: Collection[str]) -> dict[int, tuple[str, dict[str, str]]]:
        """Return by study, oldest first, its name and these user attributes as JSON text, for studies that have any."""
        found: dict[int, tuple[str, dict[str, str]]] = {}
        with self.engine.begin() as connection:
            for study_id, name, key, text in connection.execute(rows.studies_with(keys)):
                found.setdefault(study_id, (name, {}))[1][key] = text
        return found

    def running(self) -> list[str]:
        """Return the names of the studies that have running trials."""
        with self.engine.begin() as connection:
            return list(connection.scalars(rows.studies_running()))

    def set_params(
        self, trial_id: int, params: Mapping[str, tuple[float, BaseDistribution]], attrs: Mapping[str, Any]
    ) -> bool:
        """Store parameters, as Optuna does, and system attributes of a running trial; one transaction.

        False, and nothing is done, if it is not running any more, as below.
        """
        with self._still(trial_id) as connection:
            if connection is not None:
                rows.set_params(connection, trial_id, params)
                rows.set_attrs(connection, rows.SYSTEM, trial_id, attrs)
            return connection is not None

    def report(self, shown: Mapping[int, tuple[int, float]]) -> set[int]:
        """Store what trials show, each at an epoch; one transaction. Return those that are still running: the others
        are left as they are."""
        with self.engine.begin() as connection:
            running = set(rows.still_running(connection, shown))
            rows.report(connection, {trial_id: shown[trial_id] for trial_id in sorted(running)})
            return running

    def end(self, trial_id: int, state: str, values: Sequence[float] | None, attrs: Mapping[str, Any]) -> bool:
        """Let a running trial end, with its user attributes; one transaction. `values` None: that of its last report.

        Optuna takes a transaction for each attribute, and two more.
        """
        with self._still(trial_id) as connection:
            if connection is not None:
                rows.set_attrs(connection, rows.USER, trial_id, attrs)
                found = rows.last_report(connection, trial_id) if values is None else values
                rows.end(connection, trial_id, state, found)
            return connection is not None

    @contextmanager
    def _still(self, trial_id: int) -> Iterator[sa.Connection | None]:
        """Begin a transaction in which a trial is running, and stays so; None if it is not."""
        with self.engine.begin() as connection:
            yield connection if rows.still_running(connection, [trial_id]) else None

    def heartbeat(self, trial_ids: Iterable[int]) -> None:
        """Record, by the database's clock, that these trials are being worked on."""
        with self.engine.begin() as connection:
            rows.heartbeat(connection, trial_ids)

    def ages(self, study_id: int) -> dict[int, float]:
        """Return the seconds since somebody last worked on each running trial, by the database's clock.

        A running trial without a heartbeat gets one: its worker may have died before its first. While PostgreSQL
        itself was down nobody could send one; that time does not count.
        """
        with self.engine.begin() as connection:
            ids = connection.scalars(sa.select(rows.TRIALS.c.trial_id).where(rows.in_state(study_id, "RUNNING"))).all()
            heartbeats = sa.select(rows.HEARTBEATS.c.trial_id, rows.HEARTBEATS.c.heartbeat).where(
                rows.HEARTBEATS.c.trial_id.in_(ids)
            )
            seen = {row.trial_id: row.heartbeat for row in connection.execute(heartbeats)}
            rows.heartbeat(connection, set(ids) - set(seen))
            now, up = rows.clock(connection)
        return {trial_id: (now - max(seen.get(trial_id, now), up)).total_seconds() for trial_id in ids}

    def times(self, study_id: int) -> list[tuple[datetime, datetime | None]]:
        """Return when each trial began and, if it is complete or pruned, ended: in UTC without a zone.

        Not through Optuna, which returns local time, where an hour of every autumn is there twice.
        """
        with self.engine.begin() as connection:
            return rows.times(connection, study_id)

    def ends(self, study_id: int) -> dict[int, datetime]:
        """Return when each trial that has ended did so, in UTC, by the trial's id; for the reason above."""
        with self.engine.begin() as connection:
            return rows.ends(connection, study_id)

    def fail(self, study_id: int, trial_id: int, why: str, again: Mapping[str, Any] | None) -> bool:
        """Fail a running trial, and with `again` queue one with these parameters and attributes; one transaction.

        `again` is `{"params": ..., "attrs": ...}`. False, and nothing is done, if the trial is not running any more.
        """
        with self.engine.begin() as connection:
            rows.lock_study(connection, study_id)
            if not rows.still_running(connection, [trial_id]):
                return False
            failed = sa.update(rows.TRIALS).where(rows.TRIALS.c.trial_id == trial_id)
            connection.execute(failed.values(state="FAIL", datetime_complete=rows.time_now()))
            rows.set_attrs(connection, rows.USER, trial_id, {"reason": why})
            if again is not None:
                queued = rows.new_trial(connection, study_id, "WAITING")
                rows.set_attrs(connection, rows.SYSTEM, queued, {"fixed_params": again["params"]})
                rows.set_attrs(connection, rows.USER, queued, again["attrs"])
            return True

    def give_back(self, trial_ids: Iterable[int]) -> None:
        """Turn running trials back into waiting ones, as if they had never started; number and parameters stay."""
        with self.engine.begin() as connection:
            running = rows.still_running(connection, trial_ids)
            for table in (rows.REPORTS, rows.HEARTBEATS):
                connection.execute(sa.delete(table).where(table.c.trial_id.in_(running)))
            rungs = rows.SYSTEM.c.key.startswith("completed_rung_")
            connection.execute(sa.delete(rows.SYSTEM).where(rows.SYSTEM.c.trial_id.in_(running), rungs))
            waiting = sa.update(rows.TRIALS).where(rows.TRIALS.c.trial_id.in_(running))
            connection.execute(waiting.values(state="WAITING", datetime_start=None))


def open_storage(text: str, *, create: bool, stop: Callable[[], bool] | None = None) -> Storage:
    """Open the database at a URL, with `create` making file and schema where there are none.

    With `stop` a server that is not up yet is waited for, as one that goes away later is; else only one that restarts.
    Raises `UsageError` for a bad URL, `NotFoundError` for no database without `create`, `StorageError` for a
    database that cannot be used; that one is left as it was.
    """
    url = parse_url(text)
    if is_file(url):
        _check_file(url, Path(url.database or ""), create)
    waiting = Retry(redacted(url), passes=is_away, stop=stop) if stop else Retry(redacted(url), passes=is_restarting)
    try:
        return waiting(lambda: _open(url, create))
    except (OSError, ImportError, RuntimeError) as error:  # RuntimeError: Optuna's word on another version's schema
        raise StorageError(f"cannot use {redacted(url)}: {reason(error)}") from error


def _open(url: sa.URL, create: bool) -> Storage:
    _check_tables(url, create)
    with _lock(url, "schema"):
        return Storage(url, _backend(url))


def filesystem(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds a path, given the text of /proc/mounts; "" if none does."""
    found = [line.split()[1:3] for line in mounts.splitlines()]
    holding = [(len(place), kind) for place, kind in found if path.is_relative_to(place.replace("\\040", " "))]
    return max(holding, default=(0, ""))[1]


def _check_file(url: sa.URL, path: Path, create: bool) -> None:
    if not create and not path.exists():
        raise NotFoundError(f"no database at {redacted(url)}; start a study with: python -m search.run")
    if not path.parent.is_dir():
        raise StorageError(f"cannot use {redacted(url)}: there is no directory {path.parent}")
    if path.is_dir():
        raise StorageError(f"cannot use {redacted(url)}: it is a directory; name a file")
    mounts = Path("/proc/mounts")
    kind = filesystem(path.resolve(), mounts.read_text(encoding="utf-8")) if mounts.exists() else ""
    if kind in NETWORK_FILESYSTEMS:
        _log.warning("%s is on a network file system (%s), where SQLite's locks may fail; use PostgreSQL", path, kind)


def _check_tables(url: sa.URL, create: bool) -> None:
    """Refuse a database that holds something else, before anything is added to it."""
    if create and is_file(url) and not Path(url.database or "").exists():
        return
    names = set(sa.inspect(_probe(url)).get_table_names())
    if names - rows.NAMES and not {"studies", "trials", "version_info"} <= names:
        raise StorageError(f"{redacted(url)} is not a database of Optuna's: it has a table {min(names - rows.NAMES)!r}")
    if not create and "studies" not in names:
        raise NotFoundError(f"no study in {redacted(url)}; start one with: python -m search.run")


def _probe(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, connect_args=_connect_args(url), poolclass=sa.NullPool)


def _backend(url: sa.URL) -> RDBStorage:
    kwargs: dict[str, Any] = {"connect_args": _connect_args(url)}
    if not is_file(url):
        kwargs["pool_pre_ping"] = True  # a connection that died while we trained is replaced, not reported
    text = url.render_as_string(hide_password=False)
    backend = RDBStorage(text.replace("{", "{{").replace("}", "}}"), engine_kwargs=kwargs)  # Optuna formats it
    if is_file(url):
        _begin_immediately(backend.engine)
    else:
        backend.engine.dispose()  # opening took two connections, and a worker needs one: a server has few
    weakref.finalize(backend, backend.engine.dispose)
    return backend


def _begin_immediately(engine: sa.Engine) -> None:
    """Take the write lock at the start of a transaction, not at its first write."""
    engine.dispose()  # the connections that made the schema have none of this

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # or sqlite3 would begin transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")
        # The disk is waited for at checkpoints alone, not in each transaction. Who is killed loses nothing so; a
        # machine that loses power loses its last transactions, in order, and the workers that knew of them.
        connection.execute("PRAGMA synchronous=NORMAL")

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)
    with engine.connect():  # switching to WAL needs the file for itself: do it now, under the schema's lock
        pass


@contextmanager
def _lock(url: sa.URL, name: str) -> Iterator[None]:
    if is_file(url):
        with FileLock(f"{url.database}.lock"):
            yield
        return
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    with _probe(url).connect() as connection:  # its own, not pooled: the lock goes when it closes
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.select(sa.func.pg_advisory_lock(key)))
        yield


def _connect_args(url: sa.URL) -> dict[str, Any]:
    if is_file(url):
        return {"timeout": SQLITE_TIMEOUT}
    dead = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
    return {"connect_timeout": 10, "options": "-c timezone=utc -c idle_in_transaction_session_timeout=60s", **dead}
