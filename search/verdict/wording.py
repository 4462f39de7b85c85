"""The four claims in words: a statement, a method and one sentence each, from parts that numbers have decided."""

from collections.abc import Sequence

from search.verdict.claims import (
    FAMILY,
    MANY,
    RIGHT,
    Claim,
    Decision,
    Margins,
    Part,
    combine,
    distances_from_best,
    enough,
    few_parts,
    growth_difference,
    just_right_parts,
    memorizes_parts,
    points,
    slower_parts,
)
from search.verdict.evidence import Evidence, Protocol, accuracy
from search.verdict.statistics import MIN_PAIRS, Interval


def article_claims(evidence: Evidence, protocol: Protocol, margins: Margins) -> tuple[Claim, ...]:
    """Judge the four claims under one protocol. The times per epoch are the same under both."""
    return (
        _few(evidence, protocol, margins),
        _slower(evidence, margins),
        _memorizes(evidence, protocol, margins),
        _just_right(evidence, protocol, margins),
    )


def _few(evidence: Evidence, protocol: Protocol, margins: Margins) -> Claim:
    parts = few_parts(evidence, protocol, margins)
    statement = f"10 hidden units struggle to learn: {parts[0].hypothesis.holds} in validation accuracy."
    finding = f"10 units end {_difference(parts[0], 'lower', 'higher')} in validation accuracy than 25"
    return _claim("too-few-struggles", statement, finding, _T_SEEDS, parts)


def _slower(evidence: Evidence, margins: Margins) -> Claim:
    parts = slower_parts(evidence, margins)
    statement = f"100 hidden units take longer to train: {parts[0].hypothesis.holds}."
    finding = f"an epoch takes 100 units {_amount(parts[0])} as long as 25{_arithmetic(evidence)}"
    return _claim("too-many-slower", statement, finding, _T_ROUNDS, parts)


def _memorizes(evidence: Evidence, protocol: Protocol, margins: Margins) -> Claim:
    parts = memorizes_parts(evidence, protocol, margins)
    held = [part.hypothesis.holds for part in parts]
    statement = f"100 hidden units might memorize instead of learn: {held[0]}, and {held[1]}."
    finding = (
        f"the gap between training and validation accuracy is {_difference(parts[0], 'wider', 'narrower')} "
        f"with 100 units than with 25{_growth(evidence, protocol)}, "
        f"and validation accuracy is {_difference(parts[1], 'higher', 'lower')}"
    )
    return _claim("too-many-memorizes", statement, finding, _T_SEEDS, parts)


def _just_right(evidence: Evidence, protocol: Protocol, margins: Margins) -> Claim:
    parts = just_right_parts(distances_from_best(evidence, protocol), RIGHT, margins)
    widths = evidence.widths(protocol)
    statement = (
        f"25 hidden units are just right: {parts[0].hypothesis.holds} in validation accuracy, and no smaller width is."
    )
    finding = (
        f"25 units end {_difference(parts[0], 'below', 'above')} the best of {len(widths)} widths tried"
        f"{_leader(evidence, protocol)}"
    )
    return _claim("25-just-right", statement, finding, _SHORTFALL, parts)


_T_SEEDS = "paired t interval over seeds"
_T_ROUNDS = "paired t interval of the log ratio over rounds of timing, each width alone"
_SHORTFALL = (
    "distance from the best width, whichever it is: largest upper t bound and Simes lower bound over all other widths, "
    "paired by seed, so that no winner is picked by its luck"
)


def _claim(name: str, statement: str, finding: str, method: str, parts: Sequence[Part]) -> Claim:
    first, verdict = parts[0].shown, combine(parts)
    known = first.n > 0
    sentence = f"{finding if known else 'nothing was measured'}; {_conclusion(verdict, parts)}."
    return Claim(
        id=name,
        statement=statement,
        verdict=verdict,
        effect=first.estimate if known else None,
        ci95=first.bounds(),
        n=first.n,
        method=f"{method}; {_correction(parts)}",
        sentence=sentence[0].upper() + sentence[1:],
        parts=tuple(parts),
    )


def _conclusion(verdict: Decision, parts: Sequence[Part]) -> str:
    if not enough(parts):
        return f"undecided: fewer than {MIN_PAIRS} paired measurements"
    if verdict == "supported":
        return f"supported: {_listed([part.hypothesis.holds for part in parts])}"
    if verdict == "refuted":
        return f"refuted: {_listed([part.hypothesis.fails for part in parts if part.verdict == 'refuted'])}"
    return f"undecided: open is whether {_listed([_open(part) for part in parts if part.verdict == 'undecided'])}"


def _open(part: Part) -> str:
    # Only here can the uncorrected interval seem to contradict the verdict, so only here the sentence names both.
    seems_decided = part.hypothesis.decide(part.shown) != "undecided"
    note = f" (corrected for {FAMILY} claims, the interval is {_span(part, part.deciding)})" if seems_decided else ""
    return part.hypothesis.holds + note


def _correction(parts: Sequence[Part]) -> str:
    first = parts[0]
    low, high = (f"{100 * tail:.3g} %" for tail in first.tails)
    tails = f"tails {low} and {high}" if low != high else f"tails {low}"
    others = f", and {len(parts) - 1} more such" if len(parts) > 1 else ""
    limit = _number(first, first.hypothesis.threshold)
    return (
        f"ci95 is not corrected; the verdict is from the interval corrected for {FAMILY} claims (Bonferroni, {tails}), "
        f"{_span(first, first.deciding)}, against {limit}{others}"
    )


def _amount(part: Part, shown: Interval | None = None) -> str:
    unit, interval = "points" if part.hypothesis.unit == "points" else "times", shown or part.shown
    return f"{_number(part, interval.estimate)} {unit} (95 % interval {_span(part, interval)})"


def _difference(part: Part, above: str, below: str) -> str:
    """Write a difference without a sign before it: which way it goes, a word says."""
    return f"{_amount(part, -part.shown)} {below}" if part.shown.estimate < 0 else f"{_amount(part)} {above}"


def _span(part: Part, interval: Interval) -> str:
    known = interval.bounds()
    return f"{_number(part, known[0])} to {_number(part, known[1])}" if known else "unknown"


def _number(part: Part, value: float) -> str:
    return f"{100 * value:.2f}" if part.hypothesis.unit == "points" else f"{value:.2f}"


def _arithmetic(evidence: Evidence) -> str:
    many, right = evidence.timings.get(MANY), evidence.timings.get(RIGHT)
    if many is None or right is None:
        return ""
    return f" for {many.flops_per_epoch / right.flops_per_epoch:.2f} times the arithmetic"


def _growth(evidence: Evidence, protocol: Protocol) -> str:
    growth = growth_difference(evidence, protocol)
    word, growth = ("slower", -growth) if growth.estimate < 0 else ("faster", growth)
    known = growth.bounds()
    if known is None:
        return ""
    return f" and grows {points(growth.estimate)} {word} per 10 epochs ({100 * known[0]:.2f} to {100 * known[1]:.2f})"


def _leader(evidence: Evidence, protocol: Protocol) -> str:
    means = {width: evidence.values(protocol, width, accuracy).mean() for width in evidence.widths(protocol)}
    return f", {max(means, key=lambda width: means[width])} units leading" if means else ""


def _listed(phrases: Sequence[str]) -> str:
    """Join phrases; past three, the rest is counted."""
    more = [f"{len(phrases) - 3} more such"] if len(phrases) > 3 else []
    head = [*phrases[:3], *more]
    return ", ".join(head[:-1]) + " and " + head[-1] if len(head) > 1 else head[0]
