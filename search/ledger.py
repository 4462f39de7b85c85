"""What a study promises, kept in SQL: one schema, one baseline, an exact budget, every trial accounted for.

The engine asks here and tells here. Whatever several processes must not do at once is done under the study's lock.
"""

import json
import logging
import os
import platform
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import TrialState

from model.seeds import derive
from search.errors import NotFoundError, SearchError, StudyMismatchError
from search.storage import Storage, shown
from studies.spec import Params, StudySpec

_log = logging.getLogger(__name__)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # what counts towards the budget
BEAT_SECONDS = 10.0  # between two heartbeats of a worker's trials
GRACE_SECONDS = 60.0  # without a heartbeat until a trial counts as stale
MAX_RETRIES = 3  # times a trial is run again after its worker died
KEPT = ("baseline", "protocol", "role", "seed_index", "init_seed", "lr_from")  # what a trial is, also when run again
MAX_FAILED = 20  # diverged trials a study replaces before it gives up: beyond that, something else is wrong


@dataclass(frozen=True)
class Counts:
    """How many trials of a study are in which state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that count towards the budget."""
        return self.complete + self.pruned


class TrialLostError(Exception):
    """A trial that we train was ended by somebody else; caught in the engine, never shown as an error."""


class Ledger:
    """A study in SQL, open for work."""

    def __init__(self, storage: Storage, study: optuna.Study, spec: StudySpec, seed: int) -> None:
        self.storage = storage
        self.study = study
        self.spec = spec
        self.seed = seed
        self._last_beat = 0.0

    def counts(self) -> Counts:
        """Count the study's trials by state."""
        by_state = Counter(trial.state for trial in self.study.get_trials(deepcopy=False))
        order = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
        return Counts(*(by_state[state] for state in order))

    def claim(self, budget: int) -> optuna.Trial | None:
        """Ask for the next trial, or return None when `budget` trials are finished or under way.

        Waiting trials, the baseline first, go before sampled ones. "Count, then ask" is one step for all processes,
        and each trial's draws come from the study's seed and its number.
        Raises `SearchError` when too many trials have failed.
        """
        with self.storage.lock(self.study.study_name):
            self._sweep()
            counts = self.counts()
            if counts.failed > MAX_FAILED:
                raise SearchError(f"{counts.failed} trials of {self.study.study_name!r} failed; see their 'reason'")
            if counts.finished + counts.running >= budget:
                return None
            return self._ask()

    def _ask(self) -> optuna.Trial:
        """Take the first waiting trial, or sample one; under the study's lock."""
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = self.spec.sampler(derive(self.seed, "sampler", number) % 2**32)
        trial = self.study.ask(dict(self.spec.space))
        self.storage.beat([trial._trial_id])
        trial.set_user_attr("worker", f"{platform.node()}:{os.getpid()}")
        return trial

    def beat(self, trials: Iterable[optuna.Trial]) -> None:
        """Say that these trials are being worked on; at most every `BEAT_SECONDS`."""
        if time.monotonic() - self._last_beat >= BEAT_SECONDS:
            self.storage.beat(trial._trial_id for trial in trials)
            self._last_beat = time.monotonic()

    def _sweep(self) -> None:
        """Fail trials whose worker died, and queue each again with the same parameters."""
        for trial_id in self.storage.stale(self.study._study_id, GRACE_SECONDS):
            lost = self.storage.optuna.get_trial(trial_id)
            self.storage.set_attrs(trial_id, {"reason": "stale: its worker stopped without a word"})
            self.study.tell(lost.number, state=TrialState.FAIL)
            retry = lost.user_attrs.get("retry", 0) + 1
            _log.warning("trial %d is stale (%s)", lost.number, lost.user_attrs.get("worker", "worker unknown"))
            if retry <= MAX_RETRIES:
                kept = {name: lost.user_attrs[name] for name in KEPT if name in lost.user_attrs}
                enqueue(self.study, self.spec.space, lost.params, **kept, retry=retry, retry_of=lost.number)

    def report(self, trial: optuna.Trial, value: float, epoch: int) -> bool:
        """Store a trial's value at an epoch; return whether the pruner would stop it.

        Raises `TrialLostError`, as `complete`, `prune` and `fail` do, if somebody else has ended the trial meanwhile.
        """
        with _ours(trial):
            trial.report(value, epoch)
            return trial.should_prune()

    def complete(self, trial: optuna.Trial, value: float, attrs: Mapping[str, Any]) -> None:
        """Tell a trial that trained to its end, with what is known of it."""
        with _ours(trial):
            self.storage.set_attrs(trial._trial_id, attrs)
            self.study.tell(trial, value)

    def prune(self, trial: optuna.Trial, attrs: Mapping[str, Any]) -> None:
        """Tell a trial that the pruner stopped, with what is known of it."""
        with _ours(trial):
            self.storage.set_attrs(trial._trial_id, attrs)
            self.study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: optuna.Trial, reason: str) -> None:
        """Tell a trial that cannot be finished, and why; another takes its place in the budget."""
        with _ours(trial):
            self.storage.set_attrs(trial._trial_id, {"reason": reason})
            self.study.tell(trial, state=TrialState.FAIL)

    def give_back(self, trials: Iterable[optuna.Trial]) -> None:
        """Let a later run take these trials up again, with the same numbers and parameters."""
        self.storage.give_back(trial._trial_id for trial in trials)


