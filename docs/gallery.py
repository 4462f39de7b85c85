"""Makes pictures of a finished study: `make gallery` those of the README, and of any other

    python -m docs.gallery --storage sqlite:///FILE --study NAME --out docs/gallery/NAME

Every picture is what a user sees: the terminal as Rich prints it, the dashboard and the report in a real browser, and
what the best trial predicts, gets wrong and looks for, as it lies among the artifacts.
"""

import argparse
import io
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page
from rich.console import Console

from search.cli import STORAGE, STUDY
from search.errors import NotFoundError
from search.results.page import page
from search.results.search_text import show_search
from search.results.verdict_text import show
from search.store.state import read_state
from search.store.storage import open_storage
from search.store.study import load_study
from search.store.trials import ranking
from search.training.artifacts import Artifacts, artifact_dir
from search.verdict.findings import Findings, findings
from tests.support.browser import chromium

WIDTH = 116  # columns of the terminal
PARTS = "-test", "-validation"  # of pictures' names, the one that is wanted first
# Whether a page is as high as a second ago: the dashboard draws its last plots when nothing is fetched any more.
SETTLED = "() => { const was = window.was; return (window.was = document.documentElement.scrollHeight) === was }"
DESKTOP = {"width": 1400, "height": 900}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all pictures that the study has the data for; say which."""
    parser = argparse.ArgumentParser(prog="python -m docs.gallery", description="Make the README's pictures.")
    parser.add_argument("--storage", default=STORAGE)
    parser.add_argument("--study", default=STUDY)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="directory of the pictures")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    storage = open_storage(asked.storage, create=False)
    artifact_store = Artifacts(storage, load_study(storage, asked.study), artifact_dir(storage))
    found = _findings(artifact_store)
    with chromium() as browser:
        _terminal(browser, artifact_store, found, asked.out)
        if found is not None:
            _report(browser, found, asked.out)
        _dashboard(browser, asked.storage, artifact_store, asked.out)
    _learnt(artifact_store, asked.out)
    return 0


def _findings(artifact_store: Artifacts) -> Findings | None:
    try:
        return findings(artifact_store.storage, artifact_store.study.study_name)
    except NotFoundError as error:
        print(f"no verdict to show: {error}")
        return None


def _terminal(browser: Browser, artifact_store: Artifacts, found: Findings | None, out: Path) -> None:
    console = Console(record=True, width=WIDTH, highlight=False, file=io.StringIO())
    state = read_state(artifact_store.storage, artifact_store.study)
    show_search(state, console)
    if found is not None:
        show(found, console)
    with _tab(browser) as tab:
        question = "" if state.name == STUDY else f" {state.name}"
        tab.set_content(console.export_svg(title=f"python -m search.run{question} --trials {state.budget}"))
        tab.locator("svg").first.screenshot(path=_named(out, "terminal.png"))


def _report(browser: Browser, found: Findings, out: Path) -> None:
    with TemporaryDirectory() as scratch, _tab(browser) as tab:
        path = Path(scratch) / "report.html"
        path.write_text(page(found), encoding="utf-8")
        tab.goto(path.as_uri())
        tab.wait_for_function(
            "[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg') !== null)"
        )
        tab.screenshot(path=_named(out, "report.png"))
        for plot in tab.locator("figure").all():
            name = plot.locator(".plot").first.get_attribute("id")
            plot.screenshot(path=_named(out, f"{name}.png"))


def _dashboard(browser: Browser, storage: str, artifact_store: Artifacts, out: Path) -> None:
    command = [sys.executable, "-u", "-m", "search.dashboard", "--port", "0", "--no-browser"]
    options = ["--storage", storage, "--study", artifact_store.study.study_name]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        address = next(word for word in lines[1].split() if word.startswith("http"))
        try:
            for name, part in (("dashboard-note", "/note"), ("dashboard-plots", "")):
                with _tab(browser) as tab:
                    tab.goto(address + part, wait_until="networkidle")
                    tab.wait_for_function(SETTLED, polling=1000)
                    tab.screenshot(path=_named(out, f"{name}.png"), full_page=True)
        finally:
            process.terminate()


def _learnt(artifact_store: Artifacts, out: Path) -> None:
    """Copy what lies among the artifacts of the best trial; the test pictures' where the study is confirmed."""
    best = ranking(artifact_store.study)[0]
    for name, parts in {"predictions": PARTS, "mistakes": PARTS, "filters": ("",)}.items():
        files = [file for part in parts for file in artifact_store.files(best, f"{name}{part}.png")]
        if files:
            shutil.copyfile(files[0], _named(out, f"{name}.png"))


def _tab(browser: Browser) -> Page:
    return browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]  # a plain dict will do


def _named(out: Path, name: str) -> Path:
    print(out / name)
    return out / name


if __name__ == "__main__":
    sys.exit(main())
