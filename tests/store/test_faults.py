"""A database that goes away while workers use it: they wait, lose nothing, tell nothing twice."""

import resource
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.faults import (
    CLEAN,
    Postgres,
    audit,
    driver,
    execute,
    execute_outside,
    search,
    start,
    store_at,
    wait_until,
    work,
)
from search.errors import StorageError
from search.store.retry import AGAIN, END, WAIT, is_restarting, what_to_do
from search.store.study import StudyStore, process_name


def finished(store: StudyStore) -> int:
    return store.counts().finished


def test_dropped_connections_delay_and_lose_nothing(postgres: Postgres) -> None:
    url = postgres.fresh()
    store = store_at(url)
    workers = [start(work, url, 12, pace=0.05) for _ in range(2)]
    for goal in range(1, 10, 2):
        wait_until(lambda goal=goal: finished(store) >= goal)
        postgres.drop_connections()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert audit(store.study.trials, 12) == CLEAN
    assert store.counts().failed == 0


def test_a_server_that_crashes_and_comes_back_delays_and_loses_nothing(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.fresh()
    store = store_at(url)
    workers = [start(work, url, 10, pace=0.05) for _ in range(2)]
    wait_until(lambda: finished(store) >= 2)
    postgres.stop()
    postgres.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert audit(store.study.trials, 10) == CLEAN
    assert store.counts().failed == 0


def test_a_server_that_is_read_only_for_a_while_is_waited_for(postgres: Postgres) -> None:
    url = postgres.fresh()
    store = store_at(url)
    workers = [start(work, url, 10, pace=0.05) for _ in range(2)]
    wait_until(lambda: finished(store) >= 2)
    with postgres.set_to("default_transaction_read_only", "on"):
        counted = finished(store)
        time.sleep(1.0)
        assert finished(store) <= counted + 1  # one may have been under way
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert audit(store.study.trials, 10) == CLEAN
    assert store.counts().failed == 0


def failure(url: str, *statements: str) -> BaseException:
    """Return what a server says to statements of one transaction."""
    with pytest.raises(sa.exc.SQLAlchemyError) as caught:
        execute(url, "; ".join(statements))
    return caught.value


def test_what_a_server_says_is_sorted_by_its_state(postgres: Postgres) -> None:
    url = postgres.fresh()
    execute(url, "CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2)")
    assert what_to_do(failure(url, "SET TRANSACTION READ ONLY", "INSERT INTO things VALUES (3)")) == WAIT
    assert what_to_do(failure(url, "SELECT pg_terminate_backend(pg_backend_pid())")) == WAIT
    assert what_to_do(failure(url, "SET statement_timeout = 1", "SELECT pg_sleep(9)")) == AGAIN
    with postgres.held(url, "things"):
        assert what_to_do(failure(url, "SET lock_timeout = 1", "SELECT * FROM things FOR UPDATE")) == AGAIN
    with postgres.crowded():
        assert what_to_do(failure(url, "SELECT 1")) == WAIT
    assert what_to_do(failure(url, "SELECT * FROM nothing")) == END
    assert what_to_do(failure(postgres.url("nowhere"), "SELECT 1")) == END  # by its words: it has no state
    assert what_to_do(failure(postgres.url(user="nobody"), "SELECT 1")) == END
    assert what_to_do(failure("postgresql://nobody@/x?host=/nowhere", "SELECT 1")) == WAIT
    assert what_to_do(failure(url, "DO $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$")) == END
    with sa.create_engine(driver(url), poolclass=sa.NullPool).connect() as connection:
        with pytest.raises(sa.exc.DataError):
            connection.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(sa.exc.InternalError) as aborted:
            connection.exec_driver_sql("SELECT 1")
    assert what_to_do(aborted.value) == AGAIN
    small = ("SET temp_file_limit = '64kB'", "SET work_mem = '64kB'")  # 53400: no state of ours, though operational
    sort = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 50000) g ORDER BY md5(g::text)) s"
    assert what_to_do(failure(url, *small, sort)) == END


@pytest.mark.parametrize("owner", ["role", "database"])
def test_who_may_have_no_more_connections_waits_from_the_start(postgres: Postgres, owner: str) -> None:
    url = postgres.fresh()
    name = sa.make_url(url).database or ""
    execute_outside(postgres.url(), "DROP ROLE IF EXISTS limited")
    execute_outside(postgres.url(), "CREATE ROLE limited LOGIN")  # limits are not for a superuser
    limited = "limited" if owner == "role" else name
    execute_outside(postgres.url(), f"ALTER {owner} {limited} CONNECTION LIMIT 0")
    refused = failure(postgres.url(name, "limited"), "SELECT 1")
    assert what_to_do(refused) == WAIT
    assert is_restarting(refused)


