"""Trains a trial again from what is stored of it, and compares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from scipy import special
from torch import nn

from model.data.samples import Parts, Samples
from model.fleet.family import Family, Trainer
from model.fleet.fleet import Fleet
from model.network.member import BaseMember
from model.seeds import derive
from model.threads import using
from search.errors import NotFoundError
from search.store.attributes import nonsense
from search.store.trials import unusable
from search.training.figures import SHORT, scores
from studies.spec import PRECISION
from studies.terms import Terms

RECIPE = ("order_seed", "batch", "epochs", "first_epoch", "threads")  # and init_seed: how a trial was trained
ROUNDING = ("device", "torch", "cpu", "instructions", "mkl")  # what a CPU's bits depend on; threads are restored
FRESH_SEEDS = 5  # runs that measure the seed noise, where a rerun is not identical


@dataclass(frozen=True)
class Replay:
    """What a rerun measured: the same names as the stored figures, accuracy by epoch, and the network it ended with."""

    figures: Mapping[str, float]
    by_epoch: Mapping[int, float]
    network: nn.Module

    def repeats(self, trial: FrozenTrial) -> bool:
        """Whether every figure is the stored one to the last digit."""
        stored = {name: trial.user_attrs[name] for name in self.figures}
        return stored == self.figures and trial.intermediate_values == self.by_epoch


def finished_trial(study: Study, number: int) -> FrozenTrial:
    """Return a trial that has a result to compare with; raises `NotFoundError`."""
    terms = Terms.of(study.user_attrs)
    trial = next((trial for trial in study.get_trials(deepcopy=False) if trial.number == number), None)
    if trial is None:
        raise NotFoundError(f"study {study.study_name!r} has no trial {number}; it has {len(study.trials)}")
    finished = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    if reason := _lack(trial, terms) if finished else trial.user_attrs.get("reason", "no result yet"):
        raise NotFoundError(f"trial {number} cannot be compared: it is {trial.state.name} ({reason})")
    return trial


def _lack(trial: FrozenTrial, terms: Terms) -> str | None:
    """Return why a finished trial cannot be trained again, None if it can: it may be no network of ours."""
    attrs = trial.user_attrs
    if wrong := nonsense(trial):
        return wrong
    if "init_seed" not in attrs:
        return "no result yet"
    if attrs.get("train_on") not in {"train", "full"} or attrs.get("score_on") not in SHORT:
        return "nobody knows on which images"
    figures = [f"{part}_{figure}" for part in ("train", SHORT[attrs["score_on"]]) for figure in (terms.key, "loss")]
    missing = next((name for name in (*RECIPE, *figures) if name not in attrs), None)
    return f"it has no {missing}" if missing else unusable(trial, terms)


@dataclass(frozen=True)
class Recipe:
    """What a study's trials are trained by: a family on data, judged by a metric."""

    data: Parts
    family: Family
    measure: str = "accuracy"
    before: Trainer = "fleet"  # how those trials were trained that do not say it

    def sets(self, trial: FrozenTrial) -> tuple[Samples, Samples]:
        """Return what a trial trains on and what it is scored on."""
        return getattr(self.data, trial.user_attrs["train_on"]), getattr(self.data, trial.user_attrs["score_on"])

    def member(self, fleet: Fleet, trial: FrozenTrial, seed: int) -> BaseMember:
        """Put a network of a trial's parameters into a fleet."""
        attrs, device = trial.user_attrs, fleet.images.device
        family = replace(self.family, precision=attrs.get("precision", PRECISION))
        network, trainer = family.build(trial.params, seed), attrs.get("trainer", self.before)
        member = family.member(network.to(device), trial.params, seed, device, trainer)
        if device.type == attrs.get("device") == "cpu":  # a GPU rounds otherwise, and may not know the way of a CPU
            member.way = attrs.get("way", "")  # an older trial's is that of float32, which the machine does not decide
        fleet.attach(member)
        return member


def replayed(trial: FrozenTrial, recipe: Recipe) -> Replay:
    """Train a trial as it was trained, from its own seeds and, on a CPU, with as many threads."""
    attrs, (train, scored), family = trial.user_attrs, recipe.sets(trial), recipe.family
    fleet = Fleet(train, attrs["order_seed"], attrs["batch"])
    member = recipe.member(fleet, trial, attrs["init_seed"])
    by_epoch: dict[int, float] = {}
    with using(attrs["threads"]):
        for clock, threads in _epochs(attrs):
            fleet.clock = clock
            with using(threads):
                fleet.train_epoch()
            if member.epochs_trained in trial.intermediate_values:
                by_epoch[member.epochs_trained] = family.score(member.network(), scored).value
        network = member.network()
        figures = (family.score(network, train), family.score(network, scored))
        return Replay(scores(attrs["score_on"], *figures, recipe.measure), by_epoch, network)


def _epochs(attrs: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Return the clock of the fleet and the number of threads for each epoch of a trial.

    An older trial was never away from its fleet, or had as many threads in all its segments.
    """
    for _, clock, epochs, *threads in attrs.get("stints", [[0, attrs["first_epoch"], attrs["epochs"]]]):
        for epoch in range(epochs):
            yield clock + epoch, *(threads or [attrs["threads"]])


def compare(trial: FrozenTrial, replay: Replay, recipe: Recipe) -> tuple[str, tuple[float, float] | None]:
    """Return "identical", "within seed noise" or "different", and the interval that decided between the last two.

    Identical means every stored figure to the last digit. Otherwise the trial is trained from fresh seeds, and the
    stored value is within seed noise if it lies in their 95 % prediction interval for one more run (Student's t).
    """
    if replay.repeats(trial):
        return "identical", None
    low, high = prediction_interval(_fresh_values(trial, recipe))
    stored = trial.user_attrs[f"{SHORT[trial.user_attrs['score_on']]}_{recipe.measure}"]
    return ("within seed noise" if low <= stored <= high else "different"), (low, high)


def otherwise(trial: FrozenTrial, here: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return in what this machine may round otherwise than the one that trained a trial: there, and here.

    What an older version did not store counts as unknown, which may be otherwise too.
    """
    names = ROUNDING if here["device"] == "cpu" else ("device", "torch")
    pairs = {name: (str(trial.user_attrs.get(name, "unknown")), str(here[name])) for name in names}
    return {name: (there, now) for name, (there, now) in pairs.items() if there != now}


def prediction_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval in which one more value of the same normal population falls; needs two values."""
    n = len(values)
    reach = float(special.stdtrit(n - 1, 0.975)) * stdev(values) * (1 + 1 / n) ** 0.5
    return fmean(values) - reach, fmean(values) + reach


def _fresh_values(trial: FrozenTrial, recipe: Recipe) -> list[float]:
    attrs, (train, scored) = trial.user_attrs, recipe.sets(trial)
    fleet = Fleet(train, derive(attrs["order_seed"], "fresh"), attrs["batch"])
    seeds = [derive(attrs["init_seed"], "fresh", k) for k in range(FRESH_SEEDS)]
    members = [recipe.member(fleet, trial, seed) for seed in seeds]
    for _ in range(attrs["epochs"]):
        fleet.train_epoch()
    return [recipe.family.score(member.network(), scored).value for member in members]
