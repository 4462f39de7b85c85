"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

from model.data import Mnist, load, provide


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A directory that holds the four real files. Tests only read it: it is the user's own."""
    return provide()


@pytest.fixture(scope="session")
def mnist(mnist_dir: Path) -> Mnist:
    """The real data on the CPU."""
    return load(mnist_dir)
