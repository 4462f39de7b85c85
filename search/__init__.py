"""Studies kept in SQL: the engine that runs them and the commands people use."""

from importlib.metadata import version

import model  # noqa: F401  # first of all: it sets how threads wait, which torch reads when it loads

__version__ = version("sweetspot")
