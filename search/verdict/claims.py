"""The article's four claims as hypotheses that numbers can hold or refuse.

A claim consists of parts, each an estimand on one side of a threshold. A part is decided when its interval lies
entirely on one side. A claim is *supported* when every part is, *refuted* when one part is, else *undecided*.

How often may that err? A claim is wrongly supported with a probability of at most 0.625 %, and wrongly refuted with at
most 0.625 %. Over all four claims that makes at most 5 % for any wrong verdict:

- Four claims: Bonferroni, 5 % / 4 for each. Holm would decide slightly more, but no interval that could be shown
  matches its verdicts; and that it controls wrong *directions* too is proven for independent tests only (Shaffer,
  1980, Ann. Statist. 8), while three claims here share the runs of 25 units.
- Two sides: half for each, as in any two-sided interval, which makes it stricter than the usual two one-sided tests
  against a margin (Schuirmann, 1987, J. Pharmacokinet. Biopharm. 15).
- Several parts: "all hold" needs no correction (intersection-union test; Berger, 1982, Technometrics 24). "One fails"
  has as many chances to err as there are parts, so the tail is divided among them: the two tails of an interval differ.

These limits hold for near normal differences. Where some seeds go badly wrong at one width only, a claim on its margin
was wrongly supported in up to 5 % of simulated cases (`docs/calibration.md`): look at the single runs too.

``ci95`` is the ordinary 95 % interval of the first part, not corrected, for comparing with other work. The corrected
one decides; ``method`` names it, and ``sentence`` does so where the two seem to disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from search.verdict.evidence import Evidence, Protocol, accuracy, gap, gap_growth
from search.verdict.statistics import MIN_PAIRS, POINTWISE_TAIL, Interval, Rivals, mean_interval

Decision = Literal["supported", "refuted", "undecided"]
Unit = Literal["points", "times"]
Bounds = Callable[[float, float], Interval]  # (lower tail, upper tail) -> interval

FEW, RIGHT, MANY = 10, 25, 100  # the article's widths
FAMILY = 4  # claims judged together
CLAIM_TAIL = POINTWISE_TAIL / FAMILY
ROUNDING = 1e-9  # an interval without spread may sit on its margin; float error must not decide then


@dataclass(frozen=True)
class Margins:
    """How large a difference has to be to count. Raises ValueError when negative, or a time ratio below 1."""

    # Half a point: the article prints whole percents, so less would not show in its figures. And an accuracy near 95 %
    # over 10,000 images has a standard error of 0.2 points: less could be owed to which images happen to be held out.
    accuracy: float = 0.005
    gap: float = 0.005  # a difference of two accuracies, read on the same scale
    # 10 %: half a minute of the article's five. Below that nobody would choose a smaller network for its speed.
    time_ratio: float = 1.10

    def __post_init__(self) -> None:
        if not (self.accuracy >= 0 and self.gap >= 0 and self.time_ratio >= 1):
            raise ValueError(f"margins are not negative and the time ratio is 1 or more, not so in {self}")


@dataclass(frozen=True)
class Hypothesis:
    """One part of a claim before the data: the estimand lies above (or below) a threshold."""

    holds: str  # in words, if it does
    fails: str  # in words, if it does not
    threshold: float
    above: bool = True
    unit: Unit = "points"

    def weigh(self, bounds: Bounds, share: float) -> "Part":
        """Return the part after the data, with its share of the claim's probability of being wrongly refuted."""
        supporting, refuting = CLAIM_TAIL, CLAIM_TAIL * share
        tails = (supporting, refuting) if self.above else (refuting, supporting)
        return Part(self, bounds(POINTWISE_TAIL, POINTWISE_TAIL), bounds(*tails), tails)

    def decide(self, interval: Interval) -> Decision:
        """Return what an interval says: which side of the threshold it lies on, or neither."""
        if interval.lower > self.threshold + ROUNDING:
            return "supported" if self.above else "refuted"
        if interval.upper < self.threshold - ROUNDING:
            return "refuted" if self.above else "supported"
        return "undecided"


@dataclass(frozen=True)
class Part:
    """One part of a claim after the data."""

    hypothesis: Hypothesis
    shown: Interval  # 95 %, not corrected
    deciding: Interval  # corrected
    tails: tuple[float, float]  # of the deciding interval

    @property
    def verdict(self) -> Decision:
        """The side of the threshold on which the corrected interval lies."""
        return self.hypothesis.decide(self.deciding)

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
class Claim:
    """A claim and what the data say of it; ``effect`` and ``ci95`` are its first part's, None where unknown."""

    id: str
    statement: str
    verdict: Decision
    effect: float | None  # a difference of fractions, or for too-many-slower a ratio
    ci95: tuple[float, float] | None
    n: int  # pairs: seeds, or rounds of timing
    method: str
    sentence: str
    parts: tuple[Part, ...]

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


