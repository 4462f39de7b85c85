"""Many workers whose training is a sleep, each a process of its own: what `benchmarks.scale` starts and watches.

They are forked from a server that has imported everything, before it has opened anything: no engine crosses a fork.
"""

import json
import logging
import random
import resource
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread
from typing import Any

import optuna
import psutil
import sqlalchemy as sa

from benchmarks.clocked import Clocked
from benchmarks.faults import PROCESSES, driver, start
from benchmarks.scaling import one_trial
from search.store.storage import Storage, open_storage
from search.store.study import open_study
from studies.spec import StudySpec
from studies.sweet_spot import sweet_spot

LAZY = ("sqlalchemy.dialects.postgresql.psycopg", "optuna.samplers", "scipy.optimize", "scipy.stats")
PROCESSES.set_forkserver_preload(["benchmarks.crowd", *LAZY, "benchmarks.frozen"])
SAMPLE_SECONDS = 0.25  # between two looks at what PostgreSQL's sessions are doing
THREADS = 10  # of the proxy: Optuna's default


@dataclass(frozen=True)
class Job:
    """What a worker is to do, and how it reaches the database."""

    url: str
    trials: int  # of all workers together
    workers: int
    pause: float  # seconds that stand for the training between two reports
    plain: bool  # Optuna alone instead of our store
    proxy: int | None  # port of Optuna's gRPC proxy; with our store claims go past it
    name: str = "study"

    def spec(self) -> StudySpec:
        return sweet_spot(self.name)


@dataclass
class Plain:
    """What a script does that has Optuna and nothing of ours, under our ledger's names; it keeps no figures."""

    study: optuna.Study
    spec: StudySpec
    left: Any  # trials that nobody has begun, a number that all workers share: Optuna has no budget

    def acquire(self) -> optuna.Trial | None:
        with self.left.get_lock():
            self.left.value -= 1
            some = self.left.value >= 0
        return self.study.ask(dict(self.spec.space)) if some else None

    def report(self, trial: optuna.Trial, value: float, epoch: int) -> None:
        trial.report(value, epoch)

    def should_prune(self, trial: optuna.Trial) -> bool:
        return trial.should_prune()

    def complete(self, trial: optuna.Trial, value: float, _figures: object) -> None:
        self.study.tell(trial, value)

    def prune(self, trial: optuna.Trial, _figures: object) -> None:
        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def opened(job: Job, left: Any) -> tuple[Any, Counter[str]]:
    """Return the store that a job asks for, and what counts the statements that it sends to PostgreSQL itself."""
    if job.plain and job.proxy:
        return _plain(job, _proxy(job.proxy), left), Counter()
    storage = open_storage(job.url, create=True)
    counted = _counting(storage)
    if job.plain:
        return _plain(job, storage.optuna, left), counted
    if job.proxy:
        storage.optuna = _proxy(job.proxy)
    return open_study(storage, job.spec()), counted


def _plain(job: Job, storage: Any, left: Any) -> Plain:
    spec = job.spec()
    sampler = spec.sampler(random.SystemRandom().randrange(2**32))
    study = optuna.load_study(study_name=spec.name, storage=storage, sampler=sampler, pruner=spec.pruner)
    return Plain(study, spec, left)


def _proxy(port: int) -> optuna.storages.GrpcStorageProxy:
    with warnings.catch_warnings(action="ignore"):  # it is experimental
        proxy = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
    proxy.wait_server_ready(timeout=60)
    return proxy


def _counting(storage: Storage) -> Counter[str]:
    counted: Counter[str] = Counter()
    sa.event.listen(storage.engine, "before_cursor_execute", lambda *_: counted.update(["statements"]))
    sa.event.listen(storage.engine, "commit", lambda *_: counted.update(["commits"]))
    return counted


