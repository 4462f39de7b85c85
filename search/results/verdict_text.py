"""The verdict as text for a terminal."""

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from search.results.display import Display, Names
from search.results.summary import question_of, study_options
from search.verdict.boundary import FIRST
from search.verdict.claims import Judgement
from search.verdict.findings import Findings, arm_summary
from search.verdict.forecast import FORESEEN, Forecast
from search.verdict.judge import ArmSummary

COLOURS = {"supported": "green", "refuted": "red", "undecided": "yellow"}
PLOT, TEXT = 44, 96  # characters


def show(found: Findings, console: Console) -> None:
    """Print the claims with their verdicts, the metric by setting, and the winner beside the baseline."""
    display = Display.of(found.search.attributes)
    console.print(f"\n{_headline(found, display)}", markup=False)
    _claims(found.verdict.claims, console)
    for line in short(found.verdict.fair_claims, display):
        console.print(line, markup=False)
    for line in outlook(found):
        console.print(textwrap.fill(line, TEXT + 13, subsequent_indent="  "), markup=False)
    names = Names.of([arm.setting for arm in found.verdict.arms], found.asked.called)
    axis = names.called.axis if names.called else names.one
    for protocol, words in zip(found.asked.protocols.names, display.words.protocols, strict=False):
        metric = found.asked.metric.name
        console.print(f"\n{metric} by {axis}, {words} (mean and 95 % interval over seeds)", markup=False)
        for line in curve([arm for arm in found.verdict.arms if arm.protocol == protocol], display, names):
            console.print(line, markup=False)
    console.print()
    for line in (*arm_summaries(found, display), *caveats(found, display)):
        console.print(line, markup=False)


def _headline(found: Findings, display: Display) -> str:
    words = display.words
    return f"verdict on {words.claims}: {found.seeds_told} fresh seeds, {found.epochs} epochs{words.length}"


def _claims(claims: Sequence[Judgement], console: Console) -> None:
    for claim in claims:
        colour = COLOURS[claim.verdict]
        console.print(f"  [{colour}]{claim.verdict:<10}[/{colour}] ", end="")
        console.print(claim.id, markup=False)
        console.print(textwrap.indent(textwrap.fill(claim.sentence, TEXT), " " * 13), markup=False)


def short(claims: Sequence[Judgement], display: Display) -> list[str]:
    """Return the verdicts alone, for the claims with the free parameters at their best."""
    listed = ", ".join(f"{claim.id} {claim.verdict}" for claim in claims)
    return [f"with {display.words.each_tuned}: {listed}"] if claims else []


WHY = {
    "settled": "all claims were settled",
    "seeds": "the most seeds that were asked for were reached",
    "minutes": "the minutes that were asked for were spent",
}


def judged_by(found: Findings) -> str:
    """Say by which rule it was judged, and why its intervals are wider than those of a t test."""
    ended = f" It ended when {WHY[found.stopped_by]}." if found.stopped_by in WHY else ""
    return (
        f"From {FIRST} seeds on, every claim was judged again after each seed, and only what no claim had settled got "
        f"another.{ended} The intervals of claims are always valid: they hold at all these looks together, and where "
        "some seeds go badly wrong, so they are wider than Student's t intervals, which hold at one look and for even "
        "noise. The intervals of single settings are Student's."
    )


def outlook(found: Findings) -> list[str]:
    """Say of each undecided claim what would settle it, and how to go on; nothing where all is settled."""
    lines = [f"open: {_where(each, found)}{each.claim}: {_outlook(each, found)}" for each in found.forecasts]
    wanted = [each.had + each.more for each in found.forecasts if each.more]
    return [*lines, f"go on with: {more_command(found, max(wanted))}"] if wanted else lines


def _where(forecast: Forecast, found: Findings) -> str:
    tuned = forecast.protocol != found.asked.protocols.stated
    return f"with {Display.of(found.search.attributes).words.each_tuned}, " if tuned else ""


def _outlook(forecast: Forecast, found: Findings) -> str:
    if forecast.more is None:
        return f"not even {FORESEEN} more seeds are expected to settle it; the truth may lie on its margin"
    seconds = 60 * found.minutes(forecast)
    long = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    about = "at least" if forecast.least else "about"
    return (
        f"{about} {forecast.more} more seed{'s' if forecast.more > 1 else ''}, {long} here, by the spread seen so far"
    )


