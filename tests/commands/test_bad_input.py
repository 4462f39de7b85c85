"""What users get wrong: each gets one line that helps and the right exit code, and nothing is written."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest

from benchmarks.faults import Postgres, execute, store_at
from search import baseline, best, rerun, run, status, stop, worker
from search.errors import StorageError
from search.store.retry import RETRY_VARIABLE
from search.store.storage import open_storage
from search.store.url import PASSWORD, PASSWORD_FILE
from tests.support.unprivileged import unprivileged

BESIDE = (".lock", "-wal", "-shm")
MAINS = {module.__name__.split(".")[-1]: module.main for module in (baseline, best, rerun, run, status, stop, worker)}
HINT = "use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
TWO_WAYS = "the password can be read in two ways; write its @ / : # ? % as %40 %2F %3A %23 %3F %25"

LINES = [  # command line, exit code, what the line on stderr must hold
    ("run --trials 0", 2, "Invalid value for '--trials'"),
    ("run --trials -1", 2, "Invalid value for '--trials'"),
    ("run --trials 1000001", 2, "Invalid value for '--trials'"),
    ("run --trials many", 2, "Invalid value for '--trials'"),
    ("run --trials 1.5", 2, "Invalid value for '--trials'"),
    ("run --trials", 2, "Option '--trials' requires an argument."),
    ("run --epochs 0", 2, "Invalid value for '--epochs'"),
    ("run --epochs 10001", 2, "Invalid value for '--epochs'"),
    ("run --epochs ten", 2, "Invalid value for '--epochs'"),
    ("run --seed -1", 2, "Invalid value for '--seed'"),
    ("run --seed 4294967296", 2, "Invalid value for '--seed'"),
    ("run --fleet-size 15", 2, "Invalid value for '--fleet-size'"),
    ("run --fleet-size 65537", 2, "Invalid value for '--fleet-size'"),
    ("run --timeout -1", 2, "Invalid value for '--timeout'"),
    ("run --timeout soon", 2, "Invalid value for '--timeout'"),
    ("run --workers 0", 2, "Invalid value for '--workers'"),
    ("run --workers 257", 2, "Invalid value for '--workers'"),
    ("run --workers many", 2, "'many' is neither auto nor a whole number from 1 to 256"),
    ("run --device cuda:0,cuda:1", 2, "one worker trains on one device, not on 'cuda:0,cuda:1': --workers auto"),
    ("run --detach --workers auto", 2, "--detach trains nothing: leave out --workers"),
    ("worker --workers 0", 2, "Invalid value for '--workers'"),
    ("worker --device cuda:0,cuda:1", 2, "one worker trains on one device"),
    ("run --ray auto", 2, "--ray: nodes cannot share an SQLite file; use --storage postgresql://"),
    ("run --ray auto --detach", 2, "--detach trains nothing: leave out --ray"),
    ("run --ray-cpus 0", 2, "Invalid value for '--ray-cpus'"),
    ("run --ray-gpus -1", 2, "Invalid value for '--ray-gpus'"),
    ("run --ray-gpus 1", 2, "--ray-cpus and --ray-gpus say what a worker takes of a Ray cluster"),
    (
        "run --storage postgresql://me@host/db --ray auto --ray-gpus 2",
        2,
        "--ray-gpus must be at most 1, not 2: a",
    ),
    ("run --storage postgresql://me@host/db --ray auto --ray-cpus 1.5", 2, "--ray-cpus must be whole above 1, not 1.5"),
    *(
        (f"run --storage postgresql://me@host/db --ray={address}", 2, "--ray: use auto, HOST:PORT or ray://HOST:PORT")
        for address in ("", "there", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "ray://", ":6379")
    ),
    (f"run --storage postgresql://me@host/db --ray {70 * 'x'}:1", 1, "nothing answers there: "),
    ("run --storage postgresql://me@host/db --ray 127.0.0.1:1", 1, "--ray 127.0.0.1:1: nothing answers there: Conn"),
    ("run --device tpu", 2, "no device 'tpu' here; choose from: auto"),
    ("run --device cuda:99", 2, "no device 'cuda:99' here; choose from: auto"),
    ("run --device=", 2, "no device '' here; choose from: auto"),
    ("run --study=", 2, "--study must be 1 to 200 printable characters"),
    ("run --study a\nb", 2, "--study must be 1 to 200 printable characters"),
    ("run --study " + 201 * "x", 2, "--study must be 1 to 200 printable characters"),
    ("run --data-dir file.txt", 2, "file.txt"),
    ("run nosuch", 2, "cannot read nosuch: No such file or directory, and the built-in studies are sweet-spot"),
    ("baseline nosuch", 2, "the built-in studies are sweet-spot"),
    ("run --storage=", 2, "--storage is not a database URL; " + HINT),
    ("run --storage study.db", 2, "--storage is not a database URL; " + HINT),
    ("run --storage mysql://me@host/db", 2, "--storage: 'mysql' is not supported; " + HINT),
    ("run --storage redis://host", 2, "--storage: 'redis' is not supported; " + HINT),
    ("run --storage sqlite://", 2, "a study in memory would be lost at exit"),
    ("run --storage sqlite:///", 2, "a study in memory would be lost at exit"),
    ("run --storage sqlite:///:memory:", 2, "a study in memory would be lost at exit"),
    ("run --storage sqlite://study.db", 2, "an SQLite URL has three slashes"),
    ("run --storage sqlite:///study.db?mode=ro", 2, "an SQLite URL takes no options"),
    ("run --storage sqlite:///file:study.db", 2, "an SQLite URL takes no options"),
    ("run --storage sqlite+aiosqlite:///study.db", 2, "the driver of 'sqlite+aiosqlite' is not supported"),
    ("run --storage postgresql+asyncpg://host/db", 2, "the driver of 'postgresql+asyncpg' is not supported"),
    ("run --storage postgresql://me@host:port/db", 2, "--storage is not a database URL; " + HINT),
    ("run --storage postgresql://me:hush@host:port/db", 2, "--storage is not a database URL; " + HINT),
    ("run --storage postgresql://me:hush@host/db?x=a@b", 2, TWO_WAYS),
    ("run --storage postgresql://me:hu%40sh@sh@host/db", 2, TWO_WAYS),
    ("run --storage postgresql://me:hu%40sh%@host/db", 2, TWO_WAYS),
    ("run surplus", 2, "cannot read surplus: No such file or directory"),
    ("run sweet-spot surplus", 2, "Got unexpected extra argument"),
    ("run --trails 5", 2, "No such option: --trails"),
    ("best --top 0", 2, "Invalid value for '--top'"),
    ("best --top few", 2, "Invalid value for '--top'"),
    ("best surplus", 2, "Got unexpected extra argument"),
    ("best --storage nonsense", 2, "--storage is not a database URL"),
    ("best", 1, "no database at sqlite:///{here}/sweetspot.db; start a study with: python -m search.run"),
    ("best --storage sqlite:///no/such/study.db", 1, "no database at sqlite:///{here}/no/such/study.db"),
    ("best --storage sqlite:///folder", 1, "it is a directory; name a file"),
    ("best --storage sqlite:///file.txt", 1, "file is not a database; the file is something else; choose another"),
    ("best --storage sqlite:///empty.db", 1, "no study in sqlite:///{here}/empty.db; start one with"),
    ("best --storage sqlite:///foreign.db", 1, "is not a database of Optuna's: it has a table 'customers'"),
    ("best --storage sqlite:///future.db", 1, "The runtime optuna version"),
    ("best --storage sqlite:///good.db", 1, "no study 'sweet-spot' in sqlite:///{here}/good.db; there are: study"),
    ("best --storage sqlite:///good.db --study study", 1, "study 'study' has no completed trial yet"),
    ("rerun", 2, "Missing argument 'number'"),
    ("rerun -- -1", 2, "Invalid value for 'number'"),
    ("rerun first", 2, "Invalid value for 'number'"),
    ("rerun 0", 1, "no database at"),
    ("rerun 0 --device tpu", 2, "no device 'tpu' here"),
    ("rerun 7 --storage sqlite:///good.db --study study", 1, "study 'study' has no trial 7; it has 1"),
    ("rerun 0 --storage sqlite:///good.db --study study", 1, "trial 0 cannot be compared: it is WAITING"),
    ("baseline --seeds 0", 2, "Invalid value for '--seeds'"),
    ("baseline --plot picture.txt", 2, "--plot picture.txt: the name must end in .png, .pdf or .svg"),
    ("baseline --plot no/such/picture.png", 2, "there is no directory {here}/no/such"),
    ("baseline --storage mysql://host/db", 2, "--storage: 'mysql' is not supported"),
    ("status --every 0", 2, "Invalid value for '--every'"),
    ("status --watch --storage sqlite:///good.db --study study", 2, "nobody has asked for trials of study 'study'"),
    ("run --detach --workers 2", 2, "--detach trains nothing: leave out --workers, or give it to search.worker"),
    ("run --detach --device cpu", 2, "leave out --device"),
    ("run --detach --storage nonsense", 2, "--storage is not a database URL; " + HINT),
    ("run --detach --storage sqlite:///foreign.db", 1, "is not a database of Optuna's"),
    ("run --detach --storage sqlite:///good.db --study study --epochs 7", 2, "has epochs 4, you ask for 7"),
    ("stop", 2, "Missing argument 'study'"),
    ("stop study", 1, "no database at"),
    ("stop other --storage sqlite:///good.db", 1, "no study 'other' in sqlite:///{here}/good.db; there are: study"),
    ("stop study --storage sqlite:///good.db", 2, "is no search that anybody has asked trials of; nothing to stop"),
    ("worker --poll 0", 2, "Invalid value for '--poll'"),
    ("worker --device tpu", 2, "no device 'tpu' here"),
    ("worker --storage nonsense", 2, "--storage is not a database URL; " + HINT),
    ("worker --data-dir file.txt", 2, "file.txt"),
    ("status", 1, "no database at"),
    ("status --storage sqlite:///good.db --study other", 1, "no study 'other' in"),
    ("status --storage sqlite:///foreign.db", 1, "is not a database of Optuna's"),
    ("status --storage postgresql://me:hush@127.0.0.1:1/db", 1, "Connection refused"),
    ("status --storage postgres://me:hush@no.such.host.invalid/db", 1, "no.such.host.invalid"),
    ("status --storage postgresql://me:hush@127.0.0.1:99999/db", 1, "99999"),
    ("status --storage postgresql://me:hush@127.0.0.1:1/db?nonsense=1", 1, "nonsense"),
]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no study of ours, and one that is."""
    here = tmp_path_factory.mktemp("states")
    (here / "folder").mkdir()
    (here / "empty.db").touch()
    (here / "file.txt").write_text("not a database, however long it is\n" * 10, encoding="utf-8")
    execute(f"sqlite:///{here}/foreign.db", "CREATE TABLE customers (name TEXT)")
    store_at(f"sqlite:///{here}/good.db").storage.engine.dispose()
    shutil.copy(here / "good.db", here / "future.db")
    execute(f"sqlite:///{here}/future.db", "UPDATE alembic_version SET version_num = 'v99.0.0'")
    return here