@pytest.mark.parametrize("gone", ["database", "role", "password"])
def test_a_server_that_refuses_a_worker_for_good_ends_it_at_once(postgres: Postgres, gone: str) -> None:
    own = postgres.fresh()
    name, role = sa.make_url(own).database or "", f"{sa.make_url(own).database}_role"
    execute_outside(postgres.url(), f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'right'")
    url = postgres.url(name, f"{role}:right")
    store = store_at(url)
    store.storage.retry.seconds = 600.0
    worker = start(work, url, 1000, pace=0.05, patience=600.0)
    wait_until(lambda: finished(store) >= 1)
    rules, doors = Path(postgres.server.pgdata) / "pg_hba.conf", ""
    if gone == "database":
        execute_outside(postgres.url(), f"DROP DATABASE {name} WITH (FORCE)")
    elif gone == "role":
        execute_outside(postgres.url(), f"ALTER ROLE {role} NOLOGIN")
    else:
        doors = rules.read_text(encoding="utf-8")
        rules.write_text(f"local all {role} scram-sha-256\n{doors}", encoding="utf-8")
        for statement in ("SELECT pg_reload_conf()", f"ALTER ROLE {role} PASSWORD 'another'"):
            execute_outside(postgres.url(), statement)
    try:
        postgres.drop_connections()
        worker.join(120)
        assert worker.exitcode == 1
        words = {"database": "does not exist", "role": "not permitted to log in", "password": "password authentication"}
        with pytest.raises(StorageError, match=f"cannot use .*{words[gone]}"):
            store.counts()
    finally:
        if doors:
            rules.write_text(doors, encoding="utf-8")


def test_who_loses_against_another_transaction_runs_again(postgres: Postgres) -> None:
    engine = sa.create_engine(driver(postgres.fresh()), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2)")
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            connection.exec_driver_sql("SELECT sum(id) FROM things")
            connection.exec_driver_sql("INSERT INTO things VALUES (3)")
        one.commit()
        with pytest.raises(sa.exc.OperationalError) as caught:
            other.commit()
    assert what_to_do(caught.value) == AGAIN
    with engine.connect() as one, engine.connect() as other, ThreadPoolExecutor(1) as pool:
        one.exec_driver_sql("SELECT * FROM things WHERE id = 1 FOR UPDATE")
        other.exec_driver_sql("SELECT * FROM things WHERE id = 2 FOR UPDATE")
        waiting = pool.submit(one.exec_driver_sql, "SELECT * FROM things WHERE id = 2 FOR UPDATE")
        lost: list[BaseException] = []
        try:
            other.exec_driver_sql("SELECT * FROM things WHERE id = 1 FOR UPDATE")
        except sa.exc.OperationalError as error:
            lost.append(error)
        other.rollback()
        if error := waiting.exception():
            lost.append(error)
    assert [what_to_do(error) for error in lost] == [AGAIN]


def test_a_server_that_stays_away_ends_the_run_and_a_later_run_resumes(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.fresh()
    store = store_at(url)
    store.storage.retry.seconds = 0.3
    worker = start(work, url, 6, pace=0.05, patience=0.3)
    wait_until(lambda: finished(store) >= 1)
    postgres.stop()
    try:
        with pytest.raises(StorageError, match=r"has been away for \d+ s .*run the same command to go on"):
            store.counts()
        worker.join(60)
    finally:
        postgres.start()
    assert worker.exitcode == 1
    assert sum("is away" in record.message for record in caplog.records) == 1
    assert worker.pid
    later = store_at(url)
    later.fail_trials_of(process_name(worker.pid))
    search(later, 6)
    assert audit(later.study.trials, 6) == CLEAN


def work_on_a_small_disk(url: str, budget: int) -> None:
    limit = 400_000  # bytes of a file: the write-ahead log reaches it after some trials
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work(url, budget)


def test_a_full_disk_is_one_error_and_keeps_every_finished_trial(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store = store_at(url)
    worker = start(work_on_a_small_disk, url, 200)
    worker.join(120)
    assert worker.exitcode == 1
    assert execute(url, "PRAGMA integrity_check") == [("ok",)]
    kept = [trial for trial in store.study.trials if trial.state.is_finished()]
    assert kept
    assert worker.pid
    budget = len(store.study.trials) + 3  # all that were under way, and some more
    store.fail_trials_of(process_name(worker.pid))
    search(store, budget)
    after = store.study.trials
    assert [after[trial.number] for trial in kept] == kept
    assert audit(after, budget) == CLEAN


def test_a_file_that_stays_locked_ends_the_run_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.store.storage.SQLITE_TIMEOUT", 0.1)
    store = store_at(f"sqlite:///{tmp_path}/study.db")
    store.storage.retry.seconds = 0.3
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"has been away for \d+ s \(database is locked\)"):
        store.acquire()
    other.execute("COMMIT")
    other.close()
    assert store.acquire() is not None
