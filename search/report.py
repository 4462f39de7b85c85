"""The verdict and its figures, from what is in SQL: `python -m search.report`. Trains nothing."""

from pathlib import Path
from typing import Annotated

import typer

from search import cli
from search.errors import UsageError
from search.results.page import page
from search.results.verdict_text import show
from search.store.storage import open_storage
from search.verdict.findings import document, findings


def report(
    html: Annotated[Path | None, typer.Option(help="Write a page that needs no network.", metavar="FILE")] = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show the verdict on the article's claims, and the figures behind it."""
    cli.set_up_logging(verbose)
    if html is not None and not html.absolute().parent.is_dir():
        raise UsageError(f"--html {html}: there is no directory {html.absolute().parent}")
    opened = open_storage(storage, create=False)
    found = findings(opened, study)
    if as_json:
        cli.print_json(document(found))
    else:
        show(found, cli.out)
    if html is not None:
        _write(html, page(found))
        (cli.err if as_json else cli.out).print(f"\nwrote {html.absolute()}", markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror}") from error


main = cli.entry(report, "search.report")

if __name__ == "__main__":
    main()
