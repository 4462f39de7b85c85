"""From a study's file and its data to what the engine runs."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler

from model.data.dataset import Dataset
from model.general.family import GeneralFamily
from studies.asked import Asked
from studies.claims import Metric
from studies.curve_model import CurveModel
from studies.file import StudyFile
from studies.pruner import CurvePruner
from studies.sampler import CurveSampler
from studies.schedule import Schedule
from studies.space import Space
from studies.spec import StudySpec, report_epochs
from studies.sweet_spot import RUNG_SIZE

CURVES = ("accuracy", "f1", "auroc")  # metrics whose errors, 1 less the value, shrink as a learning curve's do
BY_CURVES = "a Gaussian process on learning curves proposes, and stops what it expects little of"
BY_OPTUNA = "Optuna's TPE proposes, and its successive halving stops trials"


@dataclass(frozen=True)
class AnyErrors(CurveModel):
    """The model for data on which a network may err often, other than on MNIST."""

    errors: ClassVar[tuple[float, float]] = (1e-4, 1.0)


MODEL = AnyErrors()


def family_of(file: StudyFile, data: Dataset) -> GeneralFamily:
    """Return how the networks of a study are built, trained and scored. Raises `NetworkError`."""
    study = file.study
    return GeneralFamily(study.network, prod(data.shape), data.classes, study.optimizer, study.loss, study.metric)


def search_spec(file: StudyFile, data: Dataset, name: str, epochs: int | None = None) -> StudySpec:
    """State the search of a study's file on its data; `epochs` is a full trial's length, None for the file's."""
    study, family = file.study, family_of(file, data)
    length = epochs or study.epochs
    metric = metric_of(family)
    asked = Asked.of_study(study.claims, study.baseline, metric, tuple(study.tuned), study.searched)
    schedule = Schedule.of(length, len(data.train), study.batch)
    modelled = uses_curve_model(family.measure.name, study.searched)
    return StudySpec(
        name=name,
        question=study.question,
        metric=metric.name,
        direction=family.measure.direction,
        space=study.searched,
        baseline=study.baseline,
        fixed=study.fixed,
        sampler=_Sampler(study.searched, schedule.horizon if modelled else None),
        pruner=_pruner(schedule if modelled else None),
        epochs=length,
        report_epochs=schedule.reports(length) if modelled else report_epochs(length),
        batch=study.batch,
        split=data.fingerprint(),
        family=family,
        rungs=schedule.before(length) if modelled else (),
        rung_size=RUNG_SIZE if modelled else 1,
        file={"name": file.path.name, "sha256": file.sha256, "text": file.text},
        measure=metric.short,
        method=BY_CURVES if modelled else BY_OPTUNA,
        claims=asked.as_dict(),
    )


def metric_of(family: GeneralFamily) -> Metric:
    """Return what trials are compared by, as claims tell it."""
    return Metric.named(f"validation {family.measure.name.replace('_', ' ')}", family.measure.direction)


def uses_curve_model(metric: str, space: Mapping[str, BaseDistribution]) -> bool:
    """Return whether the learning-curve model judges trials; else they are proposed by TPE and stopped by Optuna's
    successive halving: its errors are those of a share, and its parameters are numbers that all trials have."""
    numbers = not any(isinstance(each, CategoricalDistribution) for each in space.values())
    return metric in CURVES and numbers and not Space.of(space).sometimes


@dataclass(frozen=True)
class _Sampler:
    """Makes the sampler of a trial from its seed."""

    space: Space
    horizon: int | None  # None where no learning curves are modelled

    def __call__(self, seed: int) -> BaseSampler:
        if self.horizon is not None:
            return CurveSampler(seed, self.horizon, self.space, MODEL)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # of `group`
            group = bool(self.space.sometimes)
            return TPESampler(seed=seed, multivariate=True, group=group, constant_liar=True)


def _pruner(schedule: Schedule | None) -> BasePruner:
    if schedule is None:
        return SuccessiveHalvingPruner(3, 3)
    return CurvePruner(schedule.rungs, RUNG_SIZE, schedule.horizon, MODEL)
