"""Fixtures shared by all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.faults import Postgres, made_up_mnist
from model.data import Mnist, load, provide


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A directory that holds the four real files. Tests only read it: it is the user's own."""
    return provide()


@pytest.fixture(scope="session")
def mnist(mnist_dir: Path) -> Mnist:
    """The real data on the CPU."""
    return load(mnist_dir)


@pytest.fixture(scope="session")
def tiny() -> Mnist:
    """A hundred made-up images that a network learns in a few epochs; an epoch takes milliseconds."""
    return made_up_mnist()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL server. Tests that stop it start it again."""
    with Postgres.running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database, on either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()
