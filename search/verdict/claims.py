"""Claims as hypotheses that numbers can hold or refuse, by their kind (`studies/claims.py`).

A claim consists of parts, each an estimand on one side of a threshold. A part is decided when its interval lies
entirely on one side. A claim is *supported* when every part is, *refuted* when one part is, else *undecided*.

How often may that err? Of the claims of a study together, any is wrongly supported or refuted in at most 5 % of
studies. Each may be wrongly supported with a probability of 2.5 % divided by their number, and wrongly refuted with as
much; of the article's four that is 0.625 %:

- Several claims: Bonferroni, 5 % / 4 for each of four. Holm would decide slightly more, but no interval that could be
  shown matches its verdicts; and that it controls wrong *directions* too is proven for independent tests only (Shaffer,
  1980, Ann. Statist. 8), while claims share runs: of the article's, three share those of 25 units.
- Two sides: half for each, as in any two-sided interval, which makes it stricter than the usual two one-sided tests
  against a margin (Schuirmann, 1987, J. Pharmacokinet. Biopharm. 15).
- Several parts: "all hold" needs no correction (intersection-union test; Berger, 1982, Technometrics 24). "One fails"
  has as many chances to err as there are parts, so the tail is divided among them: the two tails of an interval differ.

How wide an interval is, `boundary.py` says. Confirmations that were begun on a fixed number of seeds are judged by
Student's t. There these limits hold for near normal differences only: where some seeds go badly wrong in one setting, a
claim on its margin was wrongly supported in up to 5 % of simulated cases, and any of 13 decided in up to 17 %
(`docs/calibration.md`).

``ci95`` is the 95 % interval of the first part, not corrected for other claims. The corrected
one decides; ``method`` names it, and ``sentence`` does so where the two seem to disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from search.verdict.boundary import FIXED, Array, Boundary
from search.verdict.evidence import Evidence, gap, gap_growth, test, value
from search.verdict.names import Unit, alone, amount, called, level, named, unit_of, value_of
from search.verdict.statistics import POINTWISE_TAIL, Interval, Mean, Rivals, mean_interval
from studies.claims import (
    AsGoodAs,
    AsGoodAsAny,
    Better,
    BetterInTime,
    Claim,
    Memorizes,
    Metric,
    Reaches,
    Slower,
    SweetSpot,
)
from studies.settings import Setting

Decision = Literal["supported", "refuted", "undecided"]
Bounds = Callable[[float, float, int], Interval]  # (lower tail, upper tail, more pairs) -> interval

ROUNDING = 1e-9  # an interval without spread may sit on its margin; float error must not decide then


def claim_tail(count: int) -> float:
    """Return how often each of so many claims may be wrongly supported, and how often wrongly refuted."""
    return POINTWISE_TAIL / count


@dataclass(frozen=True)
class Hypothesis:
    """One part of a claim before the data: the estimand lies above (or below) a threshold."""

    holds: str  # in words, if it does
    fails: str  # in words, if it does not
    threshold: float
    above: bool = True
    unit: Unit = "points"

    def weigh(self, bounds: Bounds, boundary: Boundary, tail: float, share: float = 1) -> "Part":
        """Return the part after the data, with its share of the claim's probability of being wrongly refuted."""
        supporting, refuting = tail, tail * share
        tails = (supporting, refuting) if self.above else (refuting, supporting)
        shown = bounds(POINTWISE_TAIL, POINTWISE_TAIL, 0)
        return Part(self, shown, bounds(*tails, 0), tails, boundary, lambda more: bounds(*tails, more))

    def decide(self, interval: Interval) -> Decision:
        """Return what an interval says: which side of the threshold it lies on, or neither."""
        if interval.lower > self.threshold + self._slack(interval.lower):
            return "supported" if self.above else "refuted"
        if interval.upper < self.threshold - self._slack(interval.upper):
            return "refuted" if self.above else "supported"
        return "undecided"

    def _slack(self, bound: float) -> float:
        """Fractions and ratios are near 1, of other metrics nothing is known."""
        return ROUNDING * max(abs(bound), abs(self.threshold)) if self.unit == "plain" else ROUNDING


