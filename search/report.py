"""The verdict and its figures, from what is in SQL: `python -m search.report`. Trains nothing."""

from search import cli
from search.results.page import page
from search.results.verdict_text import show
from search.store.storage import open_storage
from search.verdict.findings import document, findings


def report(
    html: cli.HtmlOption = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show the verdict on the article's claims, and the figures behind it."""
    cli.set_up_logging(verbose)
    cli.check_html(html)
    opened = open_storage(storage, create=False)
    found = findings(opened, study)
    if as_json:
        cli.print_json(document(found))
    else:
        show(found, cli.out)
    if html is not None:
        cli.write_html(html, page(found))
        (cli.err if as_json else cli.out).print(f"\nwrote {html.absolute()}", markup=False)


main = cli.entry(report, "search.report")

if __name__ == "__main__":
    main()
