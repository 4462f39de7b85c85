"""Fixtures shared by all tests."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.faults import Postgres, made_up_mnist
from model.data.dataset import open_dataset
from model.data.mnist import provide
from model.data.samples import Parts
from model.threads import using

# The programs that tests start are to have signals as a terminal's have: `nohup` and a background job ignore some.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when model/gpu/kernels.py is imported; see test_kernels.py


def pytest_collection_finish() -> None:
    """Leave what libraries made out of collections, as commands do: it is a tenth of the time otherwise."""
    gc.freeze()


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A directory that holds the four real files. Tests only read it: it is the user's own."""
    return provide()


@pytest.fixture(scope="session")
def mnist(mnist_dir: Path) -> Parts:
    """The real data on the CPU."""
    return open_dataset("mnist", directory=mnist_dir)


@pytest.fixture(scope="session")
def tiny() -> Parts:
    """A hundred made-up images that a network learns in a few epochs; an epoch takes milliseconds."""
    return made_up_mnist()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server. Tests that stop it start it again.

    Not under pytest's own directory: run by root, the server is another user's, and every pytest that starts on the
    machine shuts that directory for others.
    """
    with tempfile.TemporaryDirectory(prefix="postgres") as directory, Postgres.running(Path(directory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database, on either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """A number of CPU threads. Compare runs of one number only: above 64 units their bits differ from 1 to 2."""
    with using(request.param):
        yield request.param


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a search, where each of two fleets has one."""
    with using(1):
        yield
