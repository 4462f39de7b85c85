"""A Gaussian process for searches that stop most trials early, and train many at once; TPE for those with two aims."""

from collections.abc import Mapping
from copy import copy
from typing import Any, cast

from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from studies.aims import Aim, no_values
from studies.curve_model import CurveModel, numeric, predicted_values, reporting, reports, subsample
from studies.foreign import excluded, outside_space
from studies.optuna_private import LastFit, SmoothedGPSampler, StudyView
from studies.space import Space


def load_libraries() -> None:
    """Import what the Gaussian process needs. It takes most of a second, which a GPU would wait at the first fit."""
    import scipy.optimize  # noqa: PLC0415
    import scipy.stats  # noqa: F401, PLC0415


class CurveSampler(SmoothedGPSampler):
    """Optuna's Gaussian process, to which every trial that has reported is known, by what it would show.

    Optuna's own learns from complete trials alone. Where a pruner stops most there are hardly any, and it would draw
    at random all along. A trial that trains and has not reported yet is one to keep away from, as in Optuna's own.
    What a trial would show is its last report, and what is to be gained by the epoch `horizon`: how much of it is luck
    is for the process to say. Values are accuracies, to be maximised. Trials of another `space` are left out: Optuna
    draws together only what all trials share, so a single one would have it draw at random from then on.
    """

    def __init__(
        self,
        seed: int,
        horizon: int,
        space: Mapping[str, BaseDistribution],
        model: CurveModel | None = None,
        fit: LastFit | None = None,
    ) -> None:
        super().__init__(seed, fit)
        self.model = model or CurveModel()
        self.horizon = horizon
        self.space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are drawn together: all, once a trial has reported."""
        return super().infer_relative_search_space(_known(study, self.space), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return parameters drawn together, none before ten trials have reported.

        Whole numbers are drawn as others are, and rounded: Optuna's search among whole ones takes three times as long.
        """
        smooth: dict[str, BaseDistribution] = {
            name: FloatDistribution(d.low, d.high, log=d.log) for name, d in numeric(search_space)
        }
        drawn = super().sample_relative(_known(study, self.space, self.horizon, self.model), trial, smooth)
        whole = {name for name, d in search_space.items() if isinstance(d, IntDistribution)}
        return {name: round(value) if name in whole else value for name, value in drawn.items()}


class _Known(StudyView):
    """A study whose trials look complete once they have reported; without a horizon it does not matter with what."""

    def __init__(
        self, study: Study, space: Mapping[str, BaseDistribution], horizon: int | None, model: CurveModel | None = None
    ) -> None:
        super().__init__(study)
        self._model = model
        self._space = space
        self._horizon = horizon

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return those that have reported, as complete, and those that run and have not reported yet."""
        told = subsample([trial for trial in reporting(trials) if not self._strange(trial)])
        values = [0.0] * len(told) if self._horizon is None else predicted_values(told, self._horizon, self._model)
        silent = [trial for trial in trials if trial.state == TrialState.RUNNING and not reports(trial)]
        return [*(_complete(*pair) for pair in zip(told, values, strict=True)), *silent]

    def _strange(self, trial: FrozenTrial) -> bool:
        return excluded(self._study, trial, outside_space(trial, self._space))


def _known(
    study: Study,
    space: Mapping[str, BaseDistribution],
    horizon: int | None = None,
    model: CurveModel | None = None,
) -> Study:
    return cast("Study", _Known(study, space, horizon, model))


def _complete(trial: FrozenTrial, value: float) -> FrozenTrial:
    trial = copy(trial)  # the study's own stays as it is
    trial.state, trial.value = TrialState.COMPLETE, value
    return trial


class FrontSampler(TPESampler):
    """Optuna's multi-objective TPE, which sees those trials alone that can be compared.

    Optuna's own fails on a pruned trial that has reported, and draws at random beside one of another space.
    """

    def __init__(self, seed: int, space: Space, against: Aim) -> None:
        super().__init__(seed=seed, multivariate=True, group=bool(space.sometimes), constant_liar=True)
        self.space = space
        self.against = against

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are drawn together."""
        return super().infer_relative_search_space(self._seen(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return parameters drawn together."""
        return super().sample_relative(self._seen(study), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a parameter drawn by itself."""
        return super().sample_independent(self._seen(study), trial, param_name, param_distribution)

    def _seen(self, study: Study) -> Study:
        return cast("Study", _Comparable(study, self.space, self.against))


class _Comparable(StudyView):
    """A study without the trials that have ended and cannot be compared."""

    def __init__(self, study: Study, space: Space, against: Aim) -> None:
        super().__init__(study)
        self._space, self._against = space, against

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return those that have not ended, and of those that have, the ones of this space and with both values."""
        return [trial for trial in trials if not (trial.state.is_finished() and self._strange(trial))]

    def _strange(self, trial: FrozenTrial) -> bool:
        if trial.state == TrialState.FAIL:
            return True
        own = {name: each for name, each in self._space.items() if name not in self._space.sometimes}
        own |= {name: each for name, each in self._space.items() if name in trial.params}
        why = no_values(trial, self._against) or outside_space(trial, own)
        return excluded(self._study, trial, why)