def open_ledger(storage: Storage, spec: StudySpec, seed: int | None = None) -> Ledger:
    """Open a study, creating it with its baseline enqueued where it is not there yet.

    Any number of processes may do this at once. `seed` None means the stored seed, or 0 for a new study.
    Raises `StudyMismatchError` if the stored study is not the one asked for.
    """
    with storage.lock(spec.name), quiet_experiments():
        study = optuna.create_study(
            study_name=spec.name,
            storage=storage.optuna,
            direction=spec.direction,
            pruner=spec.pruner,
            load_if_exists=True,
        )
        if "fingerprint" not in study.user_attrs:
            _state(study, spec, seed or 0)
        stored = study.user_attrs
        asked = {**spec.fingerprint(), "seed": stored["seed"] if seed is None else seed}
        _check(spec.name, {**stored["fingerprint"], "seed": stored["seed"]}, asked)
        if spec.baseline and not any(trial.user_attrs.get("baseline") for trial in study.get_trials(deepcopy=False)):
            enqueue(study, spec.space, spec.baseline, baseline=True)
    return Ledger(storage, study, spec, stored["seed"])


def load_study(storage: Storage, name: str) -> optuna.Study:
    """Return a stored study for reading; raises `NotFoundError`, naming those there are."""
    try:
        return optuna.load_study(study_name=name, storage=storage.optuna)
    except KeyError:
        names = ", ".join(optuna.get_all_study_names(storage.optuna)) or "none"
        raise NotFoundError(f"no study {name!r} in {shown(storage.url)}; there are: {names}") from None


def stored_epochs(storage: Storage, name: str) -> int | None:
    """Return the epochs that a stored study was begun with, None for a new study."""
    if name not in optuna.get_all_study_names(storage.optuna):
        return None
    fingerprint = load_study(storage, name).user_attrs.get("fingerprint", {})
    return fingerprint.get("epochs")  # type: ignore[no-any-return]  # attributes are untyped JSON


def enqueue(study: optuna.Study, space: Mapping[str, BaseDistribution], params: Params, **attrs: Any) -> None:
    """Put a trial with fixed parameters in the queue; raises `ValueError` for a name or value outside the space."""
    if params.keys() != space.keys():
        raise ValueError(f"parameters must be {sorted(space)}, not {sorted(params)}")
    for name, value in params.items():
        if not space[name]._contains(space[name].to_internal_repr(value)):
            raise ValueError(f"{name} = {value!r} is outside {space[name]}")
    study.enqueue_trial(dict(params), user_attrs=attrs)


def quiet_experiments() -> "warnings.catch_warnings[None]":
    """Silence Optuna's warning on metric names being experimental: the version is pinned below 6."""
    return warnings.catch_warnings(action="ignore", category=ExperimentalWarning)


@contextmanager
def _ours(trial: optuna.Trial) -> Iterator[None]:
    """Translate Optuna's two ways to say that a trial is no longer running."""
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise TrialLostError(f"trial {trial.number} was ended elsewhere") from error
    except ValueError as error:
        if not str(error).startswith("Cannot tell a"):
            raise
        raise TrialLostError(f"trial {trial.number} was ended elsewhere") from error


def _state(study: optuna.Study, spec: StudySpec, seed: int) -> None:
    """Write into a new study what it is; refuse a study of the same name that somebody else made."""
    if study.get_trials(deepcopy=False):
        raise StudyMismatchError(f"study {spec.name!r} was not made by sweetspot; choose another --study name")
    study.set_metric_names([spec.metric])
    study.set_user_attr("question", spec.question)
    study.set_user_attr("seed", seed)
    study.set_user_attr("fingerprint", spec.fingerprint())  # last: with it the study is stated


def _check(name: str, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    for key in sorted({*stored, *asked}):
        if stored.get(key) != asked.get(key):
            was, now = (json.dumps(side.get(key)) for side in (stored, asked))
            raise StudyMismatchError(f"study {name!r} has {key} {was}, you ask for {now}; choose another --study name")
