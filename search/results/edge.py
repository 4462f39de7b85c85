"""Where the best trial lies at the edge of what was searched: there the space may end before the best of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from studies.space import share_of_range

NEAR = 0.02  # of a range, on its own scale: what lies so near its end is at its edge


@dataclass(frozen=True)
class Edge:
    """A parameter of the best trial that lies at an end of its range."""

    parameter: str
    side: Literal["lower", "upper"]

    @property
    def sentence(self) -> str:
        """Say so."""
        other = "smaller" if self.side == "lower" else "larger"
        return f"the best is at the {self.side} edge of {self.parameter}: {other} values may be better"


def edges(space: Mapping[str, BaseDistribution], params: Mapping[str, Any]) -> list[Edge]:
    """Return the parameters that lie within `NEAR` of an end of their range, in the order of the space.

    A range that is searched by its logarithm is measured by it. A category has no edge, nor has a range of one value.
    """
    return [edge for name in space if name in params for edge in _edge(name, space[name], params[name])]


def _edge(name: str, distribution: BaseDistribution, value: Any) -> Iterator[Edge]:
    if not isinstance(distribution, IntDistribution | FloatDistribution) or distribution.single():
        return
    at = share_of_range(distribution, value)
    if at <= NEAR:
        yield Edge(name, "lower")
    elif at >= 1 - NEAR:
        yield Edge(name, "upper")
