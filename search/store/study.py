"""What a study promises, kept in SQL: one schema, one baseline, an exact budget, every trial accounted for.

Every call waits while the database is away, and may be run again then: nothing is acquired, told or queued twice.
"""

import json
import logging
import math
import os
import platform
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from model.seeds import derive
from search.errors import NotFoundError, SearchError, StorageError, StudyMismatchError
from search.store.attributes import check_study
from search.store.copies import complete_copies, to_copy
from search.store.counts import COPIED, Counts, count
from search.store.queue import GRACE_SECONDS, enqueue, fail_stale, invalid_params
from search.store.snapshot import Draft, Snapshot
from search.store.state import StudyState, read_state
from search.store.storage import Storage
from search.store.url import redacted
from studies.asking import SpaceError, written
from studies.optuna_private import study_key, trial_key
from studies.spec import CLAIMS, StudySpec, differences

_log = logging.getLogger(__name__)
_WARNINGS = threading.Lock()
HEARTBEAT_SECONDS = 10.0  # between two heartbeats of a worker's trials, and between two looks for stale ones
MAX_FAILED = 20  # diverged trials a study replaces before it gives up: beyond that, something else is wrong
P = ParamSpec("P")
R = TypeVar("R")


class TrialLostError(Exception):
    """A trial that we train was ended by somebody else; caught in the engine, never shown as an error."""


