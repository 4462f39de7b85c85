"""The contract of the storage, on SQLite and on a real PostgreSQL: what must happen once happens once."""

import json
import sqlite3
import threading
from collections import Counter
from itertools import chain
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from benchmarks.faults import PROCESSES, age_heartbeats, execute, start, store_at
from search.errors import StorageError
from search.store.queue import enqueue, fail_stale
from search.store.retry import Retry, is_away, reason
from search.store.storage import Storage, filesystem, open_storage
from studies.sweet_spot import SPACE

TOGETHER = 8


@pytest.fixture
def storage(url: str) -> Storage:
    return open_storage(url, create=True)


@pytest.fixture
def study(storage: Storage) -> optuna.Study:
    study = optuna.create_study(study_name="study", storage=storage.optuna)
    study.set_user_attr("fingerprint", {"space": dict.fromkeys(SPACE)})
    return study


def queue(study: optuna.Study, n: int) -> None:
    for width in range(4, 4 + n):
        enqueue(study, SPACE, {"hidden_units": width, "lr": 0.01})


def states(study: optuna.Study) -> dict[str, int]:
    return dict(Counter(trial.state.name for trial in study.get_trials(deepcopy=False)))


def open_one(barrier: Barrier, url: str, answers: "Queue[Any]") -> None:
    barrier.wait()
    try:
        store_at(url)
        answers.put("opened")
    except Exception as error:
        answers.put(repr(error))


def claim_all(barrier: Barrier, url: str, answers: "Queue[Any]") -> None:
    storage = open_storage(url, create=False)
    study_id = optuna.load_study(study_name="study", storage=storage.optuna)._study_id
    claimed: set[int] = set()
    barrier.wait()
    while (trial_id := storage.acquire(study_id, f"worker {threading.get_native_id()}", claimed)) is not None:
        claimed.add(trial_id)
    answers.put(sorted(claimed))


def together(target: Any, *arguments: object) -> list[Any]:
    """Run it in eight processes that wait for each other, and return what each answered."""
    barrier, answers = PROCESSES.Barrier(TOGETHER), PROCESSES.Queue()
    processes = [start(target, barrier, *arguments, answers) for _ in range(TOGETHER)]
    answered = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return answered


def test_eight_processes_on_a_fresh_database_make_one_schema_one_study_and_one_baseline(url: str) -> None:
    assert together(open_one, url) == ["opened"] * TOGETHER
    study = optuna.load_study(study_name="study", storage=open_storage(url, create=False).optuna)
    assert [trial.user_attrs for trial in study.trials] == [{"baseline": True}]
    assert execute(url, "SELECT count(*) FROM version_info") == [(1,)]
    assert execute(url, "SELECT count(*) FROM studies") == [(1,)]


def test_eight_processes_claim_every_waiting_trial_once_and_stop_at_the_budget(url: str, study: optuna.Study) -> None:
    study.set_user_attr("budget", 30)
    queue(study, 10)
    claimed = sorted(chain(*together(claim_all, url)))
    assert len(claimed) == len(set(claimed)) == 30
    assert states(study) == {"RUNNING": 30}
    assert [trial.number for trial in study.trials] == list(range(30))


def test_what_is_given_back_is_claimed_once_more_with_its_number_and_parameters(
    url: str, storage: Storage, study: optuna.Study
) -> None:
    queue(study, 5)
    trials = [study.ask(dict(SPACE)) for _ in range(5)]
    for trial in trials:
        trial.report(0.5, 1)
        storage.optuna.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
    storage.give_back(trial._trial_id for trial in trials)
    waiting = study.get_trials()
    assert {(trial.state, trial.datetime_start, len(trial.intermediate_values)) for trial in waiting} == {
        (TrialState.WAITING, None, 0)
    }
    assert [trial.params for trial in waiting] == [trial.params for trial in trials]
    assert not any("completed_rung_0" in trial.system_attrs for trial in waiting)
    assert sorted(chain(*together(claim_all, url))) == [trial._trial_id for trial in trials]


def test_giving_back_leaves_finished_trials_alone(storage: Storage, study: optuna.Study) -> None:
    trial = study.ask(dict(SPACE))
    study.tell(trial, 1.0)
    storage.give_back([trial._trial_id])
    assert states(study) == {"COMPLETE": 1}


