"""The report in a real browser, from a file and without a network."""

import pytest

from search.results.page import page
from search.verdict.findings import findings
from tests.support.browser import SIZES, chromium, needs_chromium, screenshot, watched
from tests.support.tiny_study import confirmed_once, storage_at

pytestmark = needs_chromium
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(findings(storage_at(confirmed_once()), "sweet-spot")), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_report_renders_without_a_word_on_the_console(browser, report, size, scheme):
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    trouble, requests = watched(tab), []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(report.as_uri())
    tab.wait_for_function("document.querySelectorAll('.plot .main-svg').length >= 6")
    assert trouble == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert tab.evaluate(OVERFLOW) <= 0, "the page scrolls sideways"
    assert tab.locator(".plot").count() == tab.locator(".plot .plot-container").count() == 6
    assert screenshot(tab, f"report-{size}-{scheme}").stat().st_size > 50_000
    context.close()


def test_the_report_prints(browser, report):
    tab = browser.new_page(color_scheme="dark")
    trouble = watched(tab)
    tab.goto(report.as_uri())
    tab.emulate_media(media="print")
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"  # ink is dear
    assert tab.pdf().startswith(b"%PDF")
    assert trouble == []
    tab.close()


def test_pointing_at_a_figure_names_the_run(browser, report):
    tab = browser.new_page()
    tab.goto(report.as_uri())
    tab.wait_for_function("document.querySelectorAll('#accuracy .points path').length > 0")
    tab.evaluate("Plotly.Fx.hover('accuracy', [{curveNumber: 1, pointNumber: 0}])")
    assert "10 units" in (tab.locator("#accuracy .hoverlayer").text_content() or "")
    tab.close()
