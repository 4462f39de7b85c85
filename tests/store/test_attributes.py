"""Whatever somebody has written into the attributes of a study, every command says so in a line."""

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search import best, report, run, status
from search.best import _table
from search.errors import NotFoundError, StoredError, StudyMismatchError, SweetspotError
from search.results.display import Display
from search.results.progress import progress
from search.results.summary import curve_text, table, width_curve
from search.store.attributes import STUDY, TRIAL, check_study
from search.store.state import read_state
from search.store.storage import Storage
from search.store.study import load_study, open_study
from search.store.trials import trial_json
from search.training.replay import finished_trial
from search.verdict.findings import document, findings
from studies.sweet_spot import sweet_spot
from tests.support.tiny_study import EPOCHS, confirmed_once, copy_of, storage_at

fuzz = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NO_JSON = ("", "{", "nul", "'x'")
KINDS = [("study_user_attributes", key) for key in STUDY] + [("trial_user_attributes", key) for key in TRIAL]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return copy_of(confirmed_once(), tmp_path)


def put(database: Path, table: str, key: str, text: str) -> None:
    """Write the first attribute of that name."""
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        first = f"SELECT min(rowid) FROM {table} WHERE key = ?"
        connection.execute(f"UPDATE {table} SET value_json = ? WHERE rowid = ({first})", [text, key])


def stored_in(database: Path, table: str, key: str) -> str:
    """The first attribute of that name, as text."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"SELECT value_json FROM {table} WHERE key = ? ORDER BY rowid", [key]).fetchone()
    return found[0] if found else "null"


def first_to_end(database: Path) -> int:
    """The number of the trial whose attributes `put` changes."""
    ended = "SELECT number FROM trials JOIN trial_user_attributes a USING (trial_id) WHERE key = 'parameters' "
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"{ended} ORDER BY a.rowid").fetchone()[0])


def read_all(storage: Storage) -> None:
    """Do what the commands do with what is stored."""
    study = load_study(storage, "sweet-spot")
    found = read_state(storage, study)
    json.dumps([trial_json(trial, found.ends) for trial in study.get_trials()])
    _table(found.ranked, found)
    shown = Display.of(study.user_attrs)
    table(*found.ranked[:2], shown)
    curve_text(width_curve(found.finished, shown), shown)
    for trial in study.get_trials():
        with suppress(NotFoundError):
            finished_trial(study, trial.number)
    json.dumps(progress(storage, study))
    json.dumps(document(findings(storage, "sweet-spot")))


def test_what_we_write_ourselves_passes(database: Path) -> None:
    storage = storage_at(database)
    names = ("sweet-spot", "sweet-spot/confirm")
    written = {name for study in names for name in load_study(storage, study).user_attrs}
    trials = [trial for study in names for trial in load_study(storage, study).get_trials()]
    assert {"fingerprint", "plan", "timing", "confirmation"} <= written
    assert {"gap_by_epoch", "init_seed", "test_loss", "threads"} <= {
        key for trial in trials for key in trial.user_attrs
    }
    read_all(storage)


@pytest.mark.slow
@fuzz
@given(st.sampled_from(KINDS), anything)
def test_any_value_of_any_attribute_is_either_read_or_refused_in_a_line(
    database: Path, kind: tuple[str, str], value: object
) -> None:
    table, key = kind
    was = stored_in(database, table, key)
    put(database, table, key, json.dumps(value))
    with suppress(SweetspotError):
        read_all(storage_at(database))
    put(database, table, key, was)


@pytest.mark.parametrize("text", NO_JSON)
@pytest.mark.parametrize(("table", "key"), [("study_user_attributes", "seed"), ("trial_user_attributes", "epochs")])
def test_what_is_no_json_is_said_in_a_line(database: Path, table: str, key: str, text: str) -> None:
    put(database, table, key, text)
    with pytest.raises(StoredError, match="holds an attribute that is no JSON"):
        read_all(storage_at(database))


@pytest.mark.parametrize(
    ("main", "options"),
    [(best.main, []), (status.main, []), (report.main, []), (run.main, ["--trials=1", "--confirm-seeds=0"])],
)
def test_every_command_says_it_of_a_trial_that_somebody_may_work_on(
    database: Path, capsys: pytest.CaptureFixture[str], main: Any, options: list[str]
) -> None:
    put(database, "trial_user_attributes", "parameters", '"nonsense"')
    number = first_to_end(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        study = "(SELECT study_id FROM studies WHERE study_name = 'sweet-spot')"
        connection.execute(f"UPDATE trials SET state = 'WAITING' WHERE number = {number} AND study_id = {study}")
    with pytest.raises(SystemExit) as ended:
        main([*options, f"--storage=sqlite:///{database}"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 1
    assert line.startswith(
        f"error: trial {number} of study 'sweet-spot' holds parameters = 'nonsense', which sweetspot does"
    )


# Fingerprints


def leaves_of(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves_of(inner, (*path, key))]
    return [path]


FINGERPRINT = sweet_spot("any", EPOCHS).fingerprint()


@pytest.mark.parametrize("path", leaves_of(FINGERPRINT), ids="/".join)
def test_a_fingerprint_that_differs_anywhere_is_refused_by_name(database: Path, path: tuple[str, ...]) -> None:
    changed = json.loads(json.dumps(FINGERPRINT))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 12345
    put(database, "study_user_attributes", "fingerprint", json.dumps(changed))
    with pytest.raises(StudyMismatchError, match=f"has {path[0]} .*12345"):
        open_study(storage_at(database), sweet_spot("sweet-spot", EPOCHS))


def test_a_study_of_somebody_else_may_hold_what_it_likes(tmp_path: Path) -> None:
    storage = storage_at(tmp_path / "other.db")
    import optuna

    study = optuna.create_study(study_name="theirs", storage=storage.optuna)
    study.set_user_attr("seed", "none of ours")
    check_study(study)
