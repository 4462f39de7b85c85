"""Opens the SQL storage. The only file that knows engine options, transactions, locks and dialects.

Optuna's own tables, so that every tool that reads Optuna reads ours. What Optuna's storage leaves open is closed here:

- The schema is created once, under a lock; several processes that find a fresh database collide otherwise.
- On SQLite a transaction begins with BEGIN IMMEDIATE, in WAL mode with a long timeout: with a deferred one two
  processes both read a WAITING trial and both take it.
- `lock` makes "count, then ask" one step, whoever else works on the study.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from filelock import FileLock
from optuna.storages import RDBStorage

from search.errors import NotFoundError, StorageError, UsageError

DEFAULT_URL = "sqlite:///sweetspot.db"
SQLITE_TIMEOUT = 60.0  # seconds to wait for a locked file before giving up

_STATE = sa.Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate")  # as PostgreSQL knows it
_trials = sa.table(
    "trials", sa.column("trial_id"), sa.column("study_id"), sa.column("state", _STATE), sa.column("datetime_start")
)
_values = sa.table("trial_intermediate_values", sa.column("trial_id"))
_attrs = sa.table("trial_user_attributes", *map(sa.column, ("trial_id", "key", "value_json")))
_rungs = sa.table("trial_system_attributes", *map(sa.column, ("trial_id", "key")))
_beats = sa.table("trial_heartbeats", sa.column("trial_id"), sa.column("heartbeat", sa.DateTime))


class Storage:
    """An open database: `optuna` for Optuna, the rest for what Optuna does not do."""

    def __init__(self, url: sa.URL, backend: RDBStorage) -> None:
        self.url = url
        self.engine = backend.engine
        self.optuna = optuna.storages.get_storage(backend)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name against every other process on the same database."""
        with _lock(self.url, self.engine, name):
            yield

    def set_attrs(self, trial_id: int, attrs: Mapping[str, Any]) -> None:
        """Store user attributes of a trial in one transaction; Optuna takes one for each."""
        rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attrs.items()]
        with self.engine.begin() as connection:
            connection.execute(sa.delete(_attrs).where(_attrs.c.trial_id == trial_id, _attrs.c.key.in_(attrs)))
            connection.execute(sa.insert(_attrs), rows)

    def beat(self, trial_ids: Iterable[int]) -> None:
        """Record, by the database's clock, that these trials are being worked on."""
        with self.engine.begin() as connection:
            _beat(connection, list(trial_ids))

    def stale(self, study_id: int, grace: float) -> list[int]:
        """Return running trials of a study that nobody has worked on for `grace` seconds.

        A running trial without a heartbeat gets one: its worker may have died before its first.
        """
        running = sa.select(_trials.c.trial_id).where(_trials.c.study_id == study_id, _trials.c.state == "RUNNING")
        with self.engine.begin() as connection:
            ids = list(connection.scalars(running))
            beats = sa.select(_beats.c.trial_id, _beats.c.heartbeat).where(_beats.c.trial_id.in_(ids))
            seen = {row.trial_id: row.heartbeat for row in connection.execute(beats)}
            _beat(connection, [trial_id for trial_id in ids if trial_id not in seen])
            now = connection.scalar(sa.select(sa.func.now()))
            assert now is not None
            limit = now.replace(tzinfo=None) - timedelta(seconds=grace)
        return [trial_id for trial_id, heartbeat in seen.items() if heartbeat < limit]

    def give_back(self, trial_ids: Iterable[int]) -> None:
        """Turn running trials back into waiting ones, as if they had never started; number and parameters stay."""
        with self.engine.begin() as connection:
            mine = list(trial_ids)
            running = connection.scalars(
                sa.select(_trials.c.trial_id).where(_trials.c.trial_id.in_(mine), _trials.c.state == "RUNNING")
            ).all()
            for table in (_values, _beats):
                connection.execute(sa.delete(table).where(table.c.trial_id.in_(running)))
            rungs = _rungs.c.key.startswith("completed_rung_")
            connection.execute(sa.delete(_rungs).where(_rungs.c.trial_id.in_(running), rungs))
            waiting = sa.update(_trials).where(_trials.c.trial_id.in_(running))
            connection.execute(waiting.values(state="WAITING", datetime_start=None))


def parse_url(text: str) -> sa.URL:
    """Read a storage URL; SQLite paths become absolute, PostgreSQL gets its driver.

    Raises `UsageError` for what is not a URL of SQLite or PostgreSQL.
    """
    hint = "use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(f"--storage is not a database URL; {hint}") from None
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(f"--storage: {url.get_backend_name()!r} is not supported; {hint}")
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise UsageError(f"--storage: a study in memory would be lost at exit; {hint}")
        return url.set(database=str(Path(url.database).absolute()))
    return url


def shown(url: sa.URL) -> str:
    """Return the URL as it may be printed: with the password hidden."""
    return url.render_as_string(hide_password=True)


def open_storage(text: str, *, create: bool) -> Storage:
    """Open the database at a URL, with `create` making file and schema where there are none.

    Raises `UsageError` for a bad URL, `NotFoundError` for no database without `create`, `StorageError` for a
    database that cannot be used.
    """
    url = parse_url(text)
    if not create and _is_sqlite(url) and not Path(url.database or "").is_file():
        raise NotFoundError(f"no database at {shown(url)}; start a study with: python -m search.run")
    try:
        probe = sa.create_engine(url, connect_args=_connect_args(url), poolclass=sa.NullPool)
        if not create and not sa.inspect(probe).has_table("studies"):
            raise NotFoundError(f"no study in {shown(url)}; start one with: python -m search.run")
        with _lock(url, probe, "schema"):
            return Storage(url, _backend(url))
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        raise StorageError(f"cannot use {shown(url)}: {_first_line(error)}") from error
    except RuntimeError as error:  # Optuna's word on a schema of another version
        raise StorageError(f"cannot use {shown(url)}: {_first_line(error)}") from error


def _backend(url: sa.URL) -> RDBStorage:
    kwargs: dict[str, Any] = {"connect_args": _connect_args(url)}
    if not _is_sqlite(url):
        kwargs["pool_pre_ping"] = True  # a connection that died while we trained is replaced, not reported
    backend = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=kwargs)
    if _is_sqlite(url):
        _begin_immediately(backend.engine)
    return backend


def _begin_immediately(engine: sa.Engine) -> None:
    """Take the write lock at the start of a transaction, not at its first write."""
    engine.dispose()  # the connections that made the schema have none of this

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # or sqlite3 would begin transactions by itself
        connection.execute("PRAGMA journal_mode=WAL")

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)


def _beat(connection: sa.Connection, trial_ids: list[int]) -> None:
    if not trial_ids:
        return
    connection.execute(sa.delete(_beats).where(_beats.c.trial_id.in_(trial_ids)))
    rows = [{"trial_id": trial_id} for trial_id in trial_ids]
    connection.execute(sa.insert(_beats).values(heartbeat=sa.func.now()), rows)


@contextmanager
def _lock(url: sa.URL, engine: sa.Engine, name: str) -> Iterator[None]:
    if _is_sqlite(url):
        with FileLock(f"{url.database}.lock"):
            yield
        return
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))


def _connect_args(url: sa.URL) -> dict[str, Any]:
    return {"timeout": SQLITE_TIMEOUT} if _is_sqlite(url) else {"connect_timeout": 10, "options": "-c timezone=utc"}


def _is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
