"""The report: what it says in the terminal, as JSON and as a page, and what it says when there is nothing to say."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from search.report import main
from search.results.page import page
from search.store.study import open_study
from search.verdict.confirmation import confirm, open_confirmation
from search.verdict.findings import Findings, findings
from studies.sweet_spot import sweet_spot
from tests.support.tiny_study import (
    EPOCHS,
    SEEDS,
    confirmed_at,
    confirmed_once,
    copy_of,
    quiet,
    search_at,
    storage_at,
    tiny_mnist,
    url_of,
)

IDS = ["too-few-struggles", "too-many-slower", "too-many-memorizes", "25-just-right"]
NASTY = "a</script><script>alert(1)</script>&<b>"


@pytest.fixture(scope="module")
def confirmed_file() -> Path:
    return confirmed_once()


@pytest.fixture(scope="module")
def found(confirmed_file) -> Findings:
    return findings(storage_at(confirmed_file), "sweet-spot")


@pytest.fixture(scope="module")
def text(found) -> str:
    return page(found)


def report(path: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["--storage", url_of(path), *options])
    return int(end.value.code or 0)


class Tags(HTMLParser):
    """Collects what a page would load, its ids and its figures, and whether its elements are closed."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.plots: list[dict[str, str | None]] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [given[name] for name in ("src", "href", "srcset", "data", "action") if given.get(name)]
        if given.get("class") == "plot":
            self.plots.append(given)
        self.links.add(given.get("id") or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


def test_json_has_the_promised_shape(confirmed_file, capsys):
    assert report(confirmed_file, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["claims", "widths", "winner", "baseline", "confirmation"]
    assert [claim["id"] for claim in document["claims"]] == IDS
    for claim in document["claims"]:
        assert list(claim) == ["id", "statement", "verdict", "effect", "ci95", "n", "method", "sentence"]
        assert claim["verdict"] in ("supported", "refuted", "undecided")
        assert isinstance(claim["effect"], float)
        assert len(claim["ci95"]) == 2
    assert [claim["n"] for claim in document["claims"]] == [SEEDS, 7, SEEDS, SEEDS]
    assert {width["protocol"] for width in document["widths"]} == {"article-lr", "best-lr"}
    assert {10, 25, 100} <= {width["width"] for width in document["widths"]}


def test_json_names_winner_and_baseline_with_both_figures(confirmed_file, capsys):
    report(confirmed_file, "--json")
    document = json.loads(capsys.readouterr().out)
    best = max((t for t in search(confirmed_file).get_trials() if t.state.name == "COMPLETE"), key=lambda t: t.value)
    assert document["winner"]["search_accuracy"] == best.value
    assert document["winner"]["params"] == best.params
    assert document["baseline"]["params"] == {"hidden_units": 25, "lr": 0.02}
    for role in ("winner", "baseline"):
        for figure in ("validation_accuracy", "test_accuracy"):
            spread = document[role][figure]
            assert spread["n"] == len(spread["values"]) == SEEDS
            assert spread["ci95"][0] <= spread["mean"] <= spread["ci95"][1]


def search(path: Path):
    return open_study(storage_at(path), sweet_spot("sweet-spot", EPOCHS)).study


def test_the_terminal_shows_claims_curve_and_the_confirmed_winner(confirmed_file, capsys):
    assert report(confirmed_file) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"(?:supported|refuted|undecided) +([\w-]+)\n", shown) == IDS
    assert len(re.findall(r"^ +\d+ +\d+\.\d\d% .*●", shown, re.MULTILINE)) >= 12
    assert re.search(r"^winner +\d+ +\d+ .*%.*%", shown, re.MULTILINE)
    assert f"{SEEDS} fresh seeds, 2 epochs (the article trains 100)" in shown
    assert "--confirm-seeds 20 --confirm-epochs 100" in shown


def test_a_report_trains_and_changes_nothing(confirmed_file, capsys):
    before = search(confirmed_file).get_trials()
    assert report(confirmed_file) == 0
    assert search(confirmed_file).get_trials() == before


def test_the_page_loads_nothing_and_is_well_formed(text):
    tags = parsed(text)
    assert tags.loads == ["data:,"]
    assert "@import" not in text.split("<body>")[0]
    assert "url(" not in text.split("<body>")[0]


def test_the_page_shows_every_claim_with_words_beside_colours(text):
    assert set(IDS) <= parsed(text).links
    badges = re.findall(r'class="badge (\w+)">(.) (\w+)<', text)
    assert len(badges) == len(IDS)
    assert all(style == word for style, _, word in badges)


def test_every_figure_has_an_alternative_and_its_numbers(text):
    tags = parsed(text)
    assert {plot["id"] for plot in tags.plots} == {"accuracy", "curves", "gap", "growth", "cost", "search"}
    assert all(plot["role"] == "img" and len(plot["aria-label"] or "") > 40 for plot in tags.plots)
    assert text.count("the numbers of this figure") == len(tags.plots)


def test_the_page_says_how_to_make_it_again(text):
    assert f"--trials 4 --epochs 2 --seed 7 --confirm-seeds {SEEDS} --confirm-epochs 2" in text


def test_every_seed_is_a_dot(text, found):
    stored = re.search(r'data-plot="accuracy">(.*?)</script>', text)
    assert stored
    plot = json.loads(stored[1])
    dots = [trace for trace in plot["data"] if trace.get("mode") == "markers"]
    assert sum(len(trace["y"]) for trace in dots) == SEEDS * len(found.plan.arms)


def test_names_are_escaped_and_one_seed_is_enough_for_a_page(tmp_path):
    path = tmp_path / "s.db"
    confirmed_at(path, 1, NASTY)
    found = findings(storage_at(path), NASTY)
    assert [claim.verdict for claim in found.verdict.claims if claim.id != "too-many-slower"] == ["undecided"] * 3
    text = page(found)
    assert "alert(1)</script>" not in text
    assert "a&lt;/script&gt;&lt;script&gt;alert(1)" in text
    parsed(text)


def test_html_is_written_where_asked(confirmed_file, tmp_path, capsys):
    assert report(confirmed_file, "--html", str(tmp_path / "r.html"), "--json") == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    json.loads(capsys.readouterr().out)  # the note about the file goes elsewhere
    assert report(confirmed_file, "--html", str(tmp_path / "no" / "r.html")) == 2
    assert "there is no directory" in capsys.readouterr().err


def says(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a report that has nothing to report."""
    assert report(path) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


def test_nothing_to_report_is_one_line(tmp_path, capsys):
    assert "no database" in says(tmp_path / "no.db", capsys)
    assert not (tmp_path / "no.db").exists()
    store = search_at(tmp_path / "s.db")
    assert "no confirmation yet" in says(tmp_path / "s.db", capsys)
    half = open_confirmation(store, 1, EPOCHS)
    assert "runs are open" in says(tmp_path / "s.db", capsys)
    confirm(half, tiny_mnist(), 512, quiet, lambda: half.counts().finished > 0)
    assert re.search(r"is not finished: (\d+) of (?!\1 )\d+ runs are open", says(tmp_path / "s.db", capsys))


def test_a_longer_search_confirms_its_new_plan(confirmed_file, tmp_path):
    path = copy_of(confirmed_file, tmp_path)
    store = search_at(path, trials=8)
    again = open_confirmation(store, SEEDS, EPOCHS)
    confirm(again, tiny_mnist(), 512, quiet, lambda: False)
    found = findings(store.storage, "sweet-spot")
    assert found.plan.finished == 8
    assert all(len(found.of(arm)) == SEEDS for arm in found.plan.arms)
