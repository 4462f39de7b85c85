"""A study of the sweet spot, begun and confirmed when it was the only one, goes on: the same report, rerun, resumed.

`before_own_studies/study.sql.gz` is its database as SQLite dumps it, `report.json` what the report said of it.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search import best, report, rerun, run, status
from tests.support.commands import said

KEPT = Path(__file__).parent / "before_own_studies"


@pytest.fixture(scope="module")
def option(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("before") / "study.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(gzip.decompress((KEPT / "study.sql.gz").read_bytes()).decode())
    return f"--storage=sqlite:///{path}"


def test_its_report_is_the_same(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """But for the last digits of a slope, which LAPACK rounds as its CPU does."""
    found = said(report.main, capsys, option)
    kept = json.loads((KEPT / "report.json").read_text(encoding="utf-8"))
    assert {**found, "widths": []} == {**kept, "widths": []}
    for ours, theirs in zip(found["widths"], kept["widths"], strict=True):
        growth = theirs.pop("gap_growth")
        assert ours.pop("gap_growth") == pytest.approx(growth, rel=1e-9)
        assert ours == theirs


def test_its_best_trial_is_told_and_trained_again(
    option: str, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = said(best.main, capsys, option)["number"]
    found = said(rerun.main, capsys, str(number), option, f"--data-dir={mnist_dir}")
    assert found["verdict"] in {"identical", "within seed noise"}  # another CPU may round otherwise
    assert found["verdict"] == "identical" or found["rounds_otherwise"]


def test_it_is_resumed(option: str, mnist_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = said(status.main, capsys, option)
    assert (before["counts"]["finished"], before["ended"]) == (5, "done")
    after = said(run.main, capsys, "--trials=6", option, f"--data-dir={mnist_dir}")
    assert after["counts"]["finished"] == 6
    assert [claim["id"] for claim in after["verdict"]["claims"]] == [
        "too-few-struggles",
        "too-many-slower",
        "too-many-memorizes",
        "25-just-right",
    ]
