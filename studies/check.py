"""Checks a study's file on its data before anything is written: a network at each corner, two steps of training."""

import math
import time
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

import torch
from optuna.distributions import BaseDistribution

from model.data.dataset import Dataset
from model.errors import NetworkError
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from model.threads import using
from studies.branches import ends
from studies.file import StudyFile
from studies.search_spec import family_of
from studies.study import StudyError

CORNERS = 16  # at most; a space of more than four parameters has more
SAMPLES = 256  # of the training set
SHARE = 1 / 6  # of a full trial's epochs, that a trial trains in the mean


def check_study_file(file: StudyFile, data: Dataset, device: torch.device) -> None:
    """Raise `StudyError`, or `NetworkError`, with one line for what could not be trained."""
    family, study = family_of(file, data), file.study
    if family.names is not None and (unknown := sorted(set(study.searched) - family.names)):
        raise StudyError(f"the space has {unknown[0]}, which nothing takes: network, optimizer or augmentation")
    for params in (study.baseline, *(study.searched.branches or corners(study.searched))):
        _two_steps(family, params, data, device)


def corners(space: Mapping[str, BaseDistribution]) -> Iterator[dict[str, Any]]:
    """Yield the settings at the corners of a space, a few at most: each parameter at one of its ends."""
    for values in islice(product(*map(ends, space.values())), CORNERS):
        yield dict(zip(space, values, strict=True))


def _two_steps(family: Family, params: Mapping[str, Any], data: Dataset, device: torch.device) -> None:
    """Train for two minibatches. A setting may diverge, which a search bears, but not before its first step."""
    few = data.train.first(SAMPLES)
    network = family.build(params, 0).to(device)
    member = family.member(network, params, 0, device)
    if not math.isfinite(family.score(network, few).loss):
        raise NetworkError(f"the loss of an untrained network is not a number, with {dict(params)}")
    fleet = Fleet(few, 0, max(1, len(few) // 2))
    fleet.attach(member)
    fleet.train_epoch()


def expected_minutes(file: StudyFile, data: Dataset, device: torch.device, trials: int) -> float:
    """Return a guess of how long so many trials take here: the baseline's time for a part of an epoch, scaled.

    Successive halving trains a trial for about a sixth of its epochs in the mean, and a CPU two at once.
    """
    family, study = family_of(file, data), file.study
    few = data.train.first(max(SAMPLES, len(data.train) // 20))
    fleet = Fleet(few, 0, study.batch)
    network = family.build(study.baseline, 0).to(device)
    fleet.attach(family.member(network, study.baseline, 0, device))
    with using(1 if device.type == "cpu" else torch.get_num_threads()):
        fleet.train_epoch()  # to warm up
        start = time.perf_counter()
        fleet.train_epoch()
    epoch = (time.perf_counter() - start) * len(data.train) / len(few)
    at_once = min(2, torch.get_num_threads()) if device.type == "cpu" else 1
    return trials * study.epochs * SHARE * epoch / at_once / 60
