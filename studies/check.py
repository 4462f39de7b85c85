"""Checks a study's file on its data before anything is written: a network at each corner, two steps of training."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from model.data.dataset import Dataset
from model.errors import NetworkError
from model.fleet.fleet import Fleet
from model.general.family import GeneralFamily
from studies.file import StudyFile
from studies.search_spec import family_of
from studies.study import StudyError

CORNERS = 16  # at most; a space of more than four parameters has more
SAMPLES = 256  # of the training set


def check_study_file(file: StudyFile, data: Dataset, device: torch.device) -> None:
    """Raise `StudyError`, or `NetworkError`, with one line for what could not be trained."""
    family, study = family_of(file, data), file.study
    if family.names is not None and (unknown := sorted(set(study.space) - family.names)):
        raise StudyError(f"the space has {unknown[0]}, which neither the network nor the optimizer takes")
    for params in (study.baseline, *corners(study.space)):
        _two_steps(family, params, data, device)


def corners(space: Mapping[str, BaseDistribution]) -> Iterator[dict[str, Any]]:
    """Yield the settings at the corners of a space, a few at most: each parameter at one of its ends."""
    ends = [_ends(distribution) for distribution in space.values()]
    for values in islice(product(*ends), CORNERS):
        yield dict(zip(space, values, strict=True))


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return (distribution.low, distribution.high)


def _two_steps(family: GeneralFamily, params: Mapping[str, Any], data: Dataset, device: torch.device) -> None:
    """Train for two minibatches. A setting may diverge, which a search bears, but not before its first step."""
    few = data.train.first(SAMPLES)
    network = family.build(params, 0).to(device)
    member = family.member(network, params, 0, device)
    if not math.isfinite(family.score(network, few).loss):
        raise NetworkError(f"the loss of an untrained network is not a number, with {dict(params)}")
    fleet = Fleet(few, 0, max(1, len(few) // 2))
    fleet.attach(member)
    fleet.train_epoch()
