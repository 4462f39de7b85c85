"""Searches whose truth is known: settings drawn at random, and the value that a function gives them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import FrozenTrial, TrialState

from search.results.tried import Tried
from search.store.counts import Counts
from search.store.state import StudyState
from studies.asked import Asked
from studies.claims import ACCURACY, Metric

PLAIN = Metric("validation score", "maximize", False)
LOSS = Metric("validation loss", "minimize", False)
SPACE: Mapping[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "units": IntDistribution(4, 256, log=True),
    "kind": CategoricalDistribution(["a", None, True]),
    "one": IntDistribution(3, 3),
}
Params = dict[str, Any]


def rate(params: Mapping[str, Any]) -> float:
    """Return where the learning rate lies in its range, from 0 to 1."""
    return float(np.log10(params["lr"]) + 4) / 3


def by_rate(params: Mapping[str, Any]) -> float:
    """A value that depends on the learning rate alone, and is best at 1e-2."""
    return float(-4 * (rate(params) - 2 / 3) ** 2)


def drawn(space: Mapping[str, BaseDistribution], rng: np.random.Generator) -> Params:
    return {name: _value(each, rng) for name, each in space.items()}


def _value(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scale, back = (np.log, np.exp) if distribution.log else (float, float)
    at = back(rng.uniform(scale(distribution.low), scale(distribution.high)))
    return round(at) if isinstance(distribution, IntDistribution) else float(at)


def trial(number: int, params: Params, values: list[float], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    distributions = {name: space[name] for name in params}
    return FrozenTrial(
        number,
        TrialState.COMPLETE,
        None,
        None,
        None,
        params,
        distributions,
        {},
        {},
        {9: values[0]},
        number,
        values=values,
    )


def search(
    truth: Callable[[Params], float] = by_rate,
    count: int = 40,
    *,
    seed: int = 0,
    noise: float = 0.1,
    metric: Metric = PLAIN,
    space: Mapping[str, BaseDistribution] = SPACE,
    known: Callable[[Params], Params] = lambda params: params,
    against: str | None = None,
) -> StudyState:
    """Make a search; `known` picks what a trial has of the parameters that are drawn."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        params = known(drawn(space, rng))
        value = truth(params) + noise * float(rng.standard_normal())
        made.append(trial(number, params, [value, 1.0 + number] if against else [value], space))
    return state(made, metric, space, seed, against)


def state(
    trials: list[FrozenTrial],
    metric: Metric = ACCURACY,
    space: Mapping[str, BaseDistribution] = SPACE,
    seed: int = 0,
    against: str | None = None,
) -> StudyState:
    """Return the state of a study with these trials."""
    rare = [name for name in space if any(name not in each.params for each in trials)]
    stated = {"space": {name: json.loads(distribution_to_json(each)) for name, each in space.items()}, "epochs": 9}
    stated |= ({"conditional": rare} if rare else {}) | ({"against": against} if against else {})
    asked = Asked.of_study([], drawn(space, np.random.default_rng(0)), metric)
    attributes = {"fingerprint": stated, "claims": asked.as_dict(), "seed": seed}
    return StudyState("s", "sqlite://", attributes, Counts(len(trials), 0, 0, 0, 0), trials, trials, {})


def tried_of(*args: Any, **options: Any) -> Tried:
    """Return what such a search has tried."""
    made = search(*args, **options)
    return Tried.of(made.finished, made.terms, made.attributes["seed"])
