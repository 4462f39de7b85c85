"""The article's verdict, held to what it was before claims became data: every figure, interval, correction and word.

`article/verdicts.json` has runs and what was made of them, `article/stored.json` a search and its confirmation with
made-up figures, as they were stored, and `article/document.json` and `article/shown.txt` what the report said of them.
"""

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.results.verdict_text import show
from search.verdict.evidence import Timing
from search.verdict.findings import Findings, document, findings
from search.verdict.judge import Verdict
from tests.support.made_up_runs import judged, of_width, run
from tests.support.stored_study import stored_at

HERE = Path(__file__).parent / "article"
CASES = json.loads((HERE / "verdicts.json").read_text(encoding="utf-8"))


def verdict_of(case: dict[str, Any]) -> Verdict:
    rows = [
        run(*row, {int(epoch): gap for epoch, gap in gaps.items()} if gaps else None) for *row, gaps in case["rows"]
    ]
    timings = [Timing(of_width(t["width"]), t["seconds_per_epoch"], t["flops_per_epoch"]) for t in case["timings"]]
    return judged(rows, timings, **(case["margins"] or {}))


def differences(found: Any, stored: Any, where: str = "") -> list[str]:
    """Return the places where two JSON documents differ.

    Numbers are alike when they are so to 13 digits: what `log` and `polyfit` return differs in its last bits with the
    instructions of the CPU.
    """
    if isinstance(stored, dict) and isinstance(found, dict):
        if list(stored) != list(found):
            return [f"{where}: keys {list(found)}"]
        return [line for key in stored for line in differences(found[key], stored[key], f"{where}/{key}")]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        pairs = enumerate(zip(found, stored, strict=True))
        return [line for at, (ours, theirs) in pairs for line in differences(ours, theirs, f"{where}/{at}")]
    if isinstance(stored, float) and isinstance(found, float):
        return [] if math.isclose(found, stored, rel_tol=1e-13, abs_tol=1e-16) else [f"{where}: {found!r}, {stored!r}"]
    return [] if found == stored and type(found) is type(stored) else [f"{where}: {found!r}, {stored!r}"]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Findings:
    stored = json.loads((HERE / "stored.json").read_text(encoding="utf-8"))
    storage = stored_at(tmp_path_factory.mktemp("article") / "s.db", stored)
    return findings(storage, "sweet-spot")


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_what_it_was(name):
    case, verdict = CASES[name], verdict_of(CASES[name])
    assert differences(json.loads(json.dumps(verdict.as_dict())), case["verdict"]) == []
    assert [[claim.sentence, claim.method] for claim in (*verdict.claims, *verdict.fair_claims)] == case["sentences"]


def test_the_report_of_a_stored_study_is_what_it_was(found):
    stored = json.loads((HERE / "document.json").read_text(encoding="utf-8"))
    assert differences(json.loads(json.dumps(document(found))), stored) == []


def test_the_terminal_shows_what_it_did(found):
    console = Console(file=io.StringIO(), width=120, highlight=False)
    show(found, console)
    assert console.file.getvalue() == (HERE / "shown.txt").read_text(encoding="utf-8")
