"""Which device the next worker gets, and several services of one command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import store_at, wait_until
from search.workers.local import next_device, sharing


@pytest.mark.parametrize(
    ("devices", "busy", "expected"),
    [
        (["cuda:0", "cuda:1"], [], "cuda:0"),
        (["cuda:0", "cuda:1"], ["cuda:0"], "cuda:1"),
        (["cuda:0", "cuda:1"], ["cuda:1"], "cuda:0"),  # its worker was killed
        (["cuda:0", "cuda:1", "cuda:0"], ["cuda:0", "cuda:1"], "cuda:0"),
        (["cuda:0", "cuda:1", "cuda:0"], ["cuda:0", "cuda:0"], "cuda:1"),
        (["cpu", "cpu"], ["cpu"], "cpu"),
    ],
)
def test_a_worker_is_started_where_one_is_missing(devices: list[str], busy: list[str], expected: str) -> None:
    assert next_device(devices, busy) == expected


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (["cuda:0", "cuda:1"], "2 workers, one on each: cuda:0, cuda:1"),
        (["cuda:0", "cuda:1", "cuda:0"], "3 workers, which share: cuda:0, cuda:1"),
        (["cpu", "cpu"], "2 workers, all on: cpu"),
    ],
)
def test_it_is_said_who_shares_what(devices: list[str], said: str) -> None:
    assert sharing(devices) == said


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="who started whom is read from Linux's /proc")
@pytest.mark.parametrize(("ended", "code"), [("command", 143), ("one", 1), ("by force", -9)])
def test_several_services_end_together(ended: str, code: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    store_at(url)
    command = [sys.executable, "-m", "search.worker", "--workers=2", "--device=cpu", "--poll=0.1", "--storage", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("2 workers, all on: cpu")
        read = iter(run.stdout)
        waiting = 0
        while waiting < 2:
            waiting += "nothing to do" in next(read)
        services = children(run.pid)
        assert len(services) == 2
        number = signal.SIGTERM if ended == "command" else signal.SIGKILL
        os.kill(services[0] if ended == "one" else run.pid, number)
        run.communicate(timeout=60)
    assert run.returncode == code
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in services), 60)
