"""Checks a study's file on its data before anything is written: a network at each corner, two steps of training."""

import math
import time
from collections.abc import Iterator, Mapping
from itertools import islice, product
from statistics import fmean
from typing import Any

import optuna
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler

from model.data.dataset import Dataset
from model.data.samples import Samples
from model.errors import NetworkError
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from model.threads import using
from studies.branches import ends
from studies.file import StudyFile
from studies.search_spec import family_of
from studies.space import Space
from studies.study import StudyError

CORNERS = 16  # at most; a space of more than four parameters has more
SAMPLES = 256  # of the training set
DRAWN = 4  # settings whose time is measured
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
    """Return a guess of how long so many trials take here: times of a part of an epoch, scaled.

    The baseline and the other fixed trials train to their end. Others, as a few settings at random have them, are
    trained for about a sixth of their epochs in the mean, by successive halving; all of them where there are two aims.
    A CPU trains two at once.
    """
    study = file.study
    kept = [study.baseline, *(study.searched.belonging({**study.baseline, **each}) for each in study.fixed)]
    family, few = family_of(file, data), data.train.first(max(SAMPLES, len(data.train) // 20))
    with using(1 if device.type == "cpu" else torch.get_num_threads()):
        whole = sum(_seconds(family, params, few, study.batch) for params in kept)
        other = fmean(_seconds(family, params, few, study.batch) for params in _drawn(study.searched))
    at_once = min(2, torch.get_num_threads()) if device.type == "cpu" else 1
    epochs = whole + max(0, trials - len(kept)) * (1 if study.against else SHARE) * other
    return epochs * study.epochs * len(data.train) / len(few) / at_once / 60


def _seconds(family: Family, params: Mapping[str, Any], few: Samples, batch: int) -> float:
    """Return how long an epoch of a network alone takes."""
    fleet, network = Fleet(few, 0, batch), family.build(params, 0).to(few.device)
    fleet.attach(family.member(network, params, 0, few.device))
    fleet.train_epoch()  # to warm up
    start = time.perf_counter()
    fleet.train_epoch()
    return time.perf_counter() - start


def _drawn(space: Space) -> list[dict[str, Any]]:
    """Return a few settings at random, always the same."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    return [space.suggest(study.ask()) for _ in range(DRAWN)]