def few_parts(evidence: Evidence, protocol: Protocol, margins: Margins) -> list[Part]:
    """10 units struggle: the validation accuracy of 25 exceeds theirs by more than the margin."""
    differences = evidence.differences(protocol, RIGHT, FEW, accuracy)
    margin = points(margins.accuracy)
    question = Hypothesis(
        holds=f"10 units are more than {margin} worse than 25",
        fails=f"10 units are not {margin} worse than 25",
        threshold=margins.accuracy,
    )
    return [question.weigh(lambda low, high: mean_interval(differences, low, high), share=1)]


def slower_parts(evidence: Evidence, margins: Margins) -> list[Part]:
    """100 units take longer: the ratio of the times per epoch, averaged on the log scale, exceeds the margin."""
    ratios = evidence.log_time_ratios(MANY, RIGHT)
    margin = f"{margins.time_ratio:.2f} times"
    question = Hypothesis(
        holds=f"an epoch of 100 units takes more than {margin} as long as one of 25",
        fails=f"an epoch of 100 units does not take {margin} as long as one of 25",
        threshold=margins.time_ratio,
        unit="times",
    )
    return [question.weigh(lambda low, high: mean_interval(ratios, low, high).exp(), share=1)]


def memorizes_parts(evidence: Evidence, protocol: Protocol, margins: Margins) -> list[Part]:
    """100 units memorize *instead of* learning: a wider gap by more than the margin, and no gain in accuracy beyond it.

    The second part takes the article at its word: a network that learns more and memorizes more does not do one
    instead of the other.
    """
    gaps = evidence.differences(protocol, MANY, RIGHT, gap)
    gains = evidence.differences(protocol, MANY, RIGHT, accuracy)
    wide, gain = points(margins.gap), points(margins.accuracy)
    memorizes = Hypothesis(
        holds=f"the gap of 100 units is more than {wide} wider than that of 25",
        fails=f"the gap of 100 units is not {wide} wider than that of 25",
        threshold=margins.gap,
    )
    instead = Hypothesis(
        holds=f"100 units do not generalise {gain} better than 25",
        fails=f"100 units generalise more than {gain} better than 25, so they do not memorize instead of learning",
        threshold=margins.accuracy,
        above=False,
    )
    return [
        memorizes.weigh(lambda low, high: mean_interval(gaps, low, high), share=1 / 2),
        instead.weigh(lambda low, high: mean_interval(gains, low, high), share=1 / 2),
    ]


def just_right_parts(distances: Mapping[int, Rivals], width: int, margins: Margins) -> list[Part]:
    """A width is just right: not worse than the best by more than the margin, and every smaller width tried is."""
    smaller = [other for other in sorted(distances) if other < width]
    margin = points(margins.accuracy)
    near, far = f"units are within {margin} of the best width", f"units are more than {margin} below the best width"
    own = Hypothesis(f"{width} {near}", f"{width} {far}", margins.accuracy, above=False)
    others = [Hypothesis(f"{other} {far}", f"{other} {near}", margins.accuracy) for other in smaller]
    # Half of the tail for "25 is too small", half for "25 is needlessly large", however many smaller widths were tried.
    shares = [0.5] + [0.5 / len(smaller)] * len(smaller) if smaller else [1.0]
    questions = zip([own, *others], [width, *smaller], shares, strict=True)
    return [
        question.weigh(distances.get(tried, Rivals.of([])).shortfall, share) for question, tried, share in questions
    ]


def distances_from_best(evidence: Evidence, protocol: Protocol) -> dict[int, Rivals]:
    """Return, for each width tried, its paired differences in validation accuracy from all the others."""
    widths = evidence.widths(protocol)
    return {
        width: Rivals.of([evidence.differences(protocol, other, width, accuracy) for other in widths if other != width])
        for width in widths
    }


def growth_difference(evidence: Evidence, protocol: Protocol) -> Interval:
    """Return how much faster the gap of 100 units grows per 10 epochs than that of 25, with its 95 % interval."""
    return mean_interval(evidence.differences(protocol, MANY, RIGHT, gap_growth))


def points(fraction: float) -> str:
    """Write a fraction in percentage points."""
    return f"{100 * fraction:.2f} points"


def enough(parts: Sequence[Part]) -> bool:
    """Say whether every part has the pairs that an interval needs."""
    return all(part.shown.n >= MIN_PAIRS for part in parts)
