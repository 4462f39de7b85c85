"""All that we use of Optuna and its dashboard though it is not public; no other module names any of it.

Each has its reason. `tests/studies/test_optuna_private.py` fails, with the name, when Optuna changes one.
"""

import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from optuna import Study, Trial
from optuna.distributions import BaseDistribution
from optuna.samplers import GPSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def study_key(study: Study) -> int:
    """Return the key of a study's row. Our statements need it, and the public way to it asks the database each time."""
    return study._study_id


def trial_key(trial: Trial | FrozenTrial) -> int:
    """Return the key of a trial's row, which our statements and Optuna's own storages want; only numbers are public."""
    return trial._trial_id


def storage_of(study: Study) -> BaseStorage:
    """Return what a study is kept in: the dashboard's notes are written there, and nothing public leads to it."""
    return study._storage


def tables() -> Mapping[str, Any]:
    """Return Optuna's tables as SQLAlchemy's, by name, for statements that Optuna has none for."""
    from optuna.storages._rdb import models  # noqa: PLC0415  # only who talks to a database needs it

    return dict(models.BaseModel.metadata.tables)


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value may be drawn from a distribution; what is public replaces a wrong one without a word."""
    return distribution._contains(distribution.to_internal_repr(value))


def note_of(attributes: Mapping[str, Any], trial: int | None) -> tuple[str, int]:
    """Return the dashboard's note of a trial, or of the study, and its version: `save_note` alone is public."""
    from optuna_dashboard._note import get_note_from_system_attrs  # noqa: PLC0415  # takes a second to import

    note = get_note_from_system_attrs(dict(attributes), trial)
    return note["body"], note["version"]


def save_note(storage: BaseStorage, study: int, trial: int | None, version: int, text: str) -> None:
    """Write the dashboard's note by ids, with its next version."""
    from optuna_dashboard._note import save_note_with_version  # noqa: PLC0415  # as above

    save_note_with_version(storage, study, trial, version, text)


class StudyView:
    """A study whose trials a sampler sees as `visible` makes them."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that the sampler is to see, given all there are."""
        raise NotImplementedError

    def _get_trials(
        self,
        deepcopy: bool = True,  # noqa: ARG002
        states: Container[TrialState] | None = None,
        use_cache: bool = False,  # noqa: ARG002
    ) -> list[FrozenTrial]:
        trials = self._study._get_trials(deepcopy=False, use_cache=True)  # Optuna clears it before each proposal
        return [trial for trial in self.visible(trials) if states is None or trial.state in states]


@dataclass
class LastFit:
    """A Gaussian process as it was last fitted, and to which trials' values."""

    told: Sequence[tuple[int, Sequence[float]]] = ()
    processes: Any = None


class SmoothedGPSampler(GPSampler):
    """Optuna's Gaussian process, which looks for what is better than the best mean of its process.

    Optuna's compares with the best value. Where values are noisy that one is a lucky trial: nothing near it can beat
    it, and the process proposes corners that nobody has been to. Source: Picheny et al., "A benchmark of kriging-based
    infill criteria for noisy optimization" (2013).

    Samplers that share a `fit` begin where the last one ended, if it was to the same trials: of several proposals at a
    time only the first waits for it. To other trials each begins anew, so that a proposal depends on no older ones.
    """

    def __init__(self, seed: int, fit: "LastFit | None" = None) -> None:
        super().__init__(seed=seed, warn_independent_sampling=False)
        self._fit = fit or LastFit()

    def _sample_relative_impl(self, study: Study, completed_trials: list[FrozenTrial], *others: Any) -> dict[str, Any]:
        told = [(trial.number, trial.values) for trial in completed_trials]
        self._gprs_cache_list = self._fit.processes if self._fit.told == told else None
        drawn = super()._sample_relative_impl(study, completed_trials, *others)
        if self._fit.told != told:
            self._fit.told, self._fit.processes = told, self._gprs_cache_list
            for process in self._fit.processes:  # a fit that begins here adds as much again
                process.noise_var = process.noise_var - 0.01 * self._minimum_noise
        return drawn

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        assert self._gprs_cache_list is not None
        process = self._gprs_cache_list[0]
        acqf._threshold = process.posterior(process._X_train)[0].max().item()
        return super()._optimize_acqf(acqf, best_params)


class ImportanceTrials:
    """Trials whose parameters Optuna weighs again and again, drawn with replacement and with other values.

    A study in memory would have to be filled anew each time, which takes longer than to weigh it.
    """

    directions = (StudyDirection.MINIMIZE,)

    def __init__(self, space: Mapping[str, BaseDistribution], settings: Sequence[Mapping[str, Any]]) -> None:
        own = [{name: each[name] for name in space if name in each} for each in settings]
        self._trials = [_frozen(number, params, space) for number, params in enumerate(own)]
        self._drawn: list[FrozenTrial] = []

    def evaluate(self, evaluator: Any, drawn: Iterable[int], values: NDArray[np.float64]) -> dict[str, float]:
        """Return the importances among the trials that are drawn, as the evaluator finds them.

        values: `(trials,)`, of all; higher is better.
        """
        self._drawn = [self._trials[number] for number in drawn]
        with warnings.catch_warnings(action="ignore"):  # that a target is minimised, and that a parameter is rare
            return dict(evaluator.evaluate(self, target=lambda trial: -float(values[trial.number])))

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:  # noqa: ARG002
        """Return the trials that are drawn."""
        return self._drawn

    def _is_multi_objective(self) -> bool:
        return False


def _frozen(number: int, params: dict[str, Any], space: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return a completed trial with a key of its own, by which the evaluator tells trials apart."""
    distributions = {name: space[name] for name in params}
    return FrozenTrial(number, TrialState.COMPLETE, 0.0, None, None, params, distributions, {}, {}, {}, number)


class Process:
    """Optuna's Gaussian process, fitted to values at points.

    It keeps to plausible lengths and little noise where there are few values, by priors that scikit-learn's has not.
    """

    def __init__(
        self, points: NDArray[np.float64], values: NDArray[np.float64], categorical: NDArray[np.bool_]
    ) -> None:
        """Fit.

        points: `(n, d)`, from 0 to 1, or the number of a category. values: `(n,)`, of mean 0 and spread 1.
        """
        from optuna._gp.gp import fit_kernel_params  # noqa: PLC0415  # takes a third of a second to import
        from optuna._gp.prior import DEFAULT_MINIMUM_NOISE_VAR, default_log_prior  # noqa: PLC0415

        self._process = fit_kernel_params(
            points, values, categorical, default_log_prior, DEFAULT_MINIMUM_NOISE_VAR, deterministic_objective=False
        )

    @property
    def constants(self) -> int:
        """How many numbers were fitted: a length for each column, a scale and the noise."""
        return self._process.inverse_squared_lengthscales.numel() + 2

    @property
    def noise(self) -> float:
        """The variance of a single value."""
        return float(self._process.noise_var)

    def posterior(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean `(m,)` and the covariance `(m, m)` of what is to be expected at points `(m, d)`."""
        mean, covariance = self._process.posterior(torch.from_numpy(points), joint=True)
        return mean.numpy(), covariance.numpy()
