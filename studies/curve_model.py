"""What a trial that was stopped early, or still trains, would have reached."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from studies.space import share_of_range

ERRORS = 1e-4, 0.2  # least, most: of networks that hardly err or have learnt nothing it does not matter how little
LATEST = 3  # reports that say what a trial's luck is: one alone is as noisy as good settings differ
SEEN = 100  # trials that are looked at: what that takes grows with their cube
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class CurveModel:
    """A Gaussian process of the logarithm of errors, over parameters and epochs.

    The constants are near those that fit the learning curves of many searches, which `python -m benchmarks.curve_model`
    finds anew; the reach is a little longer.
    """

    spread: float = 1.3  # standard deviation over all settings and epochs
    reach: float = 0.7  # how far one setting tells of another, in each parameter, as a share of its range
    ages: float = 5.0  # how far one epoch tells of another, in natural logarithms
    luck: float = 0.05  # standard deviation of what is a trial's own, at all its epochs
    noise: float = 0.07  # and of a single score: 250 errors in 10,000 images make 0.063

    @property
    def errors(self) -> tuple[float, float]:
        """The least error that is told apart, and the most."""
        return ERRORS

    def surface(self, one: Vector, other: Vector) -> Vector:
        """Return the covariance of what is to be expected: `(n, d)` and `(m, d)`, the logarithm of the epoch last."""
        away = (one[:, None] - other[None]) / [*[self.reach] * (one.shape[1] - 1), self.ages]
        distance = math.sqrt(5) * np.sqrt((away**2).sum(-1))
        return np.asarray(self.spread**2 * (1 + distance + distance**2 / 3) * np.exp(-distance))  # Matern 5/2

    def shown(self, reports: Vector, of: Vector) -> Vector:
        """Return the covariance of what was shown: `(n, d)` reports, of trials so numbered `(n,)`."""
        return self.surface(reports, reports) + self.own(of)

    def own(self, of: Vector) -> Vector:
        """Return what the covariance of reports has beside that: luck and noise, of trials so numbered `(n,)`."""
        return np.asarray(self.luck**2 * (of[:, None] == of) + self.noise**2 * np.eye(len(of)))


@dataclass(frozen=True)
class AnyErrors(CurveModel):
    """The model for data on which a network may err often, other than on MNIST, and that have fewer rows.

    No error in `rows` that were scored counts as half of one. By MNIST's 1e-4 a trial without an error among 95 rows
    would lie as far above one with a single error as that lies above one with all of them wrong.
    """

    rows: int = 10_000

    @property
    def errors(self) -> tuple[float, float]:
        """The least error that is told apart, and the most."""
        return 0.5 / self.rows, 1.0


def reporting(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that say something: they train, were pruned or are complete, and have reported a number."""
    states = (TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE)
    return [trial for trial in trials if trial.state in states and reports(trial)]


def reports(trial: FrozenTrial) -> dict[int, float]:
    """Return a trial's reports by epoch, without those that others' tools may write: infinite ones and no numbers."""
    return {epoch: value for epoch, value in sorted(trial.intermediate_values.items()) if math.isfinite(value)}


def subsample(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return all trials if they are few, else the latest, and a cross-section of the others, half and half."""
    half = SEEN // 2
    others = trials[:-half] if len(trials) > SEEN else []
    return [*(others[k * len(others) // half] for k in range(half if others else 0)), *trials[len(others) :]]


def expected_values(trials: Sequence[FrozenTrial], horizon: int, process: CurveModel | None = None) -> list[float]:
    """Return minus the logarithm of the error to be expected of each trial at the epoch `horizon`.

    It is what a Gaussian process makes of all trials' reports up to then. So one that was stopped early is taken to
    gain what those did that went on, and the more so the nearer their settings: a low learning rate gains longer than a
    high one. And luck counts for less than it shows. The horizon should not be further than many trials have come.
    Values are accuracies. All trials have reported a number.
    Source: Swersky et al., "Freeze-Thaw Bayesian Optimization" (2014), with a simpler covariance.
    """
    process = process or CurveModel()
    return [float(value) for value in _surface(trials, horizon, process, luck=process.luck)[0]]


def predicted_values(trials: Sequence[FrozenTrial], horizon: int, process: CurveModel | None = None) -> list[float]:
    """Return what each trial would show there if its luck stayed as it is: what is expected of its setting, and by how
    much its latest reports differ from that.

    For a sampler that weighs noise by itself. The rest is as in `expected_values`.
    """
    if not trials:
        return []
    at_horizon, apart, of = _surface(trials, horizon, process or CurveModel())
    return [float(value + apart[of == k][-LATEST:].mean()) for k, value in enumerate(at_horizon)]


def _surface(
    trials: Sequence[FrozenTrial], horizon: int, process: CurveModel, luck: float = 0.0
) -> tuple[Vector, Vector, Vector]:
    """Return of each trial what is expected at the horizon; of each report how far it is from that, and whose it is.

    Of settings alone, or, with the standard deviation of a trial's luck, of the trials themselves.
    """
    reports, of, values = curves(trials, horizon, process.errors)
    mean = values.mean()
    among = process.surface(reports, reports)
    weights = np.linalg.solve(among + process.own(of), values - mean)
    each = np.arange(len(trials))
    at = reports[np.searchsorted(of, each, side="right") - 1]
    at[:, -1] = math.log(horizon)
    horizons, theirs = (
        mean + (covariance + luck**2 * (whose[:, None] == of)) @ weights
        for covariance, whose in ((process.surface(at, reports), each), (among, of))
    )
    return horizons, values - theirs, of


def curves(
    trials: Sequence[FrozenTrial], horizon: int, errors: tuple[float, float] = ERRORS
) -> tuple[Vector, Vector, Vector]:
    """Return reports `(n, d)`, parameters and the logarithm of the epoch; whose `(n,)`; minus the log error `(n,)`.

    Up to an epoch, but each trial's first in any case.
    """
    places, rows, of, values = _places(trials), [], [], []
    for k, trial in enumerate(trials):
        told = reports(trial)
        for epoch, value in told.items():
            if epoch <= max(horizon, min(told)):
                rows.append([*places[k], math.log(max(epoch, 1))])
                of.append(k)
                values.append(-math.log(min(max(1 - value, errors[0]), errors[1])))
    return np.array(rows), np.array(of, dtype=float), np.array(values)


def _places(trials: Sequence[FrozenTrial]) -> Vector:
    """Return the trials' parameters `(n, d)`, each from 0 to 1 on its own scale; in the middle where one has none."""
    scaled = [
        {name: share_of_range(distribution, trial.params[name]) for name, distribution in numeric(trial.distributions)}
        for trial in trials
    ]
    names = sorted({name for each in scaled for name in each})
    return np.array([[each.get(name, 0.5) for name in names] for each in scaled]).reshape(len(trials), len(names))


def numeric(space: Mapping[str, BaseDistribution]) -> list[tuple[str, IntDistribution | FloatDistribution]]:
    """Return the parameters that are numbers, and their distributions, by name."""
    return [
        (name, d)
        for name, d in sorted(space.items())
        if isinstance(d, IntDistribution | FloatDistribution) and not d.single()
    ]
