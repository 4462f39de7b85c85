"""From a study's file and its data to what the engine runs."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler

from model.data.known import Described
from model.fleet.family import Family
from model.network.arithmetic import Precision
from studies.aims import AIMS, Aim
from studies.asked import Asked
from studies.claims import Metric
from studies.file import StudyFile
from studies.halving import HALVING, Halving
from studies.optuna_private import LastFit
from studies.pruner import CurvePruner
from studies.sampler import CurveSampler, FrontSampler
from studies.space import Space
from studies.spec import PRECISION, StudySpec, report_epochs
from studies.study import Study
from studies.wider import Wider

CURVES = ("accuracy", "f1", "auroc")  # metrics whose errors, 1 less the value, shrink as a learning curve's do
BY_CURVES = "a Gaussian process on learning curves proposes, and stops what it expects little of"
BY_OPTUNA = "Optuna's TPE proposes, and its successive halving stops trials"
BY_FRONT = (
    "Optuna's multi-objective TPE proposes, for {metric} against {aim}, and every trial trains to its end, since "
    "Optuna stops none where there are two aims{measured}"
)


def family_of(file: StudyFile, data: Described, precision: Precision = PRECISION) -> Family:
    """Return how the networks of a study are built, trained and scored. Raises `NetworkError`."""
    study = file.study
    choices = (study.optimizer, study.loss, study.metric, study.augment)
    return Family(study.network, prod(data.shape), data.classes, *choices, data.shape, precision)


def search_spec(
    file: StudyFile,
    data: Described,
    name: str,
    epochs: int | None = None,
    wider: Wider | None = None,
    *,
    precision: Precision = PRECISION,
) -> StudySpec:
    """State the search of a study on its data; `epochs` is a full trial's length, None for the study's.

    `wider` is noted: the file's study must have its ranges already (`studies.wider`).
    """
    study, family = file.study, family_of(file, data, precision)
    length, metric = epochs or study.epochs, metric_of(family)
    against = AIMS[study.against] if study.against else None
    by_curves = against is None and uses_curve_model(family.measure.name, study.searched)
    halving = _halving(study, data, length, family.measure.name == "accuracy") if by_curves else None
    text = {"name": file.path.name, "sha256": file.sha256, "text": file.text}
    return StudySpec(
        name=name,
        question=study.question,
        metric=metric.name,
        direction=family.measure.direction,
        space=study.searched,
        baseline=study.baseline,
        fixed=study.fixed,
        sampler=_Sampler(study.searched, halving, against),
        pruner=_pruner(halving, against),
        epochs=length,
        report_epochs=halving.reports(length) if halving else report_epochs(length),
        batch=study.batch,
        split=data.fingerprint(),
        family=family,
        wider=wider,
        rungs=halving.before(length) if halving else (),
        rung_size=halving.size if halving else 1,
        against=against,
        built_in=file.name if file.built_in else None,
        file=None if file.built_in else text,
        measure=metric.short,
        method=_method(metric, halving, against),
        asked=Asked.of_study(
            study.claims, study.baseline, metric, tuple(study.tuned), space=study.searched, layout=study.layout
        ),
    )


def _halving(study: Study, data: Described, epochs: int, counted: bool) -> Halving:
    """Return where trials are judged; `counted` says that the metric is a share of the rows that were scored."""
    parts = data.fingerprint()
    scored = parts["validation"] if counted else None
    return study.halving or HALVING.stretched(epochs, parts["train"], study.batch, scored)


def _method(metric: Metric, halving: Halving | None, against: Aim | None) -> str:
    if against is not None:
        return BY_FRONT.format(metric=metric.name, aim=against.value, measured=against.method)
    return BY_CURVES if halving else BY_OPTUNA


def metric_of(family: Family) -> Metric:
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
    halving: Halving | None
    against: Aim | None
    fit: LastFit = field(default_factory=LastFit, compare=False)  # what its samplers share

    def __call__(self, seed: int) -> BaseSampler:
        if self.halving:
            return CurveSampler(seed, self.halving.horizon, self.space, self.halving.model, self.fit)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # of `group`
            group = bool(self.space.sometimes)
            if self.against is not None:
                return FrontSampler(seed, self.space, self.against)
            return TPESampler(seed=seed, multivariate=True, group=group, constant_liar=True)


def _pruner(halving: Halving | None, against: Aim | None) -> BasePruner:
    if against is not None:
        return NopPruner()
    if halving is None:
        return SuccessiveHalvingPruner(3, 3)
    return CurvePruner(halving.rungs, halving.size, halving.horizon, halving.model)
