"""Calls a study off: `python -m search.stop STUDY`."""

from typing import Annotated

import typer

from search import cli
from search.store.counts import Counts, count
from search.store.storage import open_storage
from search.store.url import redacted
from search.workers.cancel import cancel_search, search_to_cancel


def stop(
    study: Annotated[str, typer.Argument(help="Name of the study in the database.")],
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Stop a study: it is to have the trials that are finished and no more. A later search.run goes on with it."""
    cli.set_up_logging(verbose)
    opened = open_storage(storage, create=False)
    found, todo = opened.retry(lambda: search_to_cancel(opened, study))
    running = cancel_search(opened, found, cli.err.print) if todo else 0
    counts = opened.retry(lambda: count(found))
    if as_json:
        counted = {**vars(counts), "finished": counts.finished}
        document = {"study": study, "storage": redacted(opened.url), "counts": counted, "still_running": running}
        cli.print_json(document)
    else:
        _tell(study, counts, running, todo)


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
