"""Workers on the nodes of a Ray cluster: `python -m search.run --ray ADDRESS --workers W`.

Ray finds a node for each worker and says when one is lost. An actor holds no state: it runs the command that a worker
is on any machine (`search/workers/pool.py`), and the study's truth stays in SQL. So Ray may lose any node.

Source: "Ray Core: Actors", Ray's documentation.
"""

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search import __version__
from search.errors import SearchError, UsageError
from search.store.study import StudyStore
from search.workers.local import LocalWorker, worker_environment, worker_options
from studies.built_in import DEFAULT

CONNECT_SECONDS = 10.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LOST = -signal.SIGKILL  # what is known of a worker whose node is gone
NOT_BEGUN = 128 + signal.SIGTERM  # exit code of a worker that was ended before it had begun


class WorkerActor:
    """What Ray places on a node: one worker process."""

    def __init__(self) -> None:
        self.process: Future[LocalWorker] = Future()

    def begin(self, options: Sequence[str], environment: Mapping[str, str]) -> tuple[str, str]:
        """Start the worker; return what the name of its store begins with, and the version of sweetspot here."""
        try:
            self.process.set_result(LocalWorker(options, environment))
        except OSError as error:  # `finish` waits for it
            self.process.set_exception(error)
        return self.process.result().name(), __version__

    def finish(self) -> int:
        """Wait until the worker has ended; return its exit code."""
        return self.process.result().wait()

    def terminate(self) -> None:
        """Let the worker give its trials back and end."""
        self.process.result().terminate()


class RayWorker:
    """A worker on Ray's cluster, seen from here."""

    def __init__(self, ray: Any, actor: Any, options: Sequence[str], environment: Mapping[str, str]) -> None:
        self.ray = ray
        self.actor = actor
        self.begun = actor.begin.remote(options, environment)
        self.ended = actor.finish.remote()
        self._name: str | None = None
        self._code: int | None = None

    def name(self) -> str | None:
        """Return what the name of its store begins with; None if no node has taken it yet."""
        if self._name is None and self._code is None and self._ready(self.begun):
            try:
                self._name, version = self.ray.get(self.begun)
            except self.ray.exceptions.RayError:  # `poll` finds out
                return None
            if version != __version__:
                raise SearchError(f"sweetspot is {version} on {self._name.split(':')[0]}, but {__version__} here")
        return self._name

    def poll(self) -> int | None:
        """Return its exit code if it has ended, negative if it was killed or its node is gone."""
        if self._code is None and self._ready(self.ended):
            self._code = self._result()
            self.ray.kill(self.actor)
        return self._code

    def _result(self) -> int:
        """Return how it ended. Raises `SearchError` if it could not even begin: no sweetspot on that node, say."""
        self.name()  # so that its trials can be failed
        try:
            return int(self.ray.get(self.ended))
        except self.ray.exceptions.RayError as error:
            if isinstance(error, self.ray.exceptions.RayActorError) and not getattr(error, "actor_init_failed", False):
                return LOST
            raise SearchError(
                f"a worker cannot start on its node, is sweetspot installed there? {_last_line(error)}"
            ) from None

    def terminate(self) -> None:
        """Let it give its trials back and end."""
        if self.name() is not None:
            self.actor.terminate.remote()
        elif self._code is None:
            self._code = NOT_BEGUN
            self.ray.kill(self.actor)

    def wait(self) -> None:
        """Wait until it has ended."""
        if self._code is None:
            self.ray.wait([self.ended])

    def _ready(self, reference: Any) -> bool:
        return bool(self.ray.wait([reference], timeout=0)[0])


class RayCluster:
    """A Ray cluster that is there; we start none."""

    def __init__(self, address: str, cpus: float, gpus: float) -> None:
        """Connect. Raises `UsageError` where Ray is not installed, `SearchError` where no cluster answers."""
        if find_spec("ray") is None:
            raise UsageError("--ray needs Ray; install it with: pip install 'sweetspot[ray]'")
        if cpus > 1 and not cpus.is_integer():
            raise UsageError(f"--ray-cpus must be whole above 1, not {cpus:g}: Ray shares out no more than one core")
        if gpus > 1:
            raise UsageError(
                f"--ray-gpus must be at most 1, not {gpus:g}: a worker trains on one card; --workers auto starts as "
                "many as the cluster has cards for"
            )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        endpoint = _endpoint(address)
        ray: Any = import_module("ray")  # takes seconds, and is not always there
        if endpoint and (reason := _reach(*endpoint, ray.util.get_node_ip_address())):
            raise SearchError(f"--ray {address}: nothing answers there: {reason}")
        try:
            ray.init(address, namespace="sweetspot", logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            why = "no cluster runs here; start one with: ray start --head" if endpoint is None else _last_line(error)
            raise SearchError(f"--ray {address}: {why}") from None
        self.ray = ray
        self.threads = max(1, int(cpus))
        self.gpus = gpus
        options = {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        self.actors = ray.remote(max_concurrency=3, **options)(WorkerActor)  # begin, finish, terminate

    def fitting(self) -> int:
        """Return for how many workers the cluster has GPUs; a single one where a worker asks for none."""
        return max(1, int(self.ray.cluster_resources().get("GPU", 0) / self.gpus)) if self.gpus else 1

    def device(self, asked: str) -> str:
        """Return the device that a worker is to take: Ray hides no GPU from who asked for none."""
        return "cpu" if asked == "auto" and not self.gpus else asked

    def workers(  # noqa: PLR0917
        self,
        store: StudyStore,
        device: str,
        data: Path | None,
        artifacts: Path | None,
        fleet_size: int | None,
        question: str = DEFAULT,
    ) -> Callable[[], RayWorker]:
        """Return what asks for one more worker; each node has a device, data and files of its own."""
        options = worker_options(store, self.device(device), data, artifacts, fleet_size, question)
        environment = worker_environment(store, self.threads)
        return lambda: RayWorker(self.ray, self.actors.remote(), options, environment)


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _endpoint(address: str) -> tuple[str, int] | None:
    """Return host and port of an address, None for auto. Raises `UsageError` for what is no address."""
    if address == "auto":
        return None
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal() and int(port) <= 65_535):
        raise UsageError("--ray: use auto, HOST:PORT or ray://HOST:PORT")
    return host.strip("[]"), int(port)


def _reach(host: str, port: int, here: str) -> str | None:
    """Return why nothing can be reached there, None if something can: Ray itself would try for minutes."""
    reason = None
    for name in {host, here} if host in LOOPBACK else {host}:  # as Ray reads a loopback address
        try:
            socket.create_connection((name, port), CONNECT_SECONDS).close()
        except (OSError, UnicodeError) as error:  # the latter for what no host can be called
            reason = getattr(error, "strerror", None) or str(error)
        else:
            return None
    return reason
