"""What mattered to a search and what going on may gain, where people meet it."""

from pathlib import Path

import pytest

from search import report, run
from search.results.influence import influence_sentences
from search.results.notes import publish_all
from search.store.state import read_state
from search.store.storage import open_storage
from search.store.study import load_study
from search.verdict.boundary import FIRST
from studies.optuna_private import note_of, storage_of, study_key
from tests.support.commands import call, said
from tests.support.own_study import written

NAME, TRIALS = "digits-study", 18


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a study's file and its database, searched and confirmed."""
    path = tmp_path_factory.mktemp("influence")
    options = [f"--trials={TRIALS}", f"--storage=sqlite:///{path}/study.db", f"--confirm-seeds={FIRST}"]
    assert call(run.main, written(path, "epochs=6", "epochs=3"), *options) == 0
    return path


def test_it_is_in_the_summary_the_json_the_note_the_page_and_the_dashboard(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{directory}/study.db"
    again = [directory / "digits_study.py", f"--trials={TRIALS}", f"--storage={url}", "--confirm-seeds=0"]
    assert call(run.main, *again) == 0
    shown = capsys.readouterr().out
    document = said(run.main, capsys, *again)
    study = load_study(open_storage(url, create=False), NAME)
    mattered, gained = influence_sentences(read_state(open_storage(url, create=False), study))
    assert document["expected_gain"]["sentence"] == gained
    assert document["expected_gain"]["trials"] == TRIALS
    assert {each["parameter"] for each in document["importances"]} == {"units", "dropout", "lr"}
    publish_all(open_storage(url, create=False), study)
    attrs = storage_of(study).get_study_system_attrs(study_key(study))
    note, page = note_of(attrs, None)[0], directory / "page.html"
    said(report.main, capsys, f"--storage={url}", f"--study={NAME}", f"--html={page}")
    for line in (mattered, gained):
        assert line in shown
        assert f"{line[0].upper()}{line[1:]}." in note
        assert line in page.read_text(encoding="utf-8")
    for k in (1, 2, 3):
        assert f'data-plot="search-influence-{k}"' in page.read_text(encoding="utf-8")
        assert any(f"search-influence-{k}" in name for name in attrs)
