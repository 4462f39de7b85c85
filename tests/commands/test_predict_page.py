"""The page of a prediction: what it says, where it may be written, and that a real browser shows it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from model.data.samples import Parts
from search.predict import main
from search.store.study import open_study
from search.training.artifacts import Artifacts, artifact_dir
from search.training.display import Lines
from search.training.engine import Engine
from studies.sweet_spot import sweet_spot
from tests.support.browser import SIZES, chromium, needs_chromium, screenshot, watched
from tests.support.photographs import photograph
from tests.support.tiny_study import CAPACITY, quiet, storage_at, tiny_mnist, url_of

NASTY = "a<b>&'\"\udcff.jpg"  # with a byte that is no text
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PIXELS = """() => {
  const image = document.querySelector("img.seen"), canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, k) => k % 4 === 0);
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small search whose weights were kept."""
    path = tmp_path_factory.mktemp("predict") / "s.db"
    storage = storage_at(path)
    store = open_study(storage, sweet_spot("sweet-spot", 2), 7)
    store.set_budget(2)
    kept = Artifacts(storage, store.study, artifact_dir(storage)).keep
    Engine(store, tiny_mnist(), CAPACITY, Lines(store, 2, quiet), kept).search(lambda: False)
    return url_of(path)


@pytest.fixture(scope="module")
def image(mnist: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph with a name that is to be escaped."""
    path = tmp_path_factory.mktemp("photograph") / NASTY
    path.write_bytes(photograph([mnist.test.pixels[0].view(28, 28).numpy()], np.random.default_rng(0)))
    return path


def predict(url: str, image: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(image), "--storage", url, *options])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def written(url: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, dict[str, Any]]:
    """The page, and the same as JSON."""
    path = tmp_path / "answer.html"
    assert predict(url, image, "--html", str(path), "--json") == 0
    return path, json.loads(capsys.readouterr().out)  # the note about the file goes elsewhere


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_a_browser_shows_what_the_network_saw_and_said(
    size: str, scheme: Any, browser: Browser, written: tuple[Path, dict[str, Any]]
) -> None:
    path, document = written
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    trouble, requests = watched(tab), list[str]()
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(path.as_uri())
    assert tab.evaluate(PIXELS) == [value for row in document["seen"] for value in row]
    assert tab.locator("h1").inner_text().startswith(f"{document['digit']}, ")
    shown = [float(text.removesuffix(" %")) for text in tab.locator(".bars .number").all_inner_texts()]
    assert shown == pytest.approx([100 * each for each in document["probabilities"]], abs=0.051)
    wide = tab.evaluate("[...document.querySelectorAll('.bar')].map((bar) => bar.getBoundingClientRect().width)")
    assert int(np.argmax(wide)) == document["digit"]
    assert document["weights"] in tab.locator("main").inner_text()
    assert all(tab.evaluate("[...document.images].map((one) => one.naturalWidth > 0 && one.alt !== '')"))
    assert tab.evaluate("document.images[0].alt").startswith("a<b>&'\"")
    assert [one for one in requests if not one.startswith(("file:", "data:"))] == trouble == []
    assert tab.evaluate(OVERFLOW) <= 0, "the page scrolls sideways"
    assert screenshot(tab, f"predict-{size}-{scheme}").stat().st_size > 10_000
    context.close()


def test_a_name_is_escaped_and_the_page_is_small(written: tuple[Path, dict[str, Any]]) -> None:
    text = written[0].read_text(encoding="utf-8")
    assert "a&lt;b&gt;&amp;" in text
    assert "<b>" not in text
    assert len(text) < 100_000


def test_a_page_that_cannot_be_written_is_one_line_and_exit_code_2(
    url: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, long = image.read_bytes(), tmp_path / ("x" * 300)
    places = {
        tmp_path: "is a directory",
        tmp_path / "no" / "a.html": "there is no directory",
        image: "is the picture itself",
    }
    for place, words in {**places, long: "File name too long"}.items():
        assert predict(url, image, "--html", str(place)) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert image.read_bytes() == before
