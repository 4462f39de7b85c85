"""The verdict and its figures, from what is in SQL: `python -m search.report`. Trains nothing."""

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from search import cli
from search.results.page import page
from search.store.storage import open_storage
from search.verdict.claims import Claim
from search.verdict.findings import Findings, arm_summary, document, findings
from search.verdict.judge import WidthSummary
from studies.confirmation import PUBLISHED_EPOCHS, PUBLISHED_SEEDS
from studies.sweet_spot import ARTICLE_EPOCHS

COLOURS = {"supported": "green", "refuted": "red", "undecided": "yellow"}
PROTOCOLS = {"article-lr": "every width at the article's lr", "best-lr": "each width at the best lr found for it"}
PLOT, TEXT = 44, 96  # characters


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


def show(found: Findings, console: Console) -> None:
    """Print the claims with their verdicts, accuracy by width, and the winner beside the baseline."""
    console.print(f"\n{_headline(found)}", markup=False)
    _claims(found.verdict.claims, console)
    for line in short(found.verdict.fair_claims):
        console.print(line, markup=False)
    for protocol, words in PROTOCOLS.items():
        console.print(
            f"\nvalidation accuracy by hidden units, {words} (mean and 95 % interval over seeds)", markup=False
        )
        for line in curve([width for width in found.verdict.widths if width.protocol == protocol]):
            console.print(line, markup=False)
    console.print()
    for line in (*arm_summaries(found), *caveats(found)):
        console.print(line, markup=False)


def _headline(found: Findings) -> str:
    return (
        f"verdict on the article's claims: {found.seeds} fresh seeds, {found.epochs} epochs "
        f"(the article trains {ARTICLE_EPOCHS}), lr 0.02 at every width"
    )


def _claims(claims: Sequence[Claim], console: Console) -> None:
    for claim in claims:
        colour = COLOURS[claim.verdict]
        console.print(f"  [{colour}]{claim.verdict:<10}[/{colour}] {claim.id}")
        console.print(textwrap.indent(textwrap.fill(claim.sentence, TEXT), " " * 13), markup=False)


def short(claims: Sequence[Claim]) -> list[str]:
    """Return the verdicts alone, for the claims with each width at its best learning rate."""
    listed = ", ".join(f"{claim.id} {claim.verdict}" for claim in claims)
    return [f"with each width at its own best lr: {listed}"] if claims else []


def curve(widths: Sequence[WidthSummary]) -> list[str]:
    """Draw a line for each width: its mean as a dot within its interval."""
    low = min(((width.ci95 or (width.mean, 0))[0] for width in widths), default=0.0)
    high = max(((width.ci95 or (0, width.mean))[1] for width in widths), default=1.0)
    return [_line(width, low, high) for width in widths]


def _line(width: WidthSummary, low: float, high: float) -> str:
    def column(value: float) -> int:
        return round((value - low) / (high - low or 1) * (PLOT - 1))

    start, end = width.ci95 or (width.mean, width.mean)
    cells = ["─" if column(start) <= i <= column(end) else " " for i in range(PLOT)]
    cells[column(start)], cells[column(end)], cells[column(width.mean)] = "├", "┤", "●"
    return f"{width.width:>5} {width.mean:>7.2%} {_span(width.ci95):14} {''.join(cells)} lr {width.lr:.5f}"


def _span(bounds: Sequence[float] | None) -> str:
    return f"{100 * bounds[0]:.2f} to {100 * bounds[1]:.2f}" if bounds else ""


def arm_summaries(found: Findings) -> list[str]:
    """Return a line each for winner and baseline: the search's figure, and beside it that of fresh seeds."""
    head = f"{'':8} {'trial':>5} {'units':>5} {'lr':>8} {'search':>7}  {'fresh seeds':<26}{'test images':<26}"
    return [head.rstrip(), *(_arm_line(role, arm_summary(found, role)) for role in ("winner", "baseline"))]


def _arm_line(role: str, who: dict[str, Any]) -> str:
    number = "-" if who["number"] is None else who["number"]
    search = "-" if who["search_accuracy"] is None else f"{who['search_accuracy']:.2%}"
    fresh, test = (_mean(who[figure]) for figure in ("validation_accuracy", "test_accuracy"))
    params = who["params"]
    line = f"{role:8} {number:>5} {params['hidden_units']:>5} {params['lr']:8.5f} {search:>7}  {fresh:<26}{test}"
    return line.rstrip()


def _mean(spread: dict[str, Any]) -> str:
    if spread["mean"] is None:
        return "-"
    return f"{spread['mean']:.2%}" + (f" ({_span(spread['ci95'])})" if spread["ci95"] else "")


def caveats(found: Findings) -> list[str]:
    """Return what a reader must know before quoting the verdict."""
    searched = found.search.user_attrs["fingerprint"]["epochs"]
    lines = [
        f"search: one trial's validation accuracy after {searched} epochs, for a winner lifted by its luck",
        f"fresh seeds: mean of {found.seeds} after {found.epochs} epochs, with its 95 % interval",
        "test images: the same runs; these images have chosen nothing",
    ]
    if found.diverged:
        lines.append(f"{found.diverged} runs diverged and are missing, which flatters their widths")
    if found.seeds < PUBLISHED_SEEDS or found.epochs < PUBLISHED_EPOCHS:
        lines.append(f"a quick look; for a verdict to quote: {published_command()}")
    return lines


def published_command() -> str:
    """Return the command behind a verdict to quote."""
    return (
        f"python -m search.run --study published --confirm-seeds {PUBLISHED_SEEDS} --confirm-epochs {PUBLISHED_EPOCHS}"
    )


main = cli.entry(report, "search.report")

if __name__ == "__main__":
    main()