def test_a_claim_whose_answer_got_lost_is_found_again(storage: Storage, study: optuna.Study) -> None:
    study.set_user_attr("budget", 5)
    first = storage.acquire(study._study_id, "me", set())
    assert storage.acquire(study._study_id, "me", set()) == first
    assert storage.acquire(study._study_id, "me", {first}) != first
    assert storage.acquire(study._study_id, "another", set()) not in (None, first)
    assert states(study) == {"RUNNING": 3}


def test_without_a_budget_only_waiting_trials_are_claimed(storage: Storage, study: optuna.Study) -> None:
    queue(study, 1)
    assert storage.acquire(study._study_id, "me", set()) is not None
    assert storage.acquire(study._study_id, "another", set()) is None


def test_only_trials_with_the_wanted_attributes_are_claimed(storage: Storage, study: optuna.Study) -> None:
    for index in (0, 1, 0):
        enqueue(study, SPACE, {"hidden_units": 4, "lr": 0.01}, seed_index=index)
    wanted = {"seed_index": 0}
    first = storage.acquire(study._study_id, "me", set(), wanted={"seed_index": 1})
    second = storage.acquire(study._study_id, "another", set(), wanted=wanted)
    storage.give_back([first])  # the first to be waiting again, and of another seed
    third = storage.acquire(study._study_id, "a third", set(), wanted=wanted)
    taken = [storage.optuna.get_trial(trial_id).number for trial_id in (first, second, third)]
    assert taken == [1, 0, 2]
    assert storage.acquire(study._study_id, "a fourth", set(), wanted=wanted) is None


def test_attributes_are_replaced_and_never_written_to_a_finished_trial(storage: Storage, study: optuna.Study) -> None:
    trial = study.ask(dict(SPACE))
    trial.set_user_attr("a", 1)
    assert storage.report({trial._trial_id: (1, 0.5), trial._trial_id + 1: (1, 0.5)}) == {trial._trial_id}
    assert storage.end(trial._trial_id, "COMPLETE", [1.0], {"a": {"c": True}, "b": [None, "ü", 1.5]})
    assert not storage.end(trial._trial_id, "PRUNED", [2.0], {"a": "late"})
    assert not storage.set_params(trial._trial_id, {"lr": (0.5, SPACE["lr"])}, {"late": True})
    assert storage.report({trial._trial_id: (3, 0.75)}) == set()
    (stored,) = study.trials
    assert (stored.value, stored.state.name, stored.intermediate_values) == (1.0, "COMPLETE", {1: 0.5})
    assert stored.user_attrs == {"a": {"c": True}, "b": [None, "ü", 1.5]}
    assert "late" not in stored.system_attrs
    assert stored.params["lr"] == trial.params["lr"]


def test_a_stale_trial_fails_and_is_queued_again_in_one_step_and_only_once(
    url: str, storage: Storage, study: optuna.Study
) -> None:
    queue(study, 1)
    trial_id = storage.acquire(study._study_id, "dead", set())
    assert trial_id is not None
    assert fail_stale(storage, study) == []
    age_heartbeats(url)
    assert [trial.number for trial in fail_stale(storage, study, grace=-1)] == [0]
    assert fail_stale(storage, study, grace=-1) == []
    failed, queued = study.trials
    assert (failed.state, queued.state) == (TrialState.FAIL, TrialState.WAITING)
    assert failed.user_attrs["reason"].startswith("stale")
    assert queued.system_attrs["fixed_params"] == {"hidden_units": 4, "lr": 0.01}
    assert (queued.user_attrs["retry"], queued.user_attrs["retry_of"]) == (1, 0)


def test_a_stale_trial_is_run_again_three_times_at_most(storage: Storage, study: optuna.Study) -> None:
    queue(study, 1)
    for k in range(4):
        assert storage.acquire(study._study_id, f"dead {k}", set()) is not None
        fail_stale(storage, study, grace=-1)
    assert states(study) == {"FAIL": 4}
    assert [trial.user_attrs.get("retry", 0) for trial in study.trials] == [0, 1, 2, 3]


def test_a_running_trial_that_never_had_a_heartbeat_gets_one_first(storage: Storage, study: optuna.Study) -> None:
    study.ask(dict(SPACE))
    assert list(storage.ages(study._study_id).values()) == [0.0]
    assert fail_stale(storage, study) == []