def more_command(found: Findings, seeds: int) -> str:
    """Return the command that goes on with the confirmation, up to so many seeds."""
    question = question_of(found.search.attributes)
    options = study_options(found.search.name, found.search.storage)
    trials = found.plan.finished - found.search.counts.copied
    return f"python -m search.run{question} --trials {trials}{options} --confirm-seeds {seeds}"


def curve(arms: Sequence[ArmSummary], display: Display, names: Names) -> list[str]:
    """Draw a line for each setting: its mean as a dot within its interval."""
    low = min(((arm.ci95 or (arm.mean, 0))[0] for arm in arms), default=0.0)
    high = max(((arm.ci95 or (0, arm.mean))[1] for arm in arms), default=1.0)
    width = max([5, *(len(names.brief(arm.setting)) for arm in arms)])
    return [_line(arm, low, high, display, f"{names.brief(arm.setting):>{width}}") for arm in arms]


def _line(arm: ArmSummary, low: float, high: float, display: Display, name: str) -> str:
    def column(value: float) -> int:
        return round((value - low) / (high - low or 1) * (PLOT - 1))

    start, end = arm.ci95 or (arm.mean, arm.mean)
    cells = ["─" if column(start) <= i <= column(end) else " " for i in range(PLOT)]
    cells[column(start)], cells[column(end)], cells[column(arm.mean)] = "├", "┤", "●"
    free = [f"{name} {display.cell(name, arm.params)}" for name in display.asked.protocols.free]
    size = 14 if display.asked.metric.fraction else 18
    drawn = f"{name} {display.value(arm.mean):>7} {_span(arm.ci95, display):{size}} {''.join(cells)} {' '.join(free)}"
    return drawn.rstrip()


def _span(bounds: Sequence[float] | None, display: Display) -> str:
    if not bounds:
        return ""
    if display.asked.metric.fraction:
        return f"{100 * bounds[0]:.2f} to {100 * bounds[1]:.2f}"
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}"


def arm_summaries(found: Findings, display: Display) -> list[str]:
    """Return a line each for winner and baseline: the search's figure, and beside it that of fresh seeds."""
    who = {role: arm_summary(found, role) for role in ("winner", "baseline")}
    table = [display.heads(), *(display.cells(one["params"]) for one in who.values())]
    least = [5 if name == display.main else 8 for name in display.space]
    sizes = [max(size, *map(len, column)) for size, *column in zip(least, *table, strict=True)]
    titles, *params = [" ".join(f"{cell:>{size}}" for cell, size in zip(cells, sizes, strict=True)) for cells in table]
    test = f"test {display.words.data}"
    head = f"{'':8} {'trial':>5} {titles} {'search':>7}  {'fresh seeds':<26}{test}"
    return [head, *(_arm_line(role, who[role], own, display) for role, own in zip(who, params, strict=True))]


def _arm_line(role: str, who: dict[str, Any], params: str, display: Display) -> str:
    name = display.asked.metric.short
    number = "-" if who["number"] is None else who["number"]
    search = "-" if who[f"search_{name}"] is None else display.value(who[f"search_{name}"])
    fresh, test = (_mean(who[f"{part}_{name}"], display) for part in ("validation", "test"))
    return f"{role:8} {number:>5} {params} {search:>7}  {fresh:<26}{test}".rstrip()


def _mean(spread: dict[str, Any], display: Display) -> str:
    if spread["mean"] is None:
        return "-"
    return display.value(spread["mean"]) + (f" ({_span(spread['ci95'], display)})" if spread["ci95"] else "")


def caveats(found: Findings, display: Display) -> list[str]:
    """Return what a reader must know before quoting the verdict."""
    data, flattered = display.words.data, display.words.diverged_short
    lines = [
        f"search: one trial's {found.asked.metric.name} after {found.search.epochs} epochs, "
        "for a winner lifted by its luck",
        f"fresh seeds: mean of {found.seeds_told} after {found.epochs} epochs, with its 95 % interval",
        f"test {data}: the same runs; these {data} have chosen nothing",
    ]
    if found.diverged:
        lines.append(f"{found.diverged} runs diverged and are missing, which flatters their {flattered}")
    if found.quick:
        lines.append(f"a quick look; for a verdict to quote: {published_command(found)}")
    return lines


def published_command(found: Findings) -> str:
    """Return the command behind a verdict to quote."""
    question = question_of(found.search.attributes)
    name = f"{found.search.name}-published" if question else "published"
    seeds, epochs = found.quotable
    return f"python -m search.run{question} --study {name} --confirm-seeds {seeds} --confirm-epochs {epochs}"
