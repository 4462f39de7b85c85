"""The documents say what is so: commands, options, links, files and targets that they name exist."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from setuptools import find_packages

from docs.generate import ROOT, commands, documents, help_text, main, rendered

DOCUMENTS = documents()
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SUFFIXES = {".md", ".py", ".png", ".toml", ".txt", ".yaml", ".yml"}  # a word that ends so names a file of ours
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def by_hand(text: str) -> str:
    """The text without what is generated into it."""
    return re.sub(r"<!-- generated: .*?<!-- end: [\w-]+ -->", "", text, flags=re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def exists(name: str) -> bool:
    """Whether a file or directory of the project is called so; a bare file name may lie anywhere in it."""
    if (ROOT / name).exists():
        return True
    folders = ("search", "studies", "model", "tests", "benchmarks", "docs")
    return "/" not in name and any(any((ROOT / folder).rglob(name)) for folder in folders)


def test_the_main_documents_are_there():
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= set(NAMES)


@each_document
def test_generated_parts_are_up_to_date(path):
    assert rendered(read(path)) == read(path), "run: make docs"


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_readme_and_its_help_in_the_reference(name):
    assert f"python -m {name}" in read(ROOT / "README.md")
    assert f"### `python -m {name}`\n\n```text\n{help_text(name)}\n```" in read(ROOT / "docs" / "commands.md")


def test_the_readme_is_short():
    assert len(read(ROOT / "README.md").encode()) <= 10_000


def test_the_way_of_a_trial_names_files_that_exist():
    """The drawings of ARCHITECTURE stand in fenced blocks, which other tests of names leave out."""
    blocks = re.findall(r"^```text\n(.*?)^```", read(ROOT / "ARCHITECTURE.md"), re.DOTALL | re.MULTILINE)
    named = {word for block in blocks for word in re.findall(r"(?<!\S)[\w/]+(?:/|\.py)(?!\S)", block)}
    way = {word for word in named if word.count("/") and word.endswith(".py")}
    assert {"search/run.py", "search/training/engine.py", "search/store/storage.py", "search/results/page.py"} <= way
    assert [word for word in way if not (ROOT / word).is_file()] == []
    folders = {word.strip("/") for word in named - way if word.endswith("/")}
    assert [
        word for word in folders if not any((ROOT / top / word).is_dir() for top in (".", "search", "studies", "model"))
    ] == []


@each_document
def test_links_resolve(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(path)):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(read(linked)), target


@each_document
def test_files_that_are_named_exist(path):
    words = re.findall(r"`([\w./-]+)`", prose(read(path)))
    named = [word for word in words if Path(word).suffix in SUFFIXES or (word.endswith("/") and word != "/")]
    assert [name for name in named if not exists(name)] == []


@each_document
def test_make_targets_that_are_named_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", read(path), re.MULTILINE)
    assert set(named) <= targets


@each_document
def test_commands_that_are_named_have_the_options_they_are_given(path):
    for name, rest in re.findall(r"python -m ((?:search|studies|model)\.\w+)([^`#|\n]*)", by_hand(read(path))):
        assert name in commands()
        options = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
        assert options <= set(re.findall(r"--[a-z-]+", help_text(name))), f"python -m {name}{rest}"


@each_document
def test_functions_that_are_called_exist(path):
    for module, function in re.findall(r"`((?:search|studies|model)\.\w+)\.(\w+)\(", read(path)):
        assert callable(getattr(import_module(module), function))


def test_every_command_of_the_search_is_a_script():
    ours = {f"sweetspot-{name.removeprefix('search.')}": f"{name}:main" for name in commands() if "search." in name}
    assert PYPROJECT["project"]["scripts"] == ours


def test_the_packages_are_the_directories_that_hold_code():
    found = {path.parent.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/*.py")}
    ours = {str(path).replace("/", ".") for path in found if path.parts[0] in {"search", "studies", "model"}}
    assert set(find_packages(str(ROOT), **PYPROJECT["tool"]["setuptools"]["packages"]["find"])) == ours


def test_what_is_no_code_goes_into_a_wheel_as_well():
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    named = {f"{package.replace('.', '/')}/{name}" for package, names in data.items() for name in names}
    found = {path.relative_to(ROOT) for top in ("search", "studies", "model") for path in (ROOT / top).rglob("*.*")}
    assert named == {str(path) for path in found if path.suffix not in {".py", ".pyc"}}


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text("before\n<!-- generated: greeting -->\nold\n<!-- end: greeting -->\nafter\n", encoding="utf-8")
    return path


def test_the_generator_renews_its_parts_and_nothing_else(stale, capsys):
    parts = {"greeting": lambda: r"new \1"}
    assert main([], stale.parent, parts) == 0
    assert read(stale) == "before\n<!-- generated: greeting -->\n\nnew \\1\n\n<!-- end: greeting -->\nafter\n"
    assert capsys.readouterr().out == "README.md: written\n"
    assert main(["--check"], stale.parent, parts) == 0


def test_the_check_names_a_stale_document_and_leaves_it(stale, capsys):
    old = read(stale)
    assert main(["--check"], stale.parent, {"greeting": lambda: "new"}) == 1
    assert capsys.readouterr().out == "README.md: out of date, run: make docs\n"
    assert read(stale) == old
