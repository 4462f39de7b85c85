"""Workers on this machine: processes that run the command of a worker, each with a GPU of its own if there are any."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from search.signals import PARENT
from search.store.study import StudyStore, process_name
from studies.built_in import DEFAULT


class LocalWorker(subprocess.Popen[bytes]):
    """A worker on this machine."""

    def __init__(self, options: Sequence[str], environment: Mapping[str, str], device: str = "") -> None:
        self.device = device  # one of the options, for who starts the next worker
        super().__init__(
            [sys.executable, "-m", "search.run", *options],
            env={**os.environ, **environment, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches us alone, and we pass it on once
        )

    def name(self) -> str:
        """Return what its store's name begins with."""
        return process_name(self.pid)


def worker_environment(store: StudyStore, threads: int) -> dict[str, str]:
    """Return what a worker finds in its environment: the storage, not as an argument, which `ps` would show."""
    return {**_threads(threads), "SWEETSPOT_STORAGE": store.storage.url.render_as_string(hide_password=False)}


def thread_variables(workers: int) -> dict[str, str]:
    """Return what tells one of so many workers on this machine how many threads it has."""
    return _threads(threads_each(workers))


def _threads(count: int) -> dict[str, str]:
    return {name: os.environ.get(name, str(count)) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def threads_each(workers: int) -> int:
    """Return how many threads a worker gets, so that together they have as many as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def worker_options(  # noqa: PLR0917
    store: StudyStore,
    device: str,
    data: Path | None,
    artifacts: Path | None,
    fleet_size: int | None,
    question: str = DEFAULT,
) -> list[str]:
    """Return the options of a worker: those of this command without the storage, which `ps` would show."""
    given = {"--data-dir": data, "--artifact-dir": artifacts, "--fleet-size": fleet_size}
    study = [f"--trials={store.budget()}", f"--study={store.study.study_name}", f"--device={device}"]
    return [
        *([] if question == DEFAULT else [question]),
        *study,
        *(f"{option}={value}" for option, value in given.items() if value is not None),
    ]


def local_workers(  # noqa: PLR0917
    store: StudyStore,
    devices: Sequence[str],
    data: Path | None,
    artifacts: Path,
    fleet_size: int | None,
    question: str = DEFAULT,
) -> Callable[[], LocalWorker]:
    """Return what starts a worker for each of these devices, and another in place of one that has ended.

    They share this machine's cores.
    """
    environment, started = worker_environment(store, threads_each(len(devices))), list[LocalWorker]()

    def start() -> LocalWorker:
        device = next_device(devices, [worker.device for worker in started if worker.poll() is None])
        options = worker_options(store, device, data, artifacts, fleet_size, question)
        started.append(LocalWorker(options, environment, device))
        return started[-1]

    return start


def next_device(devices: Sequence[str], busy: Sequence[str]) -> str:
    """Return the device of the next worker: the first of those that have the fewest of what they are to have."""
    missing = Counter(devices) - Counter(busy)
    return max(devices, key=lambda device: missing[device])


def sharing(devices: Sequence[str]) -> str:
    """Return in words which workers are where."""
    places = list(dict.fromkeys(devices))
    each = "one on each" if len(places) == len(devices) else "which share" if len(places) > 1 else "all on"
    return f"{len(devices)} workers, {each}: {', '.join(places)}"
