"""What a trial that was stopped early, or still trains, would have reached."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

ONE_IMAGE = 1e-4  # error of a network that errs once in 10,000: logarithms need some
LATEST = 500  # trials that are looked at: reading thousands for every claim would take longer than all the rest
RIDGE = 0.01  # of the planes through gains: a few trials close together say little about a slope
Vector = NDArray[np.float64]


def reporting(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the latest trials that say something: they train, were pruned or are complete, and have reported."""
    states = (TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE)
    return [trial for trial in trials if trial.state in states and trial.intermediate_values][-LATEST:]


def would_reach(trials: Sequence[FrozenTrial], horizon: int, known: float = math.inf) -> list[float]:
    """Return minus the logarithm of the error that each trial shows at the epoch `horizon`, or would show there.

    From its last report on, or that of epoch `known` if it has gone further, it is taken to gain what those did that
    went on: from one report to the next a plane through their gains, over the parameters. A low learning rate gains
    longer than a high one. The horizon should not be further than many trials have come. Values are accuracies.
    """
    errors = [
        {epoch: math.log(max(1 - value, ONE_IMAGE)) for epoch, value in trial.intermediate_values.items()}
        for trial in trials
    ]
    errors = [{epoch: y for epoch, y in shown.items() if epoch <= max(horizon, min(shown))} for shown in errors]
    places = np.array([_place(trial) for trial in trials])
    last = np.array([max((epoch for epoch in shown if epoch <= known), default=min(shown)) for shown in errors])
    reached = np.array([shown[epoch] for shown, epoch in zip(errors, last, strict=True)])
    epochs = sorted({epoch for shown in errors for epoch in shown})
    for epoch, after in pairwise(epochs):
        on = [k for k, shown in enumerate(errors) if {epoch, after} <= shown.keys()]
        if on:
            gains = _plane(places[on], np.array([errors[k][after] - errors[k][epoch] for k in on]))
            reached[last <= epoch] += gains(places[last <= epoch])
    return [-float(error) for error in reached]


def _place(trial: FrozenTrial) -> list[float]:
    """Return a trial's parameters, each from 0 to 1 on its own scale."""
    place = []
    for name, distribution in numbers(trial.distributions):
        scale = math.log if distribution.log else float
        low, high = scale(distribution.low), scale(distribution.high)
        place.append((scale(trial.params[name]) - low) / (high - low))
    return place


def numbers(space: Mapping[str, BaseDistribution]) -> list[tuple[str, IntDistribution | FloatDistribution]]:
    """Return the parameters that are numbers, and their distributions, by name."""
    return [
        (name, d)
        for name, d in sorted(space.items())
        if isinstance(d, IntDistribution | FloatDistribution) and not d.single()
    ]


def _plane(places: Vector, values: Vector) -> Callable[[Vector], Vector]:
    """Return a plane through values at places, the flatter the fewer there are (ridge regression)."""
    centre, mean = places.mean(0), values.mean()
    away = places - centre
    slope = np.linalg.solve(away.T @ away + RIDGE * np.eye(places.shape[1]), away.T @ (values - mean))
    return lambda others: mean + (others - centre) @ slope
