"""Claims in words, by their kind: a statement, a method and one sentence each, from parts that numbers have decided."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.verdict.boundary import Boundary
from search.verdict.claims import (
    Decision,
    Judgement,
    Part,
    claim_tail,
    combine,
    enough,
    growth_difference,
    parts_of,
    rivals,
)
from search.verdict.evidence import Evidence, value
from search.verdict.names import alone, called, named, number, unit_of, value_of
from search.verdict.statistics import Interval
from studies.claims import (
    AsGoodAs,
    AsGoodAsAny,
    Better,
    BetterInTime,
    Claim,
    Memorizes,
    Pair,
    Reaches,
    Slower,
    SweetSpot,
    apart,
)
from studies.settings import Setting


def judged(claims: Sequence[Claim], evidence: Evidence, protocol: str) -> tuple[Judgement, ...]:
    """Judge claims together under one protocol. Times per epoch are the same under all."""
    tail = claim_tail(len(claims)) if claims else 0.0
    return tuple(
        _judgement(claim, _told(claim, evidence, protocol, parts), parts, len(claims))
        for claim, parts in ((claim, parts_of(claim, evidence, protocol, tail)) for claim in claims)
    )


@dataclass(frozen=True)
class _Told:
    """A claim in words."""

    statement: str
    finding: str  # where anything was measured
    method: str


def _told(claim: Claim, evidence: Evidence, protocol: str, parts: Sequence[Part]) -> _Told:
    match claim:
        case Better() | AsGoodAs():
            told = _told_compared(claim, evidence, parts)
        case AsGoodAsAny():
            told = _told_any(claim, evidence, protocol, parts)
        case Reaches():
            told = _told_reaches(claim, evidence, parts)
        case Slower():
            told = _told_slower(claim, evidence, parts)
        case BetterInTime():
            told = _told_in_time(claim, evidence, parts)
        case Memorizes():
            told = _told_memorizes(claim, evidence, protocol, parts)
        case SweetSpot():
            told = _told_spot(claim, evidence, protocol, parts)
        case _:
            raise TypeError(f"{claim.kind} is no kind of claim")
    return told


def _told_compared(claim: Better | AsGoodAs, evidence: Evidence, parts: Sequence[Part]) -> _Told:
    # The interval is of a's lead over b in `better`, of b's over a in `as_good_as`.
    of_b = isinstance(claim, Better) and claim.told_of_b
    one, other = named(claim.b, claim.a, claim.words) if of_b else named(claim.a, claim.b, claim.words)
    behind = of_b or isinstance(claim, AsGoodAs)  # a positive estimate then says that the subject is worse
    higher = (evidence.metric.sign < 0) == behind
    words = ("higher", "lower") if higher else ("lower", "higher")
    metric = evidence.metric.name
    statement = _stated(claim, f"{parts[0].hypothesis.holds} in {metric}")
    finding = f"{one.text} end {_difference(parts[0], *words)} in {metric} than {other.brief}"
    return _Told(statement, finding, _over_seeds(evidence.boundary))


def _told_any(claim: AsGoodAsAny, evidence: Evidence, protocol: str, parts: Sequence[Part]) -> _Told:
    one, others = alone(claim.a, claim.words, claim.alike), rivals(claim, evidence, protocol)
    words = ("below", "above") if evidence.metric.sign > 0 else ("above", "below")
    led = _led([claim.a, *others], evidence, protocol)
    best = f", {alone(led, claim.words, claim.alike).text} leading" if led else ""
    finding = f"{one.text} end {_difference(parts[0], *words)} the best of {len(others)} others tried{best}"
    statement = _stated(claim, f"{parts[0].hypothesis.holds} in {evidence.metric.name}")
    return _Told(statement, finding, _shortfall("other", "of them", evidence.boundary))


def _told_reaches(claim: Reaches, evidence: Evidence, parts: Sequence[Part]) -> _Told:
    name = evidence.metric.name.removeprefix("validation ")
    finding = f"{alone(claim.a, claim.words).text} end with a test {name} of {_amount(parts[0])}"
    return _Told(_stated(claim, f"{parts[0].hypothesis.holds}, in {name}"), finding, _over_seeds(evidence.boundary))


def _told_in_time(claim: BetterInTime, evidence: Evidence, parts: Sequence[Part]) -> _Told:
    one, other = named(claim.a, claim.b, claim.words)
    words = ("higher", "lower") if evidence.metric.sign > 0 else ("lower", "higher")
    held, metric = [part.hypothesis.holds for part in parts], evidence.metric.name
    finding = (
        f"{one.text} end {_difference(parts[0], *words)} in {metric} than {other.brief}, "
        f"and an epoch {one.of} takes {_amount(parts[1])} as long as one {other.of}"
    )
    return _Told(
        _stated(claim, f"{held[0]} in {metric}, and {held[1]}"),
        finding,
        f"{_over_seeds(evidence.boundary)}, and of times by rounds",
    )


def _told_slower(claim: Slower, evidence: Evidence, parts: Sequence[Part]) -> _Told:
    one, other = named(claim.a, claim.b, claim.words)
    each = claim.words.called.one if claim.words.called else "setting"
    ratio, work = _amount(parts[0]), _arithmetic(claim, evidence)
    finding = f"an epoch {one.of} takes {ratio} as long as one {other.of}{work}"
    if claim.words.called:
        finding = f"an epoch takes {one.text} {ratio} as long as {other.brief}{work}"
    return _Told(_stated(claim, parts[0].hypothesis.holds), finding, _T_ROUNDS.format(each=each))


def _told_memorizes(claim: Memorizes, evidence: Evidence, protocol: str, parts: Sequence[Part]) -> _Told:
    one, other = named(claim.a, claim.b, claim.words)
    held, metric = [part.hypothesis.holds for part in parts], evidence.metric.name
    words = ("higher", "lower") if evidence.metric.sign > 0 else ("lower", "higher")
    finding = (
        f"the gap between training and {metric} is {_difference(parts[0], 'wider', 'narrower')} "
        f"{one.beside} than {other.beside_brief}{_growth(claim, evidence, protocol)}, "
        f"and {metric} is {_difference(parts[1], *words)}"
    )
    return _Told(_stated(claim, f"{held[0]}, and {held[1]}"), finding, _over_seeds(evidence.boundary))


def _told_spot(claim: SweetSpot, evidence: Evidence, protocol: str, parts: Sequence[Part]) -> _Told:
    names, metric = called(claim), evidence.metric
    line = claim.line(evidence.settings(protocol))
    words = ("below", "above") if metric.sign > 0 else ("above", "below")
    statement = _stated(claim, f"{parts[0].hypothesis.holds} in {metric.name}, and no smaller {names.one} is")
    finding = (
        f"{value_of(claim, claim.spot)} end {_difference(parts[0], *words)} the best of {len(line)} {names.many} tried"
        f"{_leader(claim, evidence, protocol)}"
    )
    return _Told(statement, finding, _shortfall(names.one, names.many, evidence.boundary))


def _stated(claim: Claim, hypothesis: str) -> str:
    """Write a statement: the claim's own words, what they mean in figures, and what its settings share."""
    headline = claim.words.headline
    return f"{headline}: {hypothesis}." if headline else f"{_capital(hypothesis)}{_shared(claim)}."


