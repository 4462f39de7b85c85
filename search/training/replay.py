"""Trains a trial again from what is stored of it, and compares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import t as student

from model.data.mnist import Images, Mnist
from model.fleet.fleet import Fleet
from model.network.member import Member
from model.network.mlp import MLP, MLPConfig, initialised
from model.network.scoring import evaluate
from model.seeds import derive
from model.threads import using
from search.errors import NotFoundError
from search.store.attributes import nonsense
from search.store.trials import unusable
from search.training.engine import SHORT, scores

RECIPE = ("order_seed", "batch", "epochs", "first_epoch", "threads")  # and init_seed: how a trial was trained
ROUNDING = ("device", "torch", "cpu", "instructions", "mkl")  # what a CPU's bits depend on; threads are restored
FRESH_SEEDS = 5  # runs that measure the seed noise, where a rerun is not identical


@dataclass(frozen=True)
class Replay:
    """What a rerun measured: the same names as the stored figures, accuracy by epoch, and the network it ended with."""

    figures: Mapping[str, float]
    by_epoch: Mapping[int, float]
    network: MLP

    def repeats(self, trial: FrozenTrial) -> bool:
        """Whether every figure is the stored one to the last digit."""
        stored = {name: trial.user_attrs[name] for name in self.figures}
        return stored == self.figures and trial.intermediate_values == self.by_epoch


def finished_trial(study: Study, number: int) -> FrozenTrial:
    """Return a trial that has a result to compare with; raises `NotFoundError`."""
    trial = next((trial for trial in study.get_trials(deepcopy=False) if trial.number == number), None)
    if trial is None:
        raise NotFoundError(f"study {study.study_name!r} has no trial {number}; it has {len(study.trials)}")
    finished = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    if reason := _lack(trial) if finished else trial.user_attrs.get("reason", "no result yet"):
        raise NotFoundError(f"trial {number} cannot be compared: it is {trial.state.name} ({reason})")
    return trial


def _lack(trial: FrozenTrial) -> str | None:
    """Return why a finished trial cannot be trained again, None if it can: it may be no network of ours."""
    attrs = trial.user_attrs
    if wrong := nonsense(trial):
        return wrong
    if "init_seed" not in attrs:
        return "no result yet"
    if attrs.get("train_on") not in {"train", "full"} or attrs.get("score_on") not in SHORT:
        return "nobody knows on which images"
    figures = [f"{part}_{figure}" for part in ("train", SHORT[attrs["score_on"]]) for figure in ("accuracy", "loss")]
    missing = next((name for name in (*RECIPE, *figures) if name not in attrs), None)
    return f"it has no {missing}" if missing else unusable(trial)


def replayed(trial: FrozenTrial, data: Mnist) -> Replay:
    """Train a trial as it was trained, from its own seeds and, on a CPU, with as many threads."""
    attrs, (train, scored) = trial.user_attrs, _sets(trial, data)
    fleet = Fleet(train, attrs["order_seed"], attrs["batch"])
    member = _join(fleet, trial, attrs["init_seed"])
    by_epoch: dict[int, float] = {}
    with using(attrs["threads"]):
        for clock, threads in _epochs(attrs):
            fleet.clock = clock
            with using(threads):
                fleet.train_epoch()
            if member.epochs_trained in trial.intermediate_values:
                by_epoch[member.epochs_trained] = evaluate(member.network(), scored).accuracy
        return Replay(_figures(trial, member, train, scored), by_epoch, member.network())


def _epochs(attrs: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Return the clock of the fleet and the number of threads for each epoch of a trial.

    An older trial was never away from its fleet, or had as many threads in all its segments.
    """
    for _, clock, epochs, *threads in attrs.get("stints", [[0, attrs["first_epoch"], attrs["epochs"]]]):
        for epoch in range(epochs):
            yield clock + epoch, *(threads or [attrs["threads"]])


def compare(trial: FrozenTrial, replay: Replay, data: Mnist) -> tuple[str, tuple[float, float] | None]:
    """Return "identical", "within seed noise" or "different", and the interval that decided between the last two.

    Identical means every stored figure to the last digit. Otherwise the trial is trained from fresh seeds, and the
    stored accuracy is within seed noise if it lies in their 95 % prediction interval for one more run (Student's t).
    """
    if replay.repeats(trial):
        return "identical", None
    low, high = prediction_interval(_fresh_accuracies(trial, data))
    accuracy = trial.user_attrs[_accuracy_name(trial)]
    return ("within seed noise" if low <= accuracy <= high else "different"), (low, high)


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
    reach = student.ppf(0.975, n - 1) * stdev(values) * (1 + 1 / n) ** 0.5
    return fmean(values) - reach, fmean(values) + reach


def _fresh_accuracies(trial: FrozenTrial, data: Mnist) -> list[float]:
    attrs, (train, scored) = trial.user_attrs, _sets(trial, data)
    fleet = Fleet(train, derive(attrs["order_seed"], "fresh"), attrs["batch"])
    members = [_join(fleet, trial, derive(attrs["init_seed"], "fresh", k)) for k in range(FRESH_SEEDS)]
    for _ in range(attrs["epochs"]):
        fleet.train_epoch()
    return [evaluate(member.network(), scored).accuracy for member in members]


def _join(fleet: Fleet, trial: FrozenTrial, seed: int) -> Member:
    model = initialised(MLPConfig(trial.params["hidden_units"]), seed)
    return fleet.add(model, trial.params["lr"])


def _sets(trial: FrozenTrial, data: Mnist) -> tuple[Images, Images]:
    return getattr(data, trial.user_attrs["train_on"]), getattr(data, trial.user_attrs["score_on"])


def _accuracy_name(trial: FrozenTrial) -> str:
    return f"{SHORT[trial.user_attrs['score_on']]}_accuracy"


def _figures(trial: FrozenTrial, member: Member, train: Images, scored: Images) -> dict[str, float]:
    network = member.network()
    return scores(trial.user_attrs["score_on"], evaluate(network, train), evaluate(network, scored))
