"""The branches of a space that is a function: which parameters can occur, found by running it."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from studies.asking import Asked, Params, two_ranges

Function = Callable[[Any], Any]
FEW = 16  # whole numbers: of a parameter with no more values than these each is tried
RUNS = 2000  # at most, over what is tried
DRAWS = 200  # further runs, at random, for what occurs between the ends of a range
KEPT = 16  # settings that are kept to be trained for a moment, at most


def systematic(function: Function) -> Iterator[Asked]:
    """Run a function over all combinations of what is tried: each choice, each of few whole numbers, ends of ranges.

    Of more than `RUNS` those that differ in the fewest parameters from the first values.
    """
    waiting: deque[tuple[int, ...]] = deque([()])
    for _ in range(RUNS):
        if not waiting:
            return
        picks = waiting.popleft()
        choose = _Picks(picks)
        function(asked := Asked(choose))
        yield asked
        for at in range(len(picks), len(choose.widths)):
            first = (*picks, *[0] * (at - len(picks)))
            waiting.extend((*first, other) for other in range(1, choose.widths[at]))


def at_random(function: Function) -> Iterator[Asked]:
    """Run a function on values drawn at random, always the same ones."""
    draws = random.Random(0)
    for _ in range(DRAWS):
        function(asked := Asked(lambda _name, distribution: _drawn(draws, distribution)))
        yield asked


def united(runs: Iterable[Asked]) -> dict[str, BaseDistribution]:
    """Return all parameters that any run asked for, each behind the one that it came after."""
    ranges: dict[str, BaseDistribution] = {}
    order: list[str] = []
    for run in runs:
        before = -1
        for name, distribution in run.ranges.items():
            if ranges.setdefault(name, distribution) != distribution:
                raise two_ranges(name, ranges[name], distribution)
            if name not in order:
                order.insert(before + 1, name)
            before = order.index(name)
    return {name: ranges[name] for name in order}


def representatives(runs: Iterable[Asked], others: Iterable[Asked]) -> tuple[Params, ...]:
    """Return the first and the last setting of each combination of parameters, `KEPT` at most.

    Of those that only the others have, one.
    """
    by_names: dict[frozenset[str], list[Params]] = {}
    for run in runs:
        by_names.setdefault(frozenset(run.params), []).append(run.params)
    for run in others:
        by_names.setdefault(frozenset(run.params), [run.params])
    found = [*(each[0] for each in by_names.values()), *(each[-1] for each in by_names.values() if len(each) > 1)]
    return tuple(found[:KEPT])


def ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Return the ends of a range, or all choices."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return (distribution.low, distribution.high)


def _tried(distribution: BaseDistribution) -> Sequence[Any]:
    """Return the values that are tried when branches are looked for."""
    if isinstance(distribution, IntDistribution):
        values = range(distribution.low, distribution.high + 1, distribution.step)
        return values if len(values) <= FEW else ends(distribution)
    return ends(distribution)


class _Picks:
    """Chooses each value by its number, and the first one where no number is given."""

    def __init__(self, picks: Sequence[int]) -> None:
        self.picks = picks
        self.widths: list[int] = []  # how many values there were each time

    def __call__(self, _name: str, distribution: BaseDistribution) -> Any:
        values, at = _tried(distribution), len(self.widths)
        self.widths.append(len(values))
        return values[min(self.picks[at], len(values) - 1) if at < len(self.picks) else 0]


def _drawn(draws: random.Random, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return draws.choice(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    log = distribution.log
    drawn = math.exp(draws.uniform(math.log(low), math.log(high))) if log else draws.uniform(low, high)
    if distribution.step is not None:
        drawn = low + round((drawn - low) / distribution.step) * distribution.step
    drawn = min(max(drawn, low), high)
    return round(drawn) if isinstance(distribution, IntDistribution) else drawn
