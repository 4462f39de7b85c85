"""Writes the parts of the documents that come from the code, so that they cannot go stale.

    python -m docs.generate            write them (make docs)
    python -m docs.generate --check    exit with 1 if one is out of date (make check)

A part lies between `<!-- generated: NAME -->` and `<!-- end: NAME -->` in a Markdown file; `PARTS` says what it holds.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("search", "model")  # where commands are, in the order they are documented
FIRST = "search.run"  # the main job
TERMINAL = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}  # the same help text whatever terminal this runs in

Parts = Mapping[str, Callable[[], str]]


def commands() -> list[str]:
    """Return the modules that `python -m` runs, the main job first."""
    runnable = [
        path.relative_to(ROOT).with_suffix("")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    ]
    names = [".".join(path.parts).removesuffix(".__main__") for path in runnable]
    return sorted(names, key=lambda name: name != FIRST)


def _with_main(name: str) -> str:
    """Return the module that `python -m NAME` runs: a package's is its `__main__`."""
    return f"{name}.__main__" if (ROOT / name.replace(".", "/")).is_dir() else name


def help_text(module: str) -> str:
    """Return what `python -m MODULE --help` prints. Raises `RuntimeError` if that fails."""
    printed = io.StringIO()
    with fixed_terminal(), redirect_stdout(printed):
        try:
            import_module(_with_main(module)).main(["--help"])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"python -m {module} --help exited with {end.code}") from end
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


@contextmanager
def fixed_terminal() -> Iterator[None]:
    """Let the environment describe `TERMINAL` for a while."""
    saved = dict(os.environ)
    os.environ.update(TERMINAL)
    os.environ.pop("FORCE_COLOR", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def command_reference() -> str:
    """Return the help of every command, a heading and a block for each."""
    return "\n\n".join(f"### `python -m {name}`\n\n```text\n{help_text(name)}\n```" for name in commands())


def measured(section: str) -> str:
    """Return what a benchmark has written into `benchmarks/RESULTS.md`."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    return text.partition(f"<!-- section: {section} -->\n")[2].partition(f"<!-- end: {section} -->")[0].strip()


PARTS: Parts = {"commands": command_reference, "scale": lambda: measured("scale")}


def rendered(text: str, parts: Parts = PARTS) -> str:
    """Return a document with every generated part renewed. Raises `KeyError` for a part that nobody generates."""
    marked = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}\n{parts[found[2]]()}\n\n{found[3]}", text)


def documents(root: Path = ROOT) -> list[Path]:
    """Return the project's Markdown files."""
    return sorted([*root.glob("*.md"), *(root / "docs").glob("*.md")])


def main(arguments: Sequence[str] | None = None, root: Path = ROOT, parts: Parts = PARTS) -> int:
    """Renew or check all documents; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Write what comes from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a part is out of date")
    check = parser.parse_args(arguments).check
    old = {path: path.read_text(encoding="utf-8") for path in documents(root)}
    stale = {path: new for path, text in old.items() if (new := rendered(text, parts)) != text}
    for path, new in stale.items():
        if not check:
            path.write_text(new, encoding="utf-8")
        print(f"{path.relative_to(root)}: {'out of date, run: make docs' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
