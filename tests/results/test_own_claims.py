"""What is shown of a study with claims of its own: the terminal, JSON, figures, page and note."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.results.notes import publish_all
from search.results.page import command, page
from search.results.search_figures import search_figures
from search.results.summary import summary
from search.results.verdict_figures import verdict_figures
from search.results.verdict_text import more_command, published_command, show
from search.store.study import load_study
from search.verdict.findings import Findings, document, findings
from studies.asked import Asked
from studies.claims import ACCURACY, Metric
from studies.confirmation import Plan
from tests.support.browser import chromium, needs_chromium, screenshot, watched
from tests.support.own_claims import asked, mixed, own_study_at

LOSS = Metric("validation loss", "minimize", fraction=False)


def stored(path: Path, own: Asked) -> Findings:
    """Store a study with these claims, read it and publish it."""
    storage = own_study_at(path, own)
    found = findings(storage, "sweet-spot")
    publish_all(storage, load_study(storage, "sweet-spot"), found)
    return found


@pytest.fixture(scope="module", params=["tuned", "stated", "loss"])
def found(request, tmp_path_factory) -> Findings:
    metric = LOSS if request.param == "loss" else ACCURACY
    own = asked(() if request.param == "stated" else ("lr",), metric)
    return stored(tmp_path_factory.mktemp("own") / "s.db", own)


def test_the_plan_survives_json(found):
    assert Plan.of(json.loads(json.dumps(found.plan.as_dict()))) == found.plan
    assert [arm.role for arm in found.plan.arms if arm.role] == ["baseline", "winner"]
    assert all(found.of(arm) for arm in found.plan.arms)


def test_json_holds_every_claim_and_arm(found):
    told = json.loads(json.dumps(document(found), allow_nan=False))
    assert list(told) == ["claims", "arms", "winner", "baseline"]
    assert [claim["id"] for claim in told["claims"]] == [claim.id for claim in found.asked.claims]
    assert {arm["protocol"] for arm in told["arms"]} == set(found.asked.protocols.names)
    assert told["winner"]["params"] == {"hidden_units": 78, "lr": pytest.approx(0.0021380633)}
    assert told["winner"][f"validation_{found.asked.metric.short}"]["n"] == 5


def test_the_terminal_names_every_claim_and_nothing_of_the_article(found):
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show(found, console)
    text = console.file.getvalue()
    assert all(claim.id in text for claim in found.asked.claims)
    assert text.count("●") == len(found.verdict.arms)
    assert not any(word in text for word in ("article", "width", "MNIST", "0.02000"))
    assert ("points" in text, "%" in text.replace("95 %", "")) == (found.asked.metric.fraction,) * 2


def test_every_figure_has_words_and_numbers(found):
    pictures = [*verdict_figures(found), *search_figures(found.search)]
    assert [picture.name for picture in pictures][:6] == ["accuracy", "curves", "gap", "growth", "cost", "search"]
    for picture in pictures:
        assert picture.rows
        assert all(len(row) == len(picture.head) for row in picture.rows), picture.name
        assert len(picture.alt) > 30
        assert "article" not in picture.alt + picture.caption + picture.title


def test_settings_on_one_line_are_drawn_over_its_parameter(found):
    means = next(picture for picture in verdict_figures(found) if picture.name == "accuracy").plot.data[1]
    assert list(means.x) == sorted(means.x)
    assert means.mode == "lines+markers"


def test_a_sweet_spot_has_a_curve_of_its_own_where_other_settings_are_claimed_about(tmp_path):
    found = stored(tmp_path / "s.db", mixed())
    pictures = {picture.name: picture for picture in verdict_figures(found)}
    assert list(pictures)[:2] == ["accuracy", "spot-0"]
    alone, line = pictures["accuracy"].plot, pictures["spot-0"].plot
    assert alone.data[1].mode == "markers"
    assert len(alone.data[1].x) == 5  # 10, 25, 64 and the winner's 78 units, and 64 at another lr
    assert len(alone.layout.xaxis.ticktext) == len(set(alone.layout.xaxis.ticktext)) == 5
    assert list(line.data[1].customdata) == [f"hidden_units={width}, lr=0.02" for width in (10, 25, 64, 78)]
    assert "spot-0" in page(found)


def test_the_page_shows_every_claim(found):
    text = page(found)
    assert all(f'id="{claim.id}"' in text for claim in found.asked.claims)
    assert "Of 5 claims, " in text
    words = text.split("<script type=")[0] + text.split("<h2>How it was decided")[1].split("<script>")[0]
    assert not any(word in words for word in ("The article", "article's", "MNIST", "widths"))


def test_the_summary_names_the_curve_after_no_width(found):
    told = summary(found.search)
    assert "values" in told
    assert sum(part["trials"] for part in told["values"]) == 3
    assert not any(math.isnan(part["low"]) for part in told["values"])


@needs_chromium
def test_the_page_is_drawn(found, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(found), encoding="utf-8")
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        trouble = watched(tab)
        tab.goto(path.as_uri())
        tab.wait_for_function("document.querySelectorAll('.plot .main-svg').length >= 6")
        assert trouble == []
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        screenshot(tab, "report-own-claims")


@pytest.mark.parametrize(
    ("attributes", "question"),
    [({}, ""), ({"built_in": "dropout"}, " dropout"), ({"study_file": {"name": "my own.py"}}, " 'my own.py'")],
)
def test_every_command_that_goes_on_with_a_study_names_its_question(
    attributes: dict[str, Any], question: str, tmp_path: Path
) -> None:
    """Without it the command would ask the default question under the name of another."""
    found = findings(own_study_at(tmp_path / "s.db", asked((), ACCURACY)), "sweet-spot")
    kept = {name: value for name, value in found.search.attributes.items() if name not in {"built_in", "study_file"}}
    found = replace(found, search=replace(found.search, attributes={**kept, **attributes}))
    for told in (command(found), more_command(found, 30), published_command(found)):
        assert told.startswith(f"python -m search.run{question} --")
