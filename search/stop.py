"""Calls a study off: `python -m search.stop STUDY`.

Its budget becomes what is finished, so nobody claims another trial; whoever trains one notices within an epoch, or a
second if that is longer, and gives it back. A trial that ends before its worker has noticed still counts.
"""

import time
from typing import Annotated, Any

import optuna
import typer

from search import cli
from search.errors import StudyMismatchError
from search.store.counts import Counts, count
from search.store.queue import GRACE_SECONDS, fail_stale
from search.store.request import cancel, parse
from search.store.storage import Storage, open_storage
from search.store.study import load_study
from search.store.url import redacted

POLL_SECONDS = 0.5  # between two looks at who is still training
WAIT_SECONDS = GRACE_SECONDS + 15  # by then even the trials of a dead worker are stale


def stop(
    study: Annotated[str, typer.Argument(help="Name of the study in the database.")],
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Stop a study: it is to have the trials that are finished and no more. A later search.run goes on with it."""
    cli.set_up_logging(verbose)
    opened = open_storage(storage, create=False)
    found, todo = opened.retry(lambda: _search(opened, study))
    running = _stop(opened, found) if todo else 0
    counts = opened.retry(lambda: count(found))
    if as_json:
        counted = {**vars(counts), "finished": counts.finished}
        document = {"study": study, "storage": redacted(opened.url), "counts": counted, "still_running": running}
        cli.print_json(document)
    else:
        _tell(study, counts, running, todo)


def _stop(storage: Storage, study: optuna.Study) -> int:
    cancel(storage, study)
    running = _wait(storage, study)
    cancel(storage, study, again=True)  # what ended meanwhile counts as well
    return running


def _search(storage: Storage, name: str) -> tuple[optuna.Study, bool]:
    """Return a search and whether something is left to do. Raises `NotFoundError` or `StudyMismatchError`."""
    study = load_study(storage, name)
    attrs: dict[str, Any] = study.user_attrs
    if "search" in attrs:
        raise StudyMismatchError(f"study {name!r} confirms {attrs['search']!r}; stop that one")
    request = parse(attrs)
    if request is None or "fingerprint" not in attrs:
        raise StudyMismatchError(f"study {name!r} is no search that anybody has asked trials of; nothing to stop")
    return study, request.open


def _wait(storage: Storage, study: optuna.Study) -> int:
    """Wait until nobody trains for it any more; return how many trials run in spite of that."""
    end, said = time.monotonic() + WAIT_SECONDS, False
    while (running := storage.retry(lambda: _running(storage, study))) and time.monotonic() < end:
        if not said:
            cli.err.print(f"waiting for {running} running trials to be given back")
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


def _tell(name: str, counts: Counts, running: int, todo: bool) -> None:
    if not todo:
        cli.out.print(
            f"nothing to stop: study {name!r} has ended, with {counts.finished} finished trials", markup=False
        )
        return
    cli.out.print(
        f"study {name!r} is stopped: {counts.finished} trials finished, {counts.waiting} wait for a later search.run",
        markup=False,
    )
    if running:
        cli.out.print(f"{running} trials still run; they are given back after the epoch that is being trained")


main = cli.entry(stop, "search.stop")

if __name__ == "__main__":
    main()
