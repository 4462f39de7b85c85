"""Studies kept in SQL: the engine that runs them and the commands people use."""

from importlib.metadata import version

__version__ = version("sweetspot")
