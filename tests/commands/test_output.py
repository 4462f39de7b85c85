"""Whatever a command prints can be printed anywhere, and no failure to print costs a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from search.output import plain, strict_json

ENCODINGS = ["cp1252", "latin-1", "ascii"]
COMMANDS = """
import importlib, json, os, pathlib, signal, sys, threading, time
def end_the_dashboard():
    while b"dashboard at" not in pathlib.Path(sys.argv[2]).read_bytes():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
for name, *arguments in json.loads(sys.argv[1]):
    if name == "dashboard":
        threading.Thread(target=end_the_dashboard, daemon=True).start()
    try:
        importlib.import_module(f"search.{name}").main(arguments)
    except SystemExit as end:
        print(name, end.code, file=sys.stderr, flush=True)
"""


NAME = "dzień-數-é"  # none of the three has all of it


def digit_in(path: Path) -> Path:
    """Draw a one."""
    picture = Image.new("L", (28, 28))
    picture.paste(255, (12, 4, 16, 24))
    picture.save(path)
    return path


def run_all(lines: list[list[str]], output: Path, encoding: str) -> list[str]:
    """Run commands one after another in one process, their output in a file; return what they ended with."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    with output.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS, json.dumps(lines), str(output)],
            stdout=file,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stderr.decode(encoding).splitlines()


@pytest.mark.slow
def test_every_command_prints_in_every_encoding(tmp_path: Path, mnist_dir: Path) -> None:
    where = [f"--storage=sqlite:///{tmp_path}/étude.db"]
    data = [f"--data-dir={mnist_dir}", "--device=cpu"]
    run = ["run", "--trials=2", "--epochs=1", "--confirm-seeds=2", "--confirm-epochs=1", *where, *data]
    reads = [["best", *where], ["status", *where], ["report", *where], ["rerun", "0", *where, *data]]
    reads += [["predict", str(digit_in(tmp_path / "ziffer-é-數.png")), *where]]
    others = [["baseline", "--epochs=1", "--seeds=1", *where, *data]]
    ask = ["run", "--detach", "--trials=9", "--epochs=1000", f"--study={NAME}", *where]
    service = [ask, ["worker", "--timeout=2", *where, *data], ["stop", NAME, *where]]
    lines = [run, *reads, *others, *service, ["dashboard", "--port=0", "--no-browser", *where]]
    lines += [[*line, "--json"] for line in [run, *reads, service[-1]]]
    for encoding in ENCODINGS:
        log = tmp_path / f"{encoding}.log"
        ended = run_all(lines, log, encoding)
        names = {line[0] for line in lines}
        codes = [[line[0], "143" if line[0] == "dashboard" else "0"] for line in lines]
        assert [line.split() for line in ended if line.split()[0] in names] == codes
        printed = log.read_bytes().decode(encoding)
        for words in ("validation accuracy", "what the network saw", "is stopped", "dashboard at"):
            assert words in printed
        assert "####" in printed  # a bar, which none of the three has


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.characters())
def test_every_character_has_a_plain_form(character: str) -> None:
    assert plain(character).isascii()
    assert plain(character)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(VALUES)
def test_every_document_is_strict_json_in_ascii(document: object) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = strict_json(document)
    assert text.isascii()
    json.loads(text, parse_constant=refuse)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("output", ["/dev/full", "closed pipe", "closed"])
def test_an_output_that_is_gone_costs_nothing(output: str, tmp_path: Path, mnist_dir: Path) -> None:
    options = ["--trials=1", "--epochs=1", "--confirm-seeds=0", f"--data-dir={mnist_dir}", "--device=cpu"]
    command = [sys.executable, "-m", "search.run", *options, f"--storage=sqlite:///{tmp_path}/study.db"]
    if output == "closed":
        done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, check=False)
    elif output == "/dev/full":
        with open(output, "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    else:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
