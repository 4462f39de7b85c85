"""The dashboard of a study, as a person meets it: in a real browser, by our command and by optuna-dashboard itself."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna_dashboard import get_note, save_note

from search.dashboard import main
from search.results.notes import publish_all, publish_run
from search.store.storage import open_storage
from search.store.study import open_study
from search.store.trials import ranking
from search.training.artifacts import Artifacts, artifact_dir
from search.training.display import Lines
from search.training.engine import Engine
from search.verdict.findings import findings
from studies.sweet_spot import sweet_spot
from tests.support.browser import chromium, needs_chromium, screenshot
from tests.support.tiny_study import (
    CAPACITY,
    EPOCHS,
    FAMILY,
    SEEDS,
    confirmed_at,
    quiet,
    search_at,
    storage_at,
    tiny_mnist,
    url_of,
)

TABLES = 15_000  # milliseconds the page has for whatever it loads


@pytest.fixture(scope="module")
def artifact_store(tmp_path_factory) -> Artifacts:
    """A search with weights, confirmed and published, as `search.run` leaves it."""
    path = tmp_path_factory.mktemp("dashboard") / "s.db"
    storage = storage_at(path)
    store = open_study(storage, sweet_spot("sweet-spot", EPOCHS), 7)
    kept = Artifacts(storage, store.study, artifact_dir(storage))
    store.set_budget(4)
    Engine(store, tiny_mnist(), CAPACITY, Lines(store, 4, quiet), kept.keep).search(lambda: False)
    confirmed_at(path)
    publish_run(kept, tiny_mnist(), FAMILY, findings(kept.storage, kept.study.study_name))
    return kept


class Server:
    """A dashboard in a process of its own."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.printed = self._until_it_listens()
        self.address = re.findall(r"http://127\.0\.0\.1:\d+", self.printed)[0]

    def _until_it_listens(self) -> str:
        assert self.process.stdout is not None
        printed = ""
        while "http://" not in printed:
            line = self.process.stdout.readline()
            assert line, printed
            printed += line
        return printed

    def stop(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.printed += self.process.communicate(timeout=30)[0]
        return self.process.returncode


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    server = Server(*command)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def ours(url: str) -> tuple[str, ...]:
    return ("-m", "search.dashboard", "--port", "0", "--no-browser", "--storage", url)


def theirs(url: str, directory: Path) -> tuple[str, ...]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    start = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    return ("-c", start, url, "--artifact-dir", str(directory), "--host", "127.0.0.1", "--port", port)


@pytest.fixture(scope="module", params=["ours", "theirs"])
def address(request, artifact_store) -> Iterator[str]:
    """Our command, and optuna-dashboard as users start it themselves: both must show the same."""
    url = url_of(Path(artifact_store.storage.url.database))
    with serving(*(ours(url) if request.param == "ours" else theirs(url, artifact_store.directory))) as server:
        yield server.address


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def tab(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(TABLES)
    yield page
    page.close()


def open_tab(tab, address, artifact_store, part=""):
    tab.goto(f"{address}/dashboard/studies/{artifact_store.study._study_id}{part}")
    tab.wait_for_load_state("networkidle")


@needs_chromium
def test_the_studies_are_listed(tab, address):
    tab.goto(f"{address}/dashboard")
    tab.get_by_text("sweet-spot/confirm").first.wait_for()
    screenshot(tab, "dashboard-studies")


@needs_chromium
def test_the_note_holds_the_verdict(tab, address, artifact_store):
    open_tab(tab, address, artifact_store, "/note")
    tab.get_by_text("Is 25 hidden units the sweet spot?").first.wait_for()
    tab.get_by_text(f"The verdict: {SEEDS} fresh seeds").first.wait_for()
    assert tab.locator("table tr").count() >= 5  # Markdown's tables are drawn as tables
    screenshot(tab, "dashboard-note")


@needs_chromium
def test_the_plots_are_among_the_studys_own(tab, address, artifact_store):
    open_tab(tab, address, artifact_store)
    for title in ("What the search tried", "Accuracy by width", "What accuracy costs", "Learning curves of the search"):
        tab.get_by_text(title, exact=True).first.wait_for(state="attached")
    screenshot(tab, "dashboard-plots")


@needs_chromium
def test_the_baseline_is_marked_and_has_its_files(tab, address, artifact_store):
    open_tab(tab, address, artifact_store, "/trials?numbers=0")
    tab.get_by_text("the article's own setting").first.wait_for()
    for name in ("weights.safetensors", "predictions-validation.png", "predictions-test.png"):
        tab.get_by_text(name).first.wait_for(state="attached")
    picture = tab.locator("img[src*='artifacts']").first
    picture.wait_for(state="attached")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    screenshot(tab, "dashboard-baseline")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(artifact_store, number):
    with serving(*ours(url_of(Path(artifact_store.storage.url.database)))) as server:
        assert server.stop(number) == 128 + number
    assert "Traceback" not in server.printed


def stops(arguments: list[str], capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, capsys.readouterr().err


def test_a_port_in_use_is_said(artifact_store, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["--port", str(port), "--no-browser", "--storage", url_of(Path(artifact_store.storage.url.database))]
        code, error = stops(options, capsys)
    assert (code, error) == (2, f"error: port {port} is in use; choose another with --port, or 0 for a free one\n")


def test_an_artifact_directory_that_is_none_is_said(artifact_store, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    url = url_of(Path(artifact_store.storage.url.database))
    code, error = stops(["--no-browser", "--storage", url, "--artifact-dir", str(tmp_path / "file")], capsys)
    assert code == 2
    assert error == f"error: --artifact-dir {tmp_path / 'file'} cannot be used: File exists; choose another\n"


def test_no_database_is_said_and_none_is_made(tmp_path, capsys):
    code, error = stops(["--storage", f"sqlite:///{tmp_path}/none.db"], capsys)
    assert code == 1
    assert error.startswith("error: no database at")
    assert list(tmp_path.iterdir()) == []


def test_publishing_again_changes_nothing(artifact_store):
    before = artifact_store.storage.optuna.get_study_system_attrs(artifact_store.study._study_id)
    publish_run(artifact_store, tiny_mnist(), FAMILY, findings(artifact_store.storage, artifact_store.study.study_name))
    assert artifact_store.storage.optuna.get_study_system_attrs(artifact_store.study._study_id) == before


def test_a_note_that_somebody_has_edited_is_left_alone(tmp_path):
    store = search_at(tmp_path / "s.db")
    publish_all(store.storage, store.study)
    assert get_note(store.study).startswith("# Is 25 hidden units the sweet spot?")
    assert "No verdict yet" in get_note(store.study)
    save_note(store.study, "my own words")
    publish_all(store.storage, store.study)
    assert get_note(store.study) == "my own words"


def test_a_study_of_others_is_served_but_not_written_to(tmp_path):
    import optuna

    storage = storage_at(tmp_path / "s.db")
    study = optuna.create_study(study_name="theirs", storage=storage.optuna)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    publish_all(storage, study)
    assert storage.optuna.get_study_system_attrs(study._study_id) == {}


def test_a_study_without_a_completed_trial_can_be_published(tmp_path):
    storage = storage_at(tmp_path / "s.db")
    store = open_study(storage, sweet_spot("sweet-spot", EPOCHS), 7)
    publish_all(storage, store.study)
    assert "No trial has been completed yet." in get_note(store.study)
    assert ranking(store.study) == []


def test_no_password_is_printed(postgres):
    url = postgres.fresh().replace("postgres@", "postgres:hunter2@", 1)
    open_study(open_storage(url, create=True), sweet_spot("sweet-spot", EPOCHS), 7)
    with serving(*ours(url)) as server:
        server.stop(signal.SIGTERM)
    assert "hunter2" in url
    assert "hunter2" not in server.printed