def work(job: Job, gate: Any, left: Any, told: Path) -> None:
    """What a worker process does; it writes down how that went, from the moment that the gate opens.

    It passes the gate twice: first all are ready, then all may begin.
    """
    logging.disable()
    optuna.logging.disable_default_handler()
    warnings.simplefilter("ignore")
    store, counted = opened(job, left)
    clocked, chance = Clocked(store), random.Random()
    store.study.get_trials(deepcopy=False)  # the first reads the whole study, once for each worker
    gate.wait()
    gate.wait()
    counted.clear()
    before, begin = _cpu(), time.perf_counter()

    def train(trial: optuna.Trial) -> None:
        time.sleep(job.pause * chance.uniform(0.5, 1.5))
        if not job.plain and time.monotonic() - store._last_heartbeat >= store.heartbeat_seconds:
            clocked.heartbeat([trial])

    while one_trial(clocked, chance, train):
        pass
    calls = {name: list(zip(clocked.ended[name], each, strict=True)) for name, each in clocked.seconds.items()}
    line = {"calls": calls, "begin": begin, "left": time.perf_counter(), "cpu": _cpu() - before, **counted}
    told.write_text(json.dumps(line), encoding="utf-8")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serve(url: str, port: int) -> None:
    """What the proxy's process does."""
    warnings.simplefilter("ignore")
    optuna.logging.disable_default_handler()
    storage = open_storage(url, create=True).optuna
    pool = ThreadPoolExecutor(max_workers=THREADS)
    optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=port, thread_pool=pool)


@contextmanager
def proxy_at(url: str, port: int | None) -> Iterator[int | None]:
    """Run a proxy, if a port is given; yield its process id."""
    if port is None:
        yield None
        return
    process = start(serve, url, port)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.join()


@dataclass
class Watch:
    """Looks at the processes' CPU time and at what PostgreSQL's sessions are doing, until told to stop."""

    url: str
    postmaster: int
    proxy: int | None
    sessions: Counter[str] = field(default_factory=Counter)  # looks that found a session doing so
    connections: int = 0  # most at once
    looks: int = 0
    wall: float = 0.0
    idle: float = 0.0  # share of the machine's cores that nobody used
    _first: dict[int, float] = field(default_factory=dict)  # CPU seconds by process
    _last: dict[int, float] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look once at the start, however soon everything is over, and then again and again."""
        with sa.create_engine(driver(self.url), poolclass=sa.NullPool).connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            self._look(connection)
            stop, before, begin = Event(), psutil.cpu_times(), time.perf_counter()
            thread = Thread(target=self._run, args=(stop, connection))
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()
                after, self.wall = psutil.cpu_times(), time.perf_counter() - begin
                self.idle = (after.idle - before.idle) / (self.wall * (psutil.cpu_count() or 1))

    def seconds(self, *, proxy: bool) -> float:
        """Return the CPU seconds of the proxy, or of PostgreSQL."""
        return sum(used - self._first[pid] for pid, used in self._last.items() if (pid == self.proxy) == proxy)

    def _run(self, stop: Event, connection: sa.Connection) -> None:
        while not stop.wait(SAMPLE_SECONDS):
            self._look(connection)

    def _look(self, connection: sa.Connection) -> None:
        self.looks += 1
        found = list(connection.exec_driver_sql(_SESSIONS))
        self.connections = max(self.connections, len(found))
        self.sessions.update(doing for state, *wait in found if (doing := _doing(state, *wait)))
        for process in _processes(self.postmaster, self.proxy):
            try:
                used = sum(process.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
            self._first.setdefault(process.pid, used)
            self._last[process.pid] = used


_SESSIONS = """
SELECT state, wait_event_type, wait_event FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def _doing(state: str | None, kind: str | None, event: str | None) -> str | None:
    """Say in words what a session is doing; None if nothing."""
    if state in (None, "idle"):
        return None
    if state != "active":
        return "in a transaction, waiting for the worker"
    if kind == "Lock":
        return f"waiting for a row ({event})"
    return "working" if kind in (None, "Client") else f"waiting for {kind} ({event})"


def _processes(postmaster: int, proxy: int | None) -> list[psutil.Process]:
    server = psutil.Process(postmaster)
    return [server, *server.children(), *([psutil.Process(proxy)] if proxy else [])]


def start_workers(job: Job, told: Path) -> tuple[list[BaseProcess], Any, Any]:
    """Start the workers; they wait at the gate that is returned, which opens, twice, when we pass it too.

    Last comes what they share, which must be kept as long as they start.
    """
    gate, left = PROCESSES.Barrier(job.workers + 1), PROCESSES.Value("i", job.trials)
    return [start(work, job, gate, left, told / f"{k}.json") for k in range(job.workers)], gate, left
