"""How a study is getting on, whoever works on it: counts, workers, rate and what is left."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.store.counts import count
from search.store.queue import fail_stale
from search.store.request import parse
from search.store.rows import time_now
from search.store.storage import Storage
from search.store.study import load_study
from search.store.url import redacted
from studies.optuna_private import study_key, trial_key

RECENT = timedelta(minutes=10)  # over which the rate is measured


@dataclass(frozen=True)
class Worker:
    """A process that has trials running."""

    name: str  # host:process:token
    trials: list[int]  # numbers
    heartbeat: float  # seconds since its last one, by the database's clock


def progress(storage: Storage, study: optuna.Study) -> dict[str, Any]:
    """Return the study's state as JSON types, after stale trials have been failed and queued again."""
    attrs = study.user_attrs
    if "fingerprint" not in attrs:  # somebody else's, and nobody has checked what they hold
        attrs = {}
    failed = fail_stale(storage, study) if attrs else []
    ages = storage.ages(study_key(study))
    everything, counts = study.get_trials(deepcopy=False), count(study)
    budget, pace = attrs.get("budget"), rate(storage.times(study_key(study)), time_now())
    left = max(0, budget - counts.finished) if budget else None
    return {
        "study": study.study_name,
        "question": attrs.get("question"),
        "storage": redacted(storage.url),
        "budget": budget,
        "counts": {**vars(counts), "finished": counts.finished},
        "confirmation": _confirmation(storage, attrs),
        "ended": _ended(attrs, counts.finished),
        "trouble": attrs.get("trouble"),
        "workers": [asdict(worker) for worker in workers(everything, ages)],
        "stale": [{"number": trial.number, "worker": trial.user_attrs.get("worker")} for trial in failed],
        "trials_per_minute": pace,
        "minutes_left": left / pace if left is not None and pace else None,
    }


def _confirmation(storage: Storage, attrs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state of the confirmation that belongs to a search, None while there is none."""
    name = attrs.get("confirmation")
    return None if name is None else progress(storage, load_study(storage, name))


def _ended(attrs: Mapping[str, Any], finished: int) -> str | None:
    """Return "done" or "stopped" for a study that nobody works on any more, None while something is left to do."""
    request = parse(attrs)
    if request is None:  # no search: a study that has its trials is done
        return "done" if finished >= attrs.get("budget", math.inf) else None
    return None if request.open else "stopped" if request.stopped else "done"


def workers(trials: Sequence[FrozenTrial], ages: Mapping[int, float]) -> list[Worker]:
    """Return who has trials running, by name."""
    running = defaultdict(list)
    for trial in trials:
        if trial_key(trial) in ages:
            running[str(trial.user_attrs.get("worker", "unknown"))].append(trial)
    return [
        Worker(name, [trial.number for trial in theirs], min(ages[trial_key(trial)] for trial in theirs))
        for name, theirs in sorted(running.items())
    ]


def rate(times: Sequence[tuple[datetime, datetime | None]], now: datetime) -> float | None:
    """Return trials finished per minute, lately; None if there were none.

    `times` are each trial's start and, if it is finished, its end; as `now`, in UTC without a zone.
    """
    recent = [end for _, end in times if end is not None and now - end <= RECENT]
    if not recent:
        return None
    window = now - max(min(start for start, _ in times), now - RECENT)
    return len(recent) / max(window / timedelta(minutes=1), 1e-3)
