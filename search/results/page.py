"""The report as one HTML page that needs nothing else: figures, plotly.js, style and words are all inside."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from search.results.display import Display, Names
from search.results.drawing import Picture
from search.results.front import front_figures
from search.results.influence import influence_figures, influence_sentences
from search.results.summary import best_edges, question_of, wider_command
from search.results.verdict_figures import verdict_figures
from search.results.verdict_text import judged_by, outlook
from search.verdict.boundary import FIRST
from search.verdict.claims import Judgement
from search.verdict.findings import Findings, arm_summary
from search.verdict.judge import SpotSummary
from search.verdict.names import number, unit_of
from studies.claims import Metric
from studies.confirmation import timed
from studies.settings import Setting, short

ANSWERS = {"supported": "Yes", "refuted": "No", "undecided": "Not decided"}
SIGNS = {"supported": "✓", "refuted": "✗", "undecided": "?"}  # so that colour never stands alone

MACHINE = {"device": "device", "threads": "CPU threads", "torch": "PyTorch", "sweetspot": "sweetspot"}


def page(found: Findings) -> str:
    """Return the page; everything that comes from the study is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    display = Display.of(found.search.attributes)
    environment.filters["figure"] = lambda value: "-" if value is None else display.value(value)
    environment.filters["span"] = lambda ci: "" if ci is None else display.span(ci)
    template = environment.from_string((files("search.results") / "page.html").read_text(encoding="utf-8"))
    return template.render(
        **_words(found, display),
        plotly=get_plotlyjs(),
        pictures=[(picture, _inline(picture)) for picture in _pictures(found)],
        claims=_cards(found),
        signs=SIGNS,
        effect=_effect,
        arms=[(role, arm_summary(found, role)) for role in ("winner", "baseline")],
    )


def _pictures(found: Findings) -> list[Picture]:
    return [*verdict_figures(found), *front_figures(found.search), *influence_figures(found.search)]


def _cards(found: Findings) -> list[tuple[Judgement, Judgement | None]]:
    """Return each claim with what it is where settings are tuned, None where it is not judged so."""
    fair = {claim.id: claim for claim in found.verdict.fair_claims}
    return [(claim, fair.get(claim.id)) for claim in found.verdict.claims]


def _inline(picture: Picture) -> str:
    """Return a figure's JSON as it may stand inside a script element."""
    return str(picture.plot.to_json()).replace("<", "\\u003c")


def _words(found: Findings, display: Display) -> dict[str, Any]:
    claims = found.verdict.claims
    right = claims[-1] if display.words.last_answers or len(claims) == 1 else None
    return {
        "found": found,
        "display": display,
        "words": display.words,
        "question": found.search.attributes.get("question", found.search.name),
        "answer": ANSWERS[right.verdict] if right else _counted(claims),
        "right": right,
        "names": Names.of([arm.setting for arm in found.verdict.arms], found.asked.called),
        "kinds": {claim.kind for claim in found.asked.claims},
        "quick": found.quick,
        "first": min(FIRST, found.seeds),
        "judged_by": judged_by(found),
        "outlook": outlook(found),
        "edges": best_edges(found.search),
        "influence": influence_sentences(found.search),
        "wider": wider_command(found.search),
        "published": found.quotable,
        "margins": _margins(found),
        "spots": [_spot(found, display, spot) for spot in found.verdict.sweet_spot],
        "protocol": list(_protocol(found, display)),
        "machine": list(_machine(found, display.words.data)),
        "command": command(found),
        "date": found.ended.date(),
    }


def _counted(claims: Sequence[Judgement]) -> str:
    """Say how many of several claims hold."""
    counts = Counter[str](claim.verdict for claim in claims)
    if not claims:
        return "This study claims nothing"
    return f"Of {len(claims)} claims, " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in ANSWERS)


def _effect(claim: Judgement) -> str:
    """Return a claim's effect and its interval in its own unit."""
    if claim.effect is None:
        return "not measured"
    unit = claim.parts[0].hypothesis.unit
    low, high = (number(bound, unit) for bound in claim.ci95 or (0, 0))
    known = f" (95 % interval {low} to {high})" if claim.ci95 else ""
    return f"{number(claim.effect, unit)}{'' if unit == 'plain' else f' {unit}'}{known}, n = {claim.n}"


def _margins(found: Findings) -> str:
    """Write the margins as a sentence lists them."""
    told = [_margin(name, size, found.asked.metric) for name, size in found.verdict.margins().items()]
    return ", ".join(told[:-1]) + " and " + told[-1] if len(told) > 1 else "".join(told)