@pytest.fixture
def here(states: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of them, as the current directory."""
    shutil.copytree(states, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    for name in ("SWEETSPOT_STORAGE", PASSWORD, PASSWORD_FILE, RETRY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "here"


def listing(directory: Path) -> dict[str, object]:
    """Every file with its content; what SQLite keeps beside a file that is open is no file of the user's."""
    kept = [path for path in sorted(directory.rglob("*")) if path.is_file() and not path.name.endswith(BESIDE)]
    return {str(path): dump(path) if path.suffix == ".db" else path.read_bytes() for path in kept}


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def call(line: str) -> int:
    command, *arguments = line.split(" ")
    with pytest.raises(SystemExit) as end:
        MAINS[command](arguments)
    return int(end.value.code or 0)


@pytest.mark.parametrize(("line", "code", "said"), LINES, ids=[line[:60] for line, *_ in LINES])
def test_a_bad_command_line(line: str, code: int, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = listing(here)
    assert call(line) == code
    printed = capsys.readouterr()
    errors = [text for text in printed.err.splitlines() if text.startswith("error: ")]
    assert len(errors) == 1, printed.err
    assert said.format(here=here) in errors[0]
    assert "hush" not in printed.out + printed.err
    assert "Traceback" not in printed.err
    assert listing(here) == before


ENVIRONMENTS = [
    ({"SWEETSPOT_STORAGE": "nonsense"}, "best", 2, "--storage is not a database URL"),
    ({"SWEETSPOT_STORAGE": "sqlite:///foreign.db"}, "best", 1, "is not a database of Optuna's"),
    (
        {"SWEETSPOT_STORAGE": "postgresql://me:hush@127.0.0.1:1/db"},
        "status",
        1,
        "postgresql+psycopg://me:***@127.0.0.1:1/db",
    ),
    ({PASSWORD_FILE: "no such file"}, "best --storage postgresql://h/db", 2, "cannot read no such file: No such file"),
    ({PASSWORD_FILE: "folder"}, "best --storage postgresql://h/db", 2, "cannot read folder: Is a directory"),
    ({PASSWORD_FILE: "good.db"}, "best --storage postgresql://h/db", 2, "cannot read good.db: it is not text"),
    ({PASSWORD: "hush"}, "status --storage postgresql://me@127.0.0.1:1/db", 1, "me:***@127.0.0.1:1/db"),
    (
        {RETRY_VARIABLE: "long"},
        "best --storage sqlite:///good.db",
        2,
        f"{RETRY_VARIABLE} must be a number of seconds, not 'long'",
    ),
    ({RETRY_VARIABLE: "-1"}, "best --storage sqlite:///good.db", 2, "must be a number of seconds"),
    ({RETRY_VARIABLE: "inf"}, "best --storage sqlite:///good.db", 2, "must be a number of seconds"),
    ({RETRY_VARIABLE: "nan"}, "best --storage sqlite:///good.db", 2, "must be a number of seconds"),
    ({"SWEETSPOT_DATA": "file.txt"}, "run", 2, "file.txt"),
]


@pytest.mark.parametrize(("environment", "line", "code", "said"), ENVIRONMENTS)
def test_a_bad_environment(  # noqa: PLR0917  # fixtures
    environment: dict[str, str],
    line: str,
    code: int,
    said: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = listing(here)
    assert call(line) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("error: ") == 1
    assert "hush" not in printed.out + printed.err
    assert listing(here) == before


def test_a_password_on_the_command_line_is_warned_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status --storage postgresql://me:hush@127.0.0.1:1/db") == 1
    assert "warning: others see the password in --storage" in capsys.readouterr().err


@contextmanager
def read_only(here: Path, *, folder: bool) -> Iterator[Path]:
    """A study that nobody may write to; not among pytest's directories, which others may not enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as shared:
        path = Path(shared) / "good.db"
        shutil.copy(here / "good.db", path)
        path.chmod(0o444)
        path.parent.chmod(0o555 if folder else 0o777)
        with unprivileged():
            yield path
        path.parent.chmod(0o755)


def test_a_read_only_file_can_be_read_and_says_why_it_cannot_be_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with read_only(here, folder=False) as path:
        assert call(f"best --study study --storage sqlite:///{path}") == 1
        assert "study 'study' has no completed trial yet" in capsys.readouterr().err
        with pytest.raises(StorageError, match="the file or its directory may not be written to"):
            store_at(f"sqlite:///{path}")


def test_a_read_only_directory_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with read_only(here, folder=True) as path:
        assert call(f"best --study study --storage sqlite:///{path}") == 1
        assert f"error: cannot use sqlite:///{path}: " in capsys.readouterr().err


def test_states_of_a_postgresql_database(postgres: Postgres, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(f"status --storage {postgres.url('nowhere')}") == 1
    assert 'database "nowhere" does not exist' in capsys.readouterr().err
    empty = postgres.fresh()
    assert call(f"status --storage {empty}") == 1
    assert "no study in" in capsys.readouterr().err
    execute(empty, "CREATE TABLE customers (name TEXT)")
    assert call(f"status --storage {empty}") == 1
    assert "is not a database of Optuna's: it has a table 'customers'" in capsys.readouterr().err
    assert execute(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


def test_a_foreign_database_gets_no_tables_when_a_study_is_to_be_made(
    here: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"run --trials 1 --storage sqlite:///foreign.db --data-dir {mnist_dir}") == 1
    assert "is not a database of Optuna's" in capsys.readouterr().err
    assert dump(here / "foreign.db") == ["BEGIN TRANSACTION;", "CREATE TABLE customers (name TEXT);", "COMMIT;"]


def test_a_schema_that_was_half_made_is_completed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    execute(
        url, "CREATE TABLE studies (study_id INTEGER NOT NULL PRIMARY KEY, study_name VARCHAR(512) NOT NULL UNIQUE)"
    )
    assert store_at(url).counts().waiting == 1


def test_options_that_contradict_the_stored_study_are_refused(
    here: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = f"run --trials 1 --study study --storage sqlite:///good.db --data-dir {mnist_dir}"
    assert call(f"{common} --epochs 7") == 2
    assert "error: study 'study' has epochs 4, you ask for 7; choose another --study name" in capsys.readouterr().err
    assert call(f"{common} --seed 7") == 2
    assert "error: study 'study' has seed 0, you ask for 7" in capsys.readouterr().err
    storage = open_storage("sqlite:///good.db", create=False)
    theirs = optuna.create_study(study_name="theirs", storage=storage.optuna)
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    assert call(f"{common.replace('--study study', '--study theirs')}") == 2
    assert "error: study 'theirs' was not made by sweetspot" in capsys.readouterr().err