@dataclass(frozen=True)
class Part:
    """One part of a claim after the data."""

    hypothesis: Hypothesis
    shown: Interval  # 95 %, not corrected
    deciding: Interval  # corrected
    tails: tuple[float, float]  # of the deciding interval
    boundary: Boundary
    expected: Callable[[int], Interval] = field(compare=False)  # the deciding interval of so many more such pairs

    @property
    def verdict(self) -> Decision:
        """The side of the threshold on which the corrected interval lies."""
        return self.hypothesis.decide(self.deciding)

    def after(self, more: int) -> "Part":
        """Return the part as so many more pairs of the same mean and spread would leave it."""
        return replace(self, deciding=self.expected(more))

    def as_dict(self) -> dict[str, object]:
        """Return the part for JSON; what is not known is None."""
        known = self.shown.n > 0
        return {
            **asdict(self.hypothesis),
            "verdict": self.verdict,
            "estimate": self.shown.estimate if known else None,
            "n": self.shown.n,
            "ci95": self.shown.bounds(),
            "deciding_interval": self.deciding.bounds(),
            "deciding_tails": self.tails,
        }


@dataclass(frozen=True)
class Judgement:
    """A claim and what the data say of it; ``effect`` and ``ci95`` are its first part's, None where unknown."""

    claim: Claim
    statement: str
    verdict: Decision
    effect: float | None  # a difference in the metric's unit, or of times a ratio
    ci95: tuple[float, float] | None
    n: int  # pairs: seeds, or rounds of timing
    method: str
    sentence: str
    parts: tuple[Part, ...]

    @property
    def id(self) -> str:
        """The claim's."""
        return self.claim.id

    def as_dict(self) -> dict[str, object]:
        """Return the eight fields that the report's JSON promises."""
        keys = ("id", "statement", "verdict", "effect", "ci95", "n", "method", "sentence")
        return {key: getattr(self, key) for key in keys}


def combine(parts: Sequence[Part]) -> Decision:
    """Return the verdict of a claim: all parts supported, one refuted, or (also while pairs are too few) undecided."""
    if not enough(parts):
        return "undecided"
    verdicts = {part.verdict for part in parts}
    if "refuted" in verdicts:
        return "refuted"
    return "supported" if verdicts == {"supported"} else "undecided"


def of_seeds(parts: Sequence[Part]) -> list[Part]:
    """Return the parts that more seeds tell more of: times are measured once, apart from the seeds."""
    return [part for part in parts if part.hypothesis.unit != "times"]