def _margin(name: str, sizes: Any, metric: Metric) -> str:
    known = sizes if isinstance(sizes, list) else [sizes]
    if name == "time_ratio":
        return f"{' or '.join(number(size, 'times') for size in known)} times the time"
    size = " or ".join(number(each, unit_of(metric)) for each in known)
    of = "gap" if name == "gap" else metric.name.removeprefix("validation ")
    return f"{size}{' points' if metric.fraction else ''} of {of}"


def _spot(found: Findings, display: Display, spot: SpotSummary) -> str:
    """Describe where a sweet spot may lie."""
    called, protocols = spot.claim.words.called, found.asked.protocols.names
    one, many = (called.one, called.many) if called else (f"value of {spot.claim.parameter}",) * 2
    has = f"has\n{spot.best} {called.unit}" if called else f"is at\n{spot.claim.parameter}={short(spot.best)}"
    top = "highest" if found.asked.metric.sign > 0 else "lowest"
    knee = "no " + one if spot.knee is None else short(spot.knee)
    likely = ", ".join(map(short, spot.plausible)) or f"none of the {many} tried"
    return (
        f"{display.words.at[protocols.index(spot.protocol)]}: the {top} mean {has}; the smallest {one} within the "
        f"margin of it is {short(spot.smallest_within_margin)}, within one standard error\n"
        f"{short(spot.one_standard_error)}; "
        f"the knee of {display.plain_metric} over parameters lies at {knee}; not ruled out as sweet spot\n"
        f"{'is' if len(spot.plausible) == 1 else 'are'} {likely}."
    )


def _protocol(found: Findings, display: Display) -> Iterator[tuple[str, str]]:
    stored, words = found.confirmation.attributes["fingerprint"], display.words
    names = Names.of([arm.setting for arm in found.plan.arms], found.asked.called)
    yield "network", words.network
    split = ", ".join(f"{name} {value}" for name, value in stored["split"].items())
    yield words.data, f"{words.split}{split}"
    yield "batch", f"{stored['batch']}, shuffled every epoch"
    yield "epochs", f"{found.epochs} for every confirming run"
    yield (
        "seeds",
        f"{found.seeds_told}, the same at every {names.one}; each sets initial weights and the order of batches",
    )
    yield names.many, _listed(found, names)
    for arm in found.plan.arms:
        if arm.source is not None and arm.protocol == found.asked.protocols.tuned:
            free = ", ".join(display.cell(name, arm.params) for name in found.asked.protocols.free)
            yield (
                words.tuned_row.format(name=names.full(arm.setting)),
                f"{free}, from trial {arm.source} of the search",
            )
    method = found.search.attributes.get("method")
    how = f"; {method}" if method else ""
    yield "search", f"{found.plan.finished} finished trials, seed {found.search.attributes.get('seed')}{how}"


def _listed(found: Findings, names: Names) -> str:
    settings = {arm.setting for arm in found.plan.arms if arm.protocol in found.asked.protocols.names}
    separator = ", " if names.called or len(names.varying) == 1 else "; "
    return separator.join(names.brief(setting) for setting in sorted(settings, key=Setting.order))


def _machine(found: Findings, data: str) -> Iterator[tuple[str, str]]:
    for name, title in (
        ("device", "device"),
        ("threads", "CPU threads"),
        ("torch", "PyTorch"),
        ("sweetspot", "sweetspot"),
    ):
        yield title, ", ".join(sorted({str(trial.user_attrs.get(name, "unknown")) for trial in found.trials}))
    yield "training", f"{sum(trial.user_attrs['seconds'] for trial in found.trials):.0f} s for {len(found.trials)} runs"
    if found.timing:
        rounds = max(len(row["seconds_per_epoch"]) for _, row in timed(found.timing))
        examples = f"{found.timing['images']:,} {data}"
        yield "timed on", f"{found.timing['device']}, {rounds} rounds of one epoch of {examples}"


def command(found: Findings) -> str:
    """Return the command that makes a study like this one, down to its seeds."""
    question, trials = question_of(found.search.attributes), found.plan.finished - found.search.counts.copied
    return (
        f"python -m search.run{question} --trials {trials} --epochs {found.search.epochs} "
        f"--seed {found.search.attributes['seed']} --confirm-seeds {found.seeds} --confirm-epochs {found.epochs}"
    )