def _shared(claim: Claim) -> str:
    if claim.words.called:
        return ""
    at = claim.at if isinstance(claim, SweetSpot) else None
    if isinstance(claim, Pair):
        at = claim.a.without(apart(claim.a, claim.b)[0])
    if isinstance(claim, AsGoodAsAny):
        at = claim.alike
    return f" (all with {at})" if at else ""


_T_ROUNDS = "paired t interval of the log ratio over rounds of timing, each {each} alone"
_SHORTFALL = (
    "distance from the best {one}, whichever it is: largest upper {bound} bound and Simes lower bound over all other "
    "{many}, paired by seed, so that no winner is picked by its luck"
)
_LOOKS = (
    ", which may be looked at after every seed; it is wider than a t interval, since it holds at all looks together "
    "and where noise is skewed"
)


def _shortfall(one: str, many: str, boundary: Boundary) -> str:
    told = _SHORTFALL.format(one=one, many=many, bound="always-valid" if boundary.looks else "t")
    return told + (_LOOKS if boundary.looks else "")


def _over_seeds(boundary: Boundary) -> str:
    return f"{boundary.told} over seeds{_LOOKS if boundary.looks else ''}"


def _judgement(claim: Claim, told: _Told, parts: Sequence[Part], count: int) -> Judgement:
    first, verdict = parts[0].shown, combine(parts)
    known = first.n > 0
    sentence = f"{told.finding if known else 'nothing was measured'}; {_conclusion(verdict, parts, count)}."
    return Judgement(
        claim=claim,
        statement=told.statement,
        verdict=verdict,
        effect=first.estimate if known else None,
        ci95=first.bounds(),
        n=first.n,
        method=f"{told.method}; {_correction(parts, count)}",
        sentence=_capital(sentence),
        parts=tuple(parts),
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _conclusion(verdict: Decision, parts: Sequence[Part], count: int) -> str:
    if not enough(parts):
        return f"undecided: fewer than {max(part.boundary.first for part in parts)} paired measurements"
    if verdict == "supported":
        return f"supported: {_listed([part.hypothesis.holds for part in parts])}"
    if verdict == "refuted":
        return f"refuted: {_listed([part.hypothesis.fails for part in parts if part.verdict == 'refuted'])}"
    still = [_open(part, count) for part in parts if part.verdict == "undecided"]
    return f"undecided: open is whether {_listed(still)}"


def _open(part: Part, count: int) -> str:
    # Only here can the uncorrected interval seem to contradict the verdict, so only here the sentence names both.
    seems_decided = part.hypothesis.decide(part.shown) != "undecided"
    note = f" (corrected for {_claims(count)}, the interval is {_span(part, part.deciding)})" if seems_decided else ""
    return part.hypothesis.holds + note


def _claims(count: int) -> str:
    return f"{count} claim{'s' if count != 1 else ''}"


def _correction(parts: Sequence[Part], count: int) -> str:
    first = parts[0]
    low, high = (f"{100 * tail:.3g} %" for tail in first.tails)
    tails = f"tails {low} and {high}" if low != high else f"tails {low}"
    others = f", and {len(parts) - 1} more such" if len(parts) > 1 else ""
    limit = _number(first, first.hypothesis.threshold)
    return (
        f"ci95 is not corrected; the verdict is from the interval corrected for {_claims(count)} "
        f"(Bonferroni, {tails}), {_span(first, first.deciding)}, against {limit}{others}"
    )


def _amount(part: Part, shown: Interval | None = None) -> str:
    interval, unit = shown or part.shown, part.hypothesis.unit
    told = "" if unit == "plain" else f" {unit}"
    return f"{_number(part, interval.estimate)}{told} (95 % interval {_span(part, interval)})"


def _difference(part: Part, above: str, below: str) -> str:
    """Write a difference without a sign before it: which way it goes, a word says."""
    return f"{_amount(part, -part.shown)} {below}" if part.shown.estimate < 0 else f"{_amount(part)} {above}"


def _span(part: Part, interval: Interval) -> str:
    known = interval.bounds()
    return f"{_number(part, known[0])} to {_number(part, known[1])}" if known else "unknown"


def _number(part: Part, figure: float) -> str:
    return number(figure, part.hypothesis.unit)


def _arithmetic(claim: Slower, evidence: Evidence) -> str:
    ours, theirs = evidence.timing(claim.a), evidence.timing(claim.b)
    if ours is None or theirs is None or not ours.flops_per_epoch or not theirs.flops_per_epoch:
        return ""
    return f" for {ours.flops_per_epoch / theirs.flops_per_epoch:.2f} times the arithmetic"


def _growth(claim: Memorizes, evidence: Evidence, protocol: str) -> str:
    growth, unit = growth_difference(claim, evidence, protocol), unit_of(evidence.metric)
    word, growth = ("slower", -growth) if growth.estimate < 0 else ("faster", growth)
    known = growth.bounds()
    if known is None:
        return ""
    told = "" if unit == "plain" else f" {unit}"
    span = f"{number(known[0], unit)} to {number(known[1], unit)}"
    return f" and grows {number(growth.estimate, unit)}{told} {word} per 10 epochs ({span})"


def _leader(claim: SweetSpot, evidence: Evidence, protocol: str) -> str:
    led = _led(claim.line(evidence.settings(protocol)), evidence, protocol)
    return f", {value_of(claim, led)} leading" if led else ""


def _led(settings: Sequence[Setting], evidence: Evidence, protocol: str) -> Setting | None:
    """Return the setting of the best mean, None where nothing was measured."""
    found = {setting: evidence.values(protocol, setting, value) for setting in settings}
    means = {setting: evidence.metric.sign * values.mean() for setting, values in found.items() if len(values)}
    return max(means, key=lambda each: means[each], default=None)


def _listed(phrases: Sequence[str]) -> str:
    """Join phrases; past three, the rest is counted."""
    more = [f"{len(phrases) - 3} more such"] if len(phrases) > 3 else []
    head = [*phrases[:3], *more]
    return ", ".join(head[:-1]) + " and " + head[-1] if len(head) > 1 else head[0]
