"""Calls a search off, whoever works on it.

Its budget becomes what is finished, so nobody acquires another trial; whoever trains one notices within an epoch, or a
second if that is longer, and gives it back. A trial that ends before its worker has noticed still counts.
"""

import time
from collections.abc import Callable
from typing import Any

import optuna

from search.errors import StudyMismatchError
from search.store.counts import count
from search.store.queue import GRACE_SECONDS, fail_stale
from search.store.request import cancel, parse
from search.store.storage import Storage
from search.store.study import load_study

POLL_SECONDS = 0.5  # between two looks at who is still training
WAIT_SECONDS = GRACE_SECONDS + 15  # by then even the trials of a dead worker are stale


def cancel_search(storage: Storage, study: optuna.Study, say: Callable[[str], None]) -> int:
    """Call a search off and wait until nobody trains for it; return how many trials run in spite of that."""
    cancel(storage, study)
    running = _wait(storage, study, say)
    cancel(storage, study, again=True)  # what ended meanwhile counts as well
    return running


def search_to_cancel(storage: Storage, name: str) -> tuple[optuna.Study, bool]:
    """Return a search and whether something is left to do. Raises `NotFoundError` or `StudyMismatchError`."""
    study = load_study(storage, name)
    attrs: dict[str, Any] = study.user_attrs
    if "search" in attrs:
        raise StudyMismatchError(f"study {name!r} confirms {attrs['search']!r}; stop that one")
    request = parse(attrs)
    if request is None or "fingerprint" not in attrs:
        raise StudyMismatchError(f"study {name!r} is no search that anybody has asked trials of; nothing to stop")
    return study, request.open


def _wait(storage: Storage, study: optuna.Study, say: Callable[[str], None]) -> int:
    """Wait until nobody trains for it any more; return how many trials run in spite of that."""
    end, said = time.monotonic() + WAIT_SECONDS, False
    while (running := storage.retry(lambda: _running(storage, study))) and time.monotonic() < end:
        if not said:
            say(f"waiting for {running} running trials to be given back")
        said = True
        time.sleep(POLL_SECONDS)
    return running


def _running(storage: Storage, study: optuna.Study) -> int:
    """Count what runs in the search and its confirmation, after what dead workers had is queued again."""
    linked = study.user_attrs.get("confirmation")
    studies = [study, *([load_study(storage, linked)] if linked else [])]
    for each in studies:
        fail_stale(storage, each)
    return sum(count(each).running for each in studies)