def parts_of(claim: Claim, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """Return the parts of a claim under a protocol; `tail` is its probability of being wrongly supported."""
    match claim:
        case Better():
            parts = _better(claim, evidence, protocol, tail)
        case AsGoodAs():
            parts = _as_good_as(claim, evidence, protocol, tail)
        case AsGoodAsAny():
            parts = _as_good_as_any(claim, evidence, protocol, tail)
        case Reaches():
            parts = _reaches(claim, evidence, protocol, tail)
        case Slower():
            parts = _slower(claim, evidence, tail)
        case BetterInTime():
            parts = _better_in_time(claim, evidence, protocol, tail)
        case Memorizes():
            parts = _memorizes(claim, evidence, protocol, tail)
        case SweetSpot():
            distances = distances_from_best(evidence, protocol, claim.line(evidence.settings(protocol)))
            parts = spot_parts(claim, claim.spot, distances, evidence.metric, tail)
        case _:
            raise TypeError(f"{claim.kind} is no kind of claim")
    return parts


def _better(
    claim: Better | BetterInTime, evidence: Evidence, protocol: str, tail: float, share: float = 1
) -> list[Part]:
    """a is better: what it is ahead of b exceeds the margin."""
    ahead = evidence.advantages(protocol, claim.a, claim.b, value)
    of_b = isinstance(claim, Better) and claim.told_of_b
    one, other = named(claim.b, claim.a, claim.words) if of_b else named(claim.a, claim.b, claim.words)
    word, margin = "worse" if of_b else "better", amount(claim.by, evidence.metric)
    question = Hypothesis(
        holds=f"{one.text} are more than {margin} {word} than {other.brief}",
        fails=f"{one.text} are not {margin} {word} than {other.brief}",
        threshold=claim.by,
        unit=unit_of(evidence.metric),
    )
    return [_weighed(question, ahead, evidence.boundary, tail, share)]


def _as_good_as(claim: AsGoodAs, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """a is as good as b: what b is ahead of it stays below the margin."""
    behind = evidence.advantages(protocol, claim.b, claim.a, value)
    one, other = named(claim.a, claim.b, claim.words)
    margin = amount(claim.within, evidence.metric)
    question = Hypothesis(
        holds=f"{one.text} are not {margin} worse than {other.brief}",
        fails=f"{one.text} are more than {margin} worse than {other.brief}",
        threshold=claim.within,
        above=False,
        unit=unit_of(evidence.metric),
    )
    return [_weighed(question, behind, evidence.boundary, tail)]


def _as_good_as_any(claim: AsGoodAsAny, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """a is as good as any other: the best of them, whichever it is, is ahead of it by less than the margin."""
    others = rivals(claim, evidence, protocol)
    behind = Rivals.of([evidence.advantages(protocol, other, claim.a, value) for other in others], evidence.boundary)
    one, margin = alone(claim.a, claim.words, claim.alike), amount(claim.within, evidence.metric)
    best = f"the best of {len(others)} others" + (" of at most as many parameters" if claim.no_larger else "")
    question = Hypothesis(
        holds=f"{one.text} are not {margin} worse than {best}",
        fails=f"{one.text} are more than {margin} worse than {best}",
        threshold=claim.within,
        above=False,
        unit=unit_of(evidence.metric),
    )
    return [question.weigh(behind.shortfall, behind.boundary, tail)]


def rivals(claim: AsGoodAsAny, evidence: Evidence, protocol: str) -> list[Setting]:
    """Return the settings that a is compared with: those that are named and, if asked for, all that are no larger."""
    found = set(claim.others)
    own = evidence.rows(protocol, claim.a)
    if claim.no_larger and own:
        trained = [each for each in evidence.settings(protocol) if each.holds(claim.alike)]
        found |= {each for each in trained if evidence.rows(protocol, each)[0].parameters <= own[0].parameters}
    return sorted(found - {claim.a}, key=Setting.order)


def _reaches(claim: Reaches, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """a does better than the value on the test data."""
    values, metric = evidence.values(protocol, claim.a, test), evidence.metric
    one, bar, side = alone(claim.a, claim.words), level(claim.value, metric), "above" if metric.sign > 0 else "below"
    question = Hypothesis(
        holds=f"{one.text} end {side} {bar} on the test data",
        fails=f"{one.text} do not end {side} {bar} on the test data",
        threshold=claim.value,
        above=metric.sign > 0,
        unit="%" if metric.fraction else "plain",
    )
    return [_weighed(question, values, evidence.boundary, tail)]


def _better_in_time(claim: BetterInTime, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """a is better, and takes no longer for it: the ratio of the times per epoch is below the margin."""
    ratios = evidence.log_time_ratios(claim.a, claim.b)
    one, other = named(claim.a, claim.b, claim.words)
    margin = f"{claim.time:.2f} times"
    question = Hypothesis(
        holds=f"an epoch {one.of} takes less than {margin} as long as one {other.of_brief}",
        fails=f"an epoch {one.of} takes more than {margin} as long as one {other.of_brief}",
        threshold=claim.time,
        above=False,
        unit="times",
    )
    return [*_better(claim, evidence, protocol, tail, share=1 / 2), _weighed_times(question, ratios, tail, share=1 / 2)]


def _slower(claim: Slower, evidence: Evidence, tail: float) -> list[Part]:
    """a takes longer: the ratio of the times per epoch, averaged on the log scale, exceeds the margin."""
    ratios = evidence.log_time_ratios(claim.a, claim.b)
    one, other = named(claim.a, claim.b, claim.words)
    margin = f"{claim.by:.2f} times"
    question = Hypothesis(
        holds=f"an epoch {one.of} takes more than {margin} as long as one {other.of_brief}",
        fails=f"an epoch {one.of} does not take {margin} as long as one {other.of_brief}",
        threshold=claim.by,
        unit="times",
    )
    return [_weighed_times(question, ratios, tail)]


def _memorizes(claim: Memorizes, evidence: Evidence, protocol: str, tail: float) -> list[Part]:
    """a memorizes *instead of* learning: a wider gap by more than its margin, and not better by more than the other.

    The second part takes "instead" at its word: a network that learns more and memorizes more does not do one instead
    of the other.
    """
    gaps = evidence.advantages(protocol, claim.a, claim.b, gap)
    gains = evidence.advantages(protocol, claim.a, claim.b, value)
    (one, other), unit = named(claim.a, claim.b, claim.words), unit_of(evidence.metric)
    wide, gain = amount(claim.gap, evidence.metric), amount(claim.by, evidence.metric)
    memorizes = Hypothesis(
        holds=f"the gap {one.of} is more than {wide} wider than that {other.of_brief}",
        fails=f"the gap {one.of} is not {wide} wider than that {other.of_brief}",
        threshold=claim.gap,
        unit=unit,
    )
    instead = Hypothesis(
        holds=f"{one.text} do not generalise {gain} better than {other.brief}",
        fails=f"{one.text} generalise more than {gain} better than {other.brief}, "
        "so they do not memorize instead of learning",
        threshold=claim.by,
        above=False,
        unit=unit,
    )
    return [
        _weighed(memorizes, gaps, evidence.boundary, tail, share=1 / 2),
        _weighed(instead, gains, evidence.boundary, tail, share=1 / 2),
    ]


def _weighed(question: Hypothesis, values: Array, boundary: Boundary, tail: float, share: float = 1) -> Part:
    return question.weigh(Mean.of(values, boundary).interval, boundary, tail, share)


def _weighed_times(question: Hypothesis, log_ratios: Array, tail: float, share: float = 1) -> Part:
    measured = Mean.of(log_ratios)  # once, in a fixed number of rounds, whatever is decided of seeds
    return question.weigh(lambda *asked: measured.interval(*asked).exp(), FIXED, tail, share)


def spot_parts(
    claim: SweetSpot, spot: Setting, distances: Mapping[Setting, Rivals], metric: Metric, tail: float
) -> list[Part]:
    """A value is the sweet spot: not worse than the best by more than the margin, and every smaller value tried is.

    `spot` is the setting that is asked about, the claim's or another on its line; `distances` are those of the line.
    """
    line = claim.line([spot, *(each for each in distances if each != spot)])
    smaller = line[: line.index(spot)]
    margin, one = amount(claim.within, metric), called(claim).one
    side = "below" if metric.sign > 0 else "above"
    near, far = f"are within {margin} of the best {one}", f"are more than {margin} {side} the best {one}"

    def question(setting: Setting, own: bool) -> Hypothesis:
        text = value_of(claim, setting)
        held, failed = (near, far) if own else (far, near)
        return Hypothesis(f"{text} {held}", f"{text} {failed}", claim.within, above=not own, unit=unit_of(metric))

    # Half of the tail for "it is too small", half for "needlessly large", however many smaller values were tried.
    shares = [0.5] + [0.5 / len(smaller)] * len(smaller) if smaller else [1.0]
    return [
        question(setting, setting == spot).weigh(own.shortfall, own.boundary, tail, share)
        for setting, share in zip([spot, *smaller], shares, strict=True)
        for own in [distances.get(setting, Rivals.of([]))]
    ]


def distances_from_best(evidence: Evidence, protocol: str, settings: Sequence[Setting]) -> dict[Setting, Rivals]:
    """Return, for each of these settings, how far each of the others is ahead of it, paired by seed."""
    return {
        own: Rivals.of(
            [evidence.advantages(protocol, other, own, value) for other in settings if other != own], evidence.boundary
        )
        for own in settings
    }


def growth_difference(claim: Memorizes, evidence: Evidence, protocol: str) -> Interval:
    """Return how much faster the gap of a grows per 10 epochs than that of b, with its 95 % interval."""
    return mean_interval(evidence.advantages(protocol, claim.a, claim.b, gap_growth), boundary=evidence.boundary)


def enough(parts: Sequence[Part]) -> bool:
    """Say whether every part has the pairs that an interval needs."""
    return all(part.deciding.n >= part.boundary.first for part in parts)
