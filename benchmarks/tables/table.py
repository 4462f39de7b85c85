"""A recorded table: what a trial of any setting shows after each epoch, by the nearest setting on the grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution, IntDistribution

from benchmarks.tables.problems import PROBLEMS, Axis, Problem
from studies.space import share_of_range

LAST = 5  # epochs of which a setting's worth is the mean
FOLDER = Path(__file__).parent


def grid(axes: Mapping[str, Axis]) -> list[list[float]]:
    """Return the values of each parameter on the grid."""
    return [_values(*axis) for axis in axes.values()]


def _values(distribution: IntDistribution | FloatDistribution, count: int) -> list[float]:
    spaced = np.geomspace if distribution.log else np.linspace
    values = spaced(distribution.low, distribution.high, count).clip(distribution.low, distribution.high)
    return [round(value) if isinstance(distribution, IntDistribution) else float(value) for value in values]


@dataclass(frozen=True)
class Table:
    """A problem and its learning curves."""

    problem: Problem
    wrong: NDArray[np.uint16]  # (settings, seeds, epochs)
    rows: int  # that were scored

    @staticmethod
    def path(name: str) -> Path:
        """Return where a table is, or is to be."""
        return FOLDER / f"{name}.npz"

    @staticmethod
    def of(name: str) -> "Table":
        """Read a table."""
        with np.load(Table.path(name)) as stored:
            return Table(PROBLEMS[name], stored["wrong"], int(stored["rows"]))

    def place(self, params: Mapping[str, Any]) -> int:
        """Return the setting on the grid that is nearest in each parameter."""
        shape = [count for _, count in self.problem.axes.values()]
        at = [round(share_of_range(axis[0], params[name]) * (axis[1] - 1)) for name, axis in self.problem.axes.items()]
        return int(np.ravel_multi_index(at, shape))

    def curve(self, place: int, number: int) -> Sequence[float]:
        """Return the accuracy of a trial after each epoch; trials of one setting take its seeds in turn."""
        return list(map(float, 1 - self.wrong[place, number % self.wrong.shape[1]] / self.rows))

    @cached_property
    def worth(self) -> NDArray[np.float64]:
        """What each setting reaches: the mean accuracy of its seeds' last epochs, as a single one is luck besides."""
        return np.asarray(1 - self.wrong[:, :, -LAST:].mean((1, 2)) / self.rows)
