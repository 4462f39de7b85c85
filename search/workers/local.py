"""Workers on this machine: processes that run the command of a worker."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from search.signals import PARENT
from search.store.study import StudyStore, process_name
from studies.built_in import DEFAULT


class LocalWorker(subprocess.Popen[bytes]):
    """A worker on this machine."""

    def __init__(self, options: Sequence[str], environment: Mapping[str, str]) -> None:
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
    given = {name: os.environ.get(name, str(threads)) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**given, "SWEETSPOT_STORAGE": store.storage.url.render_as_string(hide_password=False)}


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


def local_workers(
    store: StudyStore,
    device: str,
    data: Path | None,
    artifacts: Path,
    fleet_size: int | None,
    *,
    count: int,
    question: str = DEFAULT,
) -> Callable[[], LocalWorker]:
    """Return what starts one of so many workers, who share this machine's cores."""
    options = worker_options(store, device, data, artifacts, fleet_size, question)
    return partial(LocalWorker, options, worker_environment(store, threads_each(count)))
