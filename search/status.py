"""How a study is getting on, whoever works on it: `python -m search.status`."""

from typing import Annotated, Any

import typer

from search import cli
from search.results.follow import follow, rendered
from search.results.progress import progress
from search.signals import ending
from search.store.storage import open_storage
from search.store.study import load_study


def status(  # noqa: PLR0917  # Typer passes options by name
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until all is done; Ctrl-C ends it sooner.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="With --watch: seconds between two looks.")] = 2.0,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show counts by state, who works on a study, how fast and for how long; queue again what dead workers left."""
    cli.set_up_logging(verbose)
    opened = open_storage(storage, create=False)

    def look() -> dict[str, Any]:
        return opened.retry(lambda: progress(opened, load_study(opened, study)))

    if watch:
        with ending():  # a live table hides the terminal's cursor
            follow(look, every, cli.out, as_json=as_json)
    elif as_json:
        cli.print_json(look())
    else:
        cli.out.print(rendered(look()))


main = cli.entry(status, "search.status")

if __name__ == "__main__":
    main()
