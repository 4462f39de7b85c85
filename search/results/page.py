"""The report as one HTML page that needs nothing else: figures, plotly.js, style and words are all inside."""

from collections.abc import Iterator
from importlib.resources import files
from itertools import zip_longest
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from search.results.drawing import Picture
from search.results.verdict_figures import verdict_figures
from search.verdict.claims import Claim
from search.verdict.findings import Findings, arm_summary
from studies.confirmation import PUBLISHED_EPOCHS, PUBLISHED_SEEDS
from studies.sweet_spot import ARTICLE_EPOCHS

QUOTES = {  # the article's words
    "too-few-struggles": "10 “struggles to learn”",
    "too-many-slower": "100 “takes longer to train”",
    "too-many-memorizes": "100 “might memorize instead of learn”",
    "25-just-right": "25 is “just right”",
}
SIGNS = {"supported": "✓", "refuted": "✗", "undecided": "?"}  # so that colour never stands alone

MACHINE = {"device": "device", "threads": "CPU threads", "torch": "PyTorch", "sweetspot": "sweetspot"}


def page(found: Findings) -> str:
    """Return the page; everything that comes from the study is escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = lambda value: "-" if value is None else f"{value:.2%}"
    environment.filters["span"] = lambda ci: "" if ci is None else f"{ci[0]:.2%} to {ci[1]:.2%}"
    template = environment.from_string((files("search.results") / "page.html").read_text(encoding="utf-8"))
    return template.render(
        **_words(found),
        plotly=get_plotlyjs(),
        pictures=[(picture, _inline(picture)) for picture in verdict_figures(found)],
        claims=list(zip_longest(found.verdict.claims, found.verdict.fair_claims)),
        quotes=QUOTES,
        signs=SIGNS,
        effect=_effect,
        arms=[(role, arm_summary(found, role)) for role in ("winner", "baseline")],
    )


def _inline(picture: Picture) -> str:
    """Return a figure's JSON as it may stand inside a script element."""
    return str(picture.plot.to_json()).replace("<", "\\u003c")


def _words(found: Findings) -> dict[str, Any]:
    right = found.verdict.claims[-1]
    return {
        "found": found,
        "answer": {"supported": "Yes", "refuted": "No", "undecided": "Not decided"}[right.verdict],
        "right": right,
        "article_epochs": ARTICLE_EPOCHS,
        "quick": found.seeds < PUBLISHED_SEEDS or found.epochs < PUBLISHED_EPOCHS,
        "published": (PUBLISHED_SEEDS, PUBLISHED_EPOCHS),
        "margins": found.verdict.margins,
        "protocol": list(_protocol(found)),
        "machine": list(_machine(found)),
        "command": command(found),
        "date": found.ended.date(),
    }


def _effect(claim: Claim) -> str:
    """Return a claim's effect and its interval in its own unit."""
    if claim.effect is None:
        return "not measured"
    times = claim.parts[0].hypothesis.unit == "times"

    def number(value: float) -> str:
        return f"{value:.2f}" if times else f"{100 * value:.2f}"

    unit = "times" if times else "points"
    known = f" (95 % interval {number(claim.ci95[0])} to {number(claim.ci95[1])})" if claim.ci95 else ""
    return f"{number(claim.effect)} {unit}{known}, n = {claim.n}"


def _protocol(found: Findings) -> Iterator[tuple[str, str]]:
    stored = found.confirmation.attributes["fingerprint"]
    split = stored["split"]
    yield "network", "784-h-h-10 with ReLU, PyTorch's default initialisation, Adam, cross-entropy"
    yield "images", f"MNIST, split {', '.join(f'{name} {value}' for name, value in split.items())}"
    yield "batch", f"{stored['batch']}, shuffled every epoch"
    yield "epochs", f"{found.epochs} for every confirming run"
    yield "seeds", f"{found.seeds}, the same at every width; each sets initial weights and the order of batches"
    yield "widths", ", ".join(str(width) for width in sorted({arm.width for arm in found.plan.arms}))
    for arm in found.plan.arms:
        if arm.lr_from is not None:
            yield f"best lr at {arm.width} units", f"{arm.lr:.5f}, from trial {arm.lr_from} of the search"
    yield "search", f"{found.plan.finished} finished trials, seed {found.search.attributes.get('seed')}"


def _machine(found: Findings) -> Iterator[tuple[str, str]]:
    for name, title in (
        ("device", "device"),
        ("threads", "CPU threads"),
        ("torch", "PyTorch"),
        ("sweetspot", "sweetspot"),
    ):
        yield title, ", ".join(sorted({str(trial.user_attrs.get(name, "unknown")) for trial in found.trials}))
    yield "training", f"{sum(trial.user_attrs['seconds'] for trial in found.trials):.0f} s for {len(found.trials)} runs"
    if found.timing:
        rounds = len(found.timing["widths"][0]["seconds_per_epoch"])
        yield "timed on", f"{found.timing['device']}, {rounds} rounds of one epoch of {found.timing['images']:,} images"


def command(found: Findings) -> str:
    """Return the command that makes a study like this one, down to its seeds."""
    return (
        f"python -m search.run --trials {found.plan.finished} --epochs {found.search.epochs} "
        f"--seed {found.search.attributes['seed']} --confirm-seeds {found.seeds} --confirm-epochs {found.epochs}"
    )