def _retried(call: "Callable[Concatenate[StudyStore, P], R]") -> "Callable[Concatenate[StudyStore, P], R]":
    """Let a method of the store wait while the database is away."""

    @wraps(call)
    def retried(self: "StudyStore", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.storage.retry(lambda: call(self, *args, **kwargs))

    return retried


def process_name(pid: int) -> str:
    """Return what the names of workers begin with that live in this process of this machine."""
    return f"{platform.node()}:{pid}:"


class StudyStore:
    """A study in SQL, open for work; no other process, wherever it runs, has the same name as `worker`."""

    def __init__(self, storage: Storage, study: optuna.Study, spec: StudySpec, seed: int) -> None:
        self.storage = storage
        self.study = study
        self.spec = spec
        self.seed = seed
        self.worker = f"{process_name(os.getpid())}{secrets.token_hex(4)}"
        self.heartbeat_seconds = HEARTBEAT_SECONDS
        self.grace_seconds = GRACE_SECONDS
        self._held: set[int] = set()  # ids of the trials that this worker has acquired and not ended
        self._last_heartbeat = self._last_stale_check = 0.0
        self._known: list[FrozenTrial] | None = None  # all trials, if nothing but acquiring has happened since
        self._failed_lately = True  # or perhaps: the study may have been tried before

    @_retried
    def counts(self) -> Counts:
        """Count the study's trials by state."""
        return count(self.study)

    @_retried
    def state(self) -> StudyState:
        """Read all that is known of the study."""
        return read_state(self.storage, self.study)

    @_retried
    def set_budget(self, budget: int) -> None:
        """Store how many finished trials the study is to have; `acquire` reads it."""
        self.storage.amend(study_key(self.study), lambda _attrs, _finished: {"budget": budget})

    @_retried
    def budget(self) -> int:
        """Return how many finished trials the study is to have; 0 if nobody has asked for any."""
        return int(self.study.user_attrs.get("budget", 0))

    @_retried
    def acquire(self) -> optuna.Trial | None:
        """Return the next trial, or None when all that the study is to have are finished or under way.

        Waiting trials, the baseline first, go before sampled ones. Counting and acquiring is one transaction of the
        database, and each trial's draws come from the study's seed and its number. A queued trial whose parameters
        do not fit the space is failed with the reason. Raises `SearchError` when too many trials have diverged, whoever
        trained them; a worker looks the first time and after each failure of its own.
        """
        self._fail_stale_at_times()
        if self._failed_lately:
            _check_failures(self.study)
            self._failed_lately = False
        return self._acquire()

    @_retried
    def _acquire(self, wanted: Mapping[str, Any] | None = None) -> optuna.Trial | None:
        """Acquire a trial, with these attributes if any are wanted, and give it its parameters."""
        acquire = partial(self.storage.acquire, study_key(self.study), self.worker, wanted=wanted)
        while (trial_id := acquire(self._held)) is not None:
            try:
                trial = self._sampled(trial_id)
                self._held.add(trial_id)
                return trial
            except TrialLostError as error:
                _log.warning("%s", error)
        return None

    def _sampled(self, trial_id: int) -> optuna.Trial:
        """Give an acquired trial its parameters: those it was queued with, else the sampler's; all at once."""
        wanted, others = self._read(trial_id)
        if wrong := invalid_params(self.spec.space, wanted.system_attrs.get("fixed_params", {})):
            self.storage.fail(study_key(self.study), trial_id, f"refused: {wrong}", None)
            raise TrialLostError(f"trial {wanted.number} is refused: {wrong}")
        sampler = self.spec.sampler(derive(self.seed, "sampler", wanted.number) % 2**32)
        draft = Draft(self.study, [*others, wanted], wanted)
        trial = optuna.Trial(draft.study(sampler, self.spec.pruner), trial_id)
        self._suggest(trial, wanted.system_attrs.get("fixed_params", {}))
        if draft.params and not self.storage.set_params(trial_id, draft.params, draft.attrs):
            raise _lost(trial)
        trial.study, trial.storage = self.study, self.storage.optuna
        self._known = [*others, draft.trial]
        return trial

    def _read(self, trial_id: int) -> tuple[FrozenTrial, list[FrozenTrial]]:
        """Return a trial that was just acquired, and all others: as they were when one was acquired just before."""
        if self._known is None:
            self._known = self.study.get_trials(deepcopy=False)
            acquired = next(trial for trial in self._known if trial_key(trial) == trial_id)
        else:
            acquired = self.storage.optuna.get_trial(trial_id)
        return acquired, [trial for trial in self._known if trial.number != acquired.number]

    def _suggest(self, trial: optuna.Trial, fixed: Mapping[str, Any]) -> None:
        """Give a trial its parameters; those that it was queued with must occur together."""
        try:
            params = self.spec.space.suggest(trial)
        except SpaceError as error:
            self.storage.fail(study_key(self.study), trial_key(trial), f"refused: the space {error}", None)
            raise SearchError(f"the space of {self.study.study_name!r} {error}") from error
        if idle := next((name for name in fixed if name not in params), None):
            wrong = f"{idle} does not occur with {written(params)}"
            self.storage.fail(study_key(self.study), trial_key(trial), f"refused: {wrong}", None)
            raise TrialLostError(f"trial {trial.number} is refused: {wrong}")

    def heartbeat(self, trials: Iterable[optuna.Trial]) -> None:
        """Say, after each epoch, that these trials are being worked on; stored at most every `heartbeat_seconds`."""
        self._known = None
        if time.monotonic() - self._last_heartbeat >= self.heartbeat_seconds:
            self._heartbeat([trial_key(trial) for trial in trials])
            self._last_heartbeat = time.monotonic()

    @_retried
    def _heartbeat(self, trial_ids: Collection[int]) -> None:
        self.storage.heartbeat(trial_ids)

    def _fail_stale_at_times(self) -> None:
        now = time.monotonic()
        heard = now - self.storage.retry.returned >= self.grace_seconds  # in an outage nobody's heartbeats arrive
        if heard and now - self._last_stale_check >= self.heartbeat_seconds:
            self._fail_stale()

    def _fail_stale(self) -> None:
        self._known = None
        fail_stale(self.storage, self.study, self.grace_seconds)
        self._last_stale_check = time.monotonic()

    @_retried
    def fail_trials_of(self, process: str) -> None:
        """Fail what a process was training, and queue it again: we know that it has ended."""
        fail_stale(self.storage, self.study, self.grace_seconds, dead=process)

    def report(self, trial: optuna.Trial, value: float, epoch: int) -> None:
        """Store a trial's value at an epoch.

        Raises `TrialLostError`, as `complete`, `prune` and `fail` do, if somebody else has ended the trial meanwhile.
        """
        if self.report_all({trial: (epoch, value)}):
            raise _lost(trial)

    @_retried
    def report_all(self, shown: Mapping[optuna.Trial, tuple[int, float]]) -> dict[optuna.Trial, TrialLostError]:
        """Store trials' values, each at an epoch, in one transaction; return those that somebody else has ended."""
        self._known = None
        running = self.storage.report({trial_key(trial): told for trial, told in shown.items()}) if shown else set()
        return {trial: _lost(trial) for trial in shown if trial_key(trial) not in running}

    def should_prune(self, trial: optuna.Trial) -> bool:
        """Return whether the pruner would stop a trial at its last report; none with two aims."""
        return bool(self.to_prune([trial]))

    @_retried
    def to_prune(self, trials: Sequence[optuna.Trial]) -> list[optuna.Trial]:
        """Return those that the pruner would stop at their last reports, all judged by what is known at one moment.

        One that was ended elsewhere is none of them.
        """
        if self.spec.against is not None:
            return []
        known = self.study.get_trials(deepcopy=False)
        study = Snapshot(self.study, known).study(None, self.spec.pruner)
        frozen = {trial_key(trial): trial for trial in known if trial.state == TrialState.RUNNING}
        asked = [(trial, frozen[trial_key(trial)]) for trial in trials if trial_key(trial) in frozen]
        return [trial for trial, stored in asked if self.spec.pruner.prune(study, stored)]

    def complete(self, trial: optuna.Trial, value: float, attrs: Mapping[str, Any]) -> None:
        """Tell a trial that trained to its end, with what is known of it."""
        self._tell(trial, TrialState.COMPLETE, self.spec.values(value, attrs), attrs)

    def prune(self, trial: optuna.Trial, attrs: Mapping[str, Any]) -> None:
        """Tell a trial that the pruner stopped, with what is known of it."""
        self._tell(trial, TrialState.PRUNED, None, attrs)

    def fail(self, trial: optuna.Trial, why: str) -> None:
        """Tell a trial that cannot be finished, and why; another takes its place in the budget."""
        self._failed_lately = True
        self._tell(trial, TrialState.FAIL, [], {"reason": why})

    @_retried
    def _tell(
        self, trial: optuna.Trial, state: TrialState, values: list[float] | None, attrs: Mapping[str, Any]
    ) -> None:
        self._known = None
        if values is not None and any(map(math.isnan, values)):
            raise ValueError(f"trial {trial.number} cannot be told with {values}")
        if not self.storage.end(trial_key(trial), state.name, values, attrs):
            stored = self.storage.optuna.get_trial(trial_key(trial))
            if stored.state != state or stored.user_attrs.get("worker") != self.worker:
                raise _lost(trial)  # else the connection broke after it was told

    def give_back(self, trials: Iterable[optuna.Trial]) -> None:
        """Let a later run take these trials up again, with the same numbers and parameters.

        If the database is away they stay as they are, and are failed as stale.
        """
        ids = [trial_key(trial) for trial in trials]
        try:
            self._give_back(ids)
        except StorageError as error:
            _log.warning("%d open trials could not be given back: %s", len(ids), error)

    @_retried
    def _give_back(self, trial_ids: Collection[int]) -> None:
        self._known = None
        self.storage.give_back(trial_ids)
        self._held.difference_update(trial_ids)


def _enqueue_fixed(study: optuna.Study, spec: StudySpec) -> None:
    """Queue the baseline and the other fixed trials, each once."""
    attrs = [trial.user_attrs for trial in study.get_trials(deepcopy=False)]
    if spec.baseline and not any(each.get("baseline") for each in attrs):
        enqueue(study, spec.space, spec.baseline, baseline=True)
    for index, params in enumerate(spec.fixed):
        if not any(each.get("fixed") == index for each in attrs):
            enqueue(study, spec.space, spec.space.belonging({**(spec.baseline or {}), **params}), fixed=index)


def open_study(storage: Storage, spec: StudySpec, seed: int | None = None) -> StudyStore:
    """Open a study, creating it with its baseline enqueued where it is not there yet.

    Any number of processes may do this at once. `seed` None means the stored seed, or 0 for a new study.
    Raises `StudyMismatchError` if the stored study is not the one asked for.
    """
    return storage.retry(lambda: _open(storage, spec, seed))


def _open(storage: Storage, spec: StudySpec, seed: int | None) -> StudyStore:
    with storage.lock(spec.name), quiet_experiments():
        copied = _to_copy(storage, spec)
        study = optuna.create_study(
            study_name=spec.name,
            storage=storage.optuna,
            directions=spec.directions,
            pruner=spec.pruner,
            load_if_exists=True,
        )
        check_study(study)
        if "fingerprint" not in study.user_attrs:
            _state(study, spec, seed or 0, copied)
        stored = study.user_attrs
        asked = {**spec.fingerprint(), "seed": stored["seed"] if seed is None else seed}
        _check(spec.name, {**stored["fingerprint"], "seed": stored["seed"]}, asked)
        if spec.wider and len(study.get_trials(deepcopy=False)) < len(stored[COPIED]):
            complete_copies(study, load_study(storage, spec.wider.source), spec.space)
        _enqueue_fixed(study, spec)
    return StudyStore(storage, study, spec, stored["seed"])


def _to_copy(storage: Storage, spec: StudySpec) -> list[int] | None:
    """Return the trials of another study that a new one is to begin with, None if with none."""
    if spec.wider is None or stored_fingerprint(storage, spec.name):
        return None
    return to_copy(load_study(storage, spec.wider.source), spec.space, spec.fingerprint())


def load_study(storage: Storage, name: str) -> optuna.Study:
    """Return a stored study for reading; raises `NotFoundError`, naming those there are."""
    try:
        study = optuna.load_study(study_name=name, storage=storage.optuna)
    except KeyError:
        names = ", ".join(optuna.get_all_study_names(storage.optuna)) or "none"
        raise NotFoundError(f"no study {name!r} in {redacted(storage.url)}; there are: {names}") from None
    check_study(study)
    return study


def stored_epochs(storage: Storage, name: str) -> int | None:
    """Return the epochs that a stored study was begun with, None for a new study."""
    return stored_fingerprint(storage, name).get("epochs")


def stored_fingerprint(storage: Storage, name: str) -> Mapping[str, Any]:
    """Return what a stored study states, nothing for a new one."""
    try:  # not by the list of all studies: one with a broken attribute would spoil it
        study = optuna.load_study(study_name=name, storage=storage.optuna)
    except KeyError:
        return {}
    check_study(study)
    return study.user_attrs.get("fingerprint", {})  # type: ignore[no-any-return]  # attributes are untyped JSON


def _check_failures(study: optuna.Study) -> None:
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    diverged = [trial for trial in failed if str(trial.user_attrs.get("reason", "")).startswith("diverged")]
    if len(diverged) > MAX_FAILED:
        why = diverged[-1].user_attrs["reason"]
        raise SearchError(f"{len(diverged)} trials of {study.study_name!r} diverged, the last: {why}")


@contextmanager
def quiet_experiments() -> Iterator[None]:
    """Silence Optuna's warning on metric names being experimental: the version is pinned below 6.

    One thread at a time, since Python's filters are those of the whole process.
    """
    with _WARNINGS, warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        yield


def _lost(trial: optuna.Trial) -> TrialLostError:
    return TrialLostError(f"trial {trial.number} was ended elsewhere")


def _state(study: optuna.Study, spec: StudySpec, seed: int, copied: list[int] | None) -> None:
    """Write into a new study what it is; refuse a study of the same name that somebody else made."""
    directions = [direction.name.lower() for direction in study.directions]
    if study.get_trials(deepcopy=False) or directions != spec.directions:
        raise StudyMismatchError(f"study {spec.name!r} was not made by sweetspot; choose another --study name")
    study.set_metric_names(spec.metrics)
    study.set_user_attr("question", spec.question)
    stated = {"study_file": spec.file and dict(spec.file), "built_in": spec.built_in, "method": spec.method}
    for name, value in {**stated, CLAIMS: spec.asked and spec.asked.as_dict(), COPIED: copied}.items():
        if value is not None:
            study.set_user_attr(name, value)
    study.set_user_attr("seed", seed)
    study.set_user_attr("fingerprint", spec.fingerprint())  # last: with it the study is stated


def _check(name: str, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    for key, *each in differences(stored, asked):
        was, now = map(json.dumps, each)
        raise StudyMismatchError(f"study {name!r} has {key} {was}, you ask for {now}; choose another --study name")
