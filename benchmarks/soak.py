"""Kills workers, breaks connections and crashes the server, for a stated time, and counts what that cost.

    python -m benchmarks.soak                     a minute on SQLite, a minute on PostgreSQL (make soak)
    python -m benchmarks.soak --seconds 600       longer
    python -m benchmarks.soak --rounds 20         so many rounds of each, however long they take

A *round* is a fresh study of some trials, several workers that start at once on it, and faults at random moments;
killed workers are replaced. At the end the study must have exactly its trials: none lost, none queued twice, none
over budget.
"""

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna

from benchmarks.faults import Postgres, audit, execute, kill, start, store_at, work
from search.store.study import StudyStore

WORKERS = 4
BUDGET = 16  # finished trials of a round
GRACE = 5.0  # seconds without a heartbeat until a trial is stale; 60 where it is not hurried
PACE = 0.05  # seconds an epoch takes at least, so that faults find trials running
FAULTS = 10  # of a round at most: a slow machine could not finish between faults that never end
LIMIT = 300.0  # seconds after which a round counts as hung


@dataclass
class Tally:
    """What a database went through."""

    rounds: int = 0
    trials: int = 0  # finished
    faults: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)  # lost, duplicated, over budget
    retried: int = 0
    seconds: float = 0.0


@dataclass
class Round:
    """A study under fire."""

    url: str
    server: Postgres | None
    chance: random.Random
    workers: list[BaseProcess] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def start_worker(self) -> None:
        self.workers.append(start(work, self.url, BUDGET, pace=PACE, grace=GRACE))

    def run(self) -> StudyStore:
        """Return the study when all its workers have ended. Raises `RuntimeError` if one failed or hung."""
        for _ in range(WORKERS):
            self.start_worker()
        end, store = time.monotonic() + LIMIT, store_at(self.url)
        while any(worker.is_alive() for worker in self.workers):
            if time.monotonic() > end:
                raise RuntimeError(f"hung: {store.counts()}")
            time.sleep(self.chance.uniform(0.2, 1.0))
            self._rehire()
            if store.counts().finished < BUDGET and self.faults.total() < FAULTS:
                self.chance.choice(self._kinds())()
        failed = [worker.exitcode for worker in self.workers if worker.exitcode not in (0, -9)]
        if failed:
            raise RuntimeError(f"workers ended with {failed}")
        return store

    def _rehire(self) -> None:
        """A worker that starts while the server is down says so and ends, as it should; its place is taken.

        No other should end with code 1, but its code does not tell: the table counts them all, and stderr says why.
        """
        refused = [worker for worker in self.workers if worker.exitcode == 1]
        for worker in refused if self.server else []:
            self.workers.remove(worker)
            self.faults["ended with a line"] += 1
            self.start_worker()

    def _kinds(self) -> list[Callable[[], None]]:
        on_both = [self._kill, self._terminate]
        return on_both if self.server is None else [*on_both, self._drop, self._crash, *self._unable()]

    def _unable(self) -> list[Callable[[], None]]:
        """What keeps a server from serving: for each SQLSTATE of `search/store/retry.py` that can be had."""
        assert self.server is not None
        server = self.server

        def cancel() -> None:
            for _ in range(20):  # most find nobody at work
                execute(
                    server.url(), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )

        return [
            lambda: self._for_a_while("read-only", server.set_to("default_transaction_read_only", "on")),
            lambda: self._for_a_while("serializable", server.set_to("default_transaction_isolation", "serializable")),
            lambda: self._for_a_while("no connection left", server.crowded()),
            lambda: self._for_a_while("lock time-out", server.set_to("lock_timeout", "50ms"), server.held(self.url)),
            lambda: self._for_a_while("cancelled", after=cancel),
        ]

    def _for_a_while(
        self, name: str, *states: AbstractContextManager[None], after: Callable[[], None] = lambda: None
    ) -> None:
        with ExitStack() as stack:
            for state in states:
                stack.enter_context(state)
            time.sleep(self.chance.uniform(0.2, 1.0))
            after()
        self.faults[name] += 1

    def _one_alive(self) -> BaseProcess:
        alive = [worker for worker in self.workers if worker.is_alive()]
        return self.chance.choice(alive or self.workers)

    def _kill(self) -> None:
        kill(self._one_alive())
        self.faults["kill -9"] += 1
        self.start_worker()

    def _terminate(self) -> None:
        worker = self._one_alive()
        worker.terminate()
        worker.join(10)
        self.faults["SIGTERM"] += 1
        self.start_worker()

    def _drop(self) -> None:
        assert self.server is not None
        self.server.drop_connections()
        self.faults["connections dropped"] += 1

    def _crash(self) -> None:
        assert self.server is not None
        self.server.stop()
        time.sleep(self.chance.uniform(0, 0.5))
        self.server.start()
        self.faults["server crashed"] += 1


def soak(urls: Iterator[str], server: Postgres | None, more: Callable[[Tally], bool], seed: int) -> Tally:
    """Run rounds while `more` says so."""
    tally, begin, chance = Tally(), time.monotonic(), random.Random(seed)
    while more(tally):
        fight = Round(next(urls), server, chance)
        trials = fight.run().study.get_trials(deepcopy=False)
        tally.rounds += 1
        tally.faults += fight.faults
        tally.wrong += Counter(audit(trials, BUDGET))
        tally.trials += sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials)
        tally.retried += sum("retry_of" in trial.user_attrs for trial in trials)
        tally.seconds = time.monotonic() - begin
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """Return the tallies as a Markdown table."""
    head = "| database | rounds | trials | faults injected | trials run again | lost | duplicated | over budget | s |"
    rows = [
        f"| {name} | {t.rounds} | {t.trials} | {', '.join(f'{n} {kind}' for kind, n in sorted(t.faults.items()))} "
        f"| {t.retried} | {t.wrong['lost']} | {t.wrong['duplicated']} | {t.wrong['over budget']} | {t.seconds:.0f} |"
        for name, t in tallies.items()
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|---|", *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak both databases; return 1 if anything was lost, duplicated or over budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Break things and count.")
    parser.add_argument("--seconds", type=float, default=60, help="for each database [60]")
    parser.add_argument("--rounds", type=int, help="for each database, instead of a time")
    parser.add_argument("--seed", type=int, default=0, help="of the faults [0]")
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    logging.basicConfig(level=logging.CRITICAL)

    def more(tally: Tally) -> bool:
        return tally.rounds < options.rounds if options.rounds else tally.seconds < options.seconds

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = (f"sqlite:///{directory}/{k}.db" for k in range(10**9))
        tallies = {"SQLite": soak(files, None, more, options.seed)}
        server = stack.enter_context(Postgres.running(directory / "postgres"))
        databases = iter(server.fresh, None)
        tallies["PostgreSQL"] = soak(databases, server, more, options.seed)
        print(f"{WORKERS} workers, {BUDGET} trials a round, stale after {GRACE:.0f} s without a heartbeat\n")
        print(table(tallies))
    return int(any(tally.wrong.total() for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
