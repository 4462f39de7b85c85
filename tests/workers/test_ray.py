"""`search.run --ray`: a real Ray cluster of several nodes on this machine, one of which dies while it trains."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import CLEAN, Postgres, audit, store_at, wait_until
from search.errors import UsageError
from search.workers.ray_cluster import RayCluster
from tests.support.worker_pools import assert_stops_and_gives_back, at_work, worker_pool

SECRET = "open-sesame"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that takes no work, and two nodes with room for one worker each."""
    from ray.cluster_utils import Cluster as SeveralNodes

    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as files,
        pytest.MonkeyPatch.context() as at,
    ):
        at.setenv("RAY_USAGE_STATS_ENABLED", "0")
        at.setenv("RAY_TMPDIR", files)  # short, for its sockets; and no other's `auto`
        made = SeveralNodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            made.add_node(num_cpus=1)
        yield made
        made.shutdown()


@pytest.mark.slow
def test_a_node_is_lost_and_the_budget_comes_out_exact(
    cluster: Any, postgres: Postgres, mnist_dir: Path, tmp_path: Path
) -> None:
    """And nobody sees the password: not in arguments, not in what is printed, not in Ray's files."""
    url = postgres.fresh()
    store = store_at(url, epochs=2)
    secret = url.replace("//postgres@", f"//postgres:{SECRET}@")
    options = (f"--ray={cluster.address}", "--workers=2", "--trials=8")
    with worker_pool(secret, mnist_dir, tmp_path, *options) as run:
        wait_until(lambda: len(at_work(store)) == 2, 240)
        arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1)
        printed, _ = run.communicate(timeout=400)
    assert run.returncode == 0, printed
    assert "was killed by signal 9; another starts" in printed
    assert "8/8 trials" in printed
    assert audit(store.study.trials, 8) == CLEAN
    logs = [path for path in Path(cluster.head_node.get_logs_dir_path()).rglob("*") if path.is_file()]
    texts = [arguments, printed, *(path.read_text(errors="replace") for path in logs)]
    assert "search.run" in arguments
    assert len(logs) > 5
    assert not [text for text in texts if SECRET in text]


@pytest.mark.slow
def test_stopping_the_command_stops_its_workers_and_gives_back(
    cluster: Any, postgres: Postgres, mnist_dir: Path, tmp_path: Path
) -> None:
    """A third worker finds no room, and does not keep the command from its end."""
    url = postgres.fresh()
    store = store_at(url, epochs=2)
    options = (f"--ray={cluster.address}", "--workers=3", "--trials=1000")
    with worker_pool(url, mnist_dir, tmp_path, *options) as run:
        wait_until(lambda: len(at_work(store)) == 2, 240)
        assert_stops_and_gives_back(run, store, at_work(store), 400)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.workers.ray_cluster.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"install it with: pip install 'sweetspot\[ray\]'"):
        RayCluster("auto", 1, 0)