def test_heartbeats_are_renewed_by_the_clock_of_the_database(url: str, storage: Storage, study: optuna.Study) -> None:
    study.set_user_attr("budget", 1)
    trial_id = storage.acquire(study._study_id, "me", set())
    assert trial_id is not None
    age_heartbeats(url)
    storage.heartbeat([trial_id])
    assert storage.ages(study._study_id)[trial_id] < 5
    assert execute(url, "SELECT count(*) FROM trial_heartbeats") == [(1,)]


def test_the_lock_is_let_go_when_its_holder_fails(storage: Storage) -> None:
    def fail() -> None:
        with storage.lock("study"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with storage.lock("study"):
        pass


def test_the_tables_are_optunas_own(url: str, study: optuna.Study) -> None:
    plain = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
    again = optuna.load_study(study_name="study", storage=plain)
    again.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    plain.engine.dispose()
    assert states(study) == {"COMPLETE": 2}


def test_a_file_that_another_process_holds_only_delays(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study = optuna.create_study(study_name="study", storage=storage.optuna)
    study.set_user_attr("budget", 1)
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    claim = threading.Thread(target=storage.acquire, args=(study._study_id, "me", set()))
    claim.start()
    claim.join(0.5)
    assert claim.is_alive()
    other.execute("COMMIT")
    claim.join(30)
    assert states(study) == {"RUNNING": 1}
    other.close()


def locked() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))


def test_patience_says_once_that_the_database_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = iter([locked(), locked(), locked(), "there"])

    def ask() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    retry = Retry("the place", seconds=60)
    assert retry(ask) == "there"
    assert [record.message.split(" (")[0].split(" after")[0] for record in caplog.records] == [
        "the place is away",
        "the place is back",
    ]
    assert retry.returned > 0


@pytest.mark.parametrize("hurried", [False, True])
def test_patience_runs_out(hurried: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.store.retry.HASTY_SECONDS", 0.2)

    def ask() -> None:
        raise locked()

    retry = Retry("the place", seconds=1e6 if hurried else 0.2, stop=lambda: hurried)
    with pytest.raises(StorageError, match=r"^the place has been away for 0 s \(database is locked\); nothing"):
        retry(ask)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (locked(), True),
        (sa.exc.OperationalError("", {}, sqlite3.OperationalError("database or disk is full")), False),
        (sa.exc.OperationalError("", {}, sqlite3.OperationalError("attempt to write a readonly database")), False),
        (sa.exc.PendingRollbackError("the connection broke"), True),
        (sa.exc.IntegrityError("", {}, sqlite3.IntegrityError("UNIQUE constraint failed")), False),
    ],
)
def test_only_what_may_pass_by_itself_is_waited_for(error: Exception, away: bool) -> None:
    wrapped = optuna.exceptions.StorageInternalError("Optuna says nothing")
    wrapped.__cause__ = error
    assert is_away(error) is is_away(wrapped) is away
    assert reason(error) == reason(wrapped)
    assert "\n" not in reason(error)


def test_a_network_file_system_is_told_from_a_local_one() -> None:
    mounts = "/dev/sda1 / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\ntmpfs /home/me/my\\040disk tmpfs rw 0 0\n"
    assert filesystem(Path("/tmp/study.db"), mounts) == "ext4"
    assert filesystem(Path("/home/me/study.db"), mounts) == "nfs4"
    assert filesystem(Path("/home/me/my disk/study.db"), mounts) == "tmpfs"
    assert filesystem(Path("/homes/study.db"), mounts) == "ext4"
    assert filesystem(Path("/x"), "") == ""


def test_sqlite_on_a_network_file_system_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("search.store.storage.filesystem", lambda _path, _mounts: "nfs4")
    open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    assert "use PostgreSQL" in caplog.text


def test_json_of_every_kind_survives(storage: Storage, study: optuna.Study) -> None:
    attrs = {"text": "ü'\"\\\n", "nested": {"a": [1, 2.5, None, False]}, "big": 2**53, "empty": {}}
    trial = study.ask(dict(SPACE))
    storage.end(trial._trial_id, "COMPLETE", [1.0], attrs)
    assert study.trials[0].user_attrs == json.loads(json.dumps(attrs))
