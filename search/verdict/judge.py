"""The verdict: is 25 hidden units the sweet spot? Pure functions of confirmed runs and timings.

Read first: `claims.py` on what is decided and how often that may err, `statistics.py` on the intervals.

The headline (`claims`) is judged at the article's learning rate, since that is what the article claims; `fair_claims`
repeats it with each width at the best learning rate found for it, as a family of its own. Intervals speak of new seeds
(initialisation and data order), given this training set and these validation images.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from search.verdict.claims import Claim, Margins, combine, distances_from_best, just_right_parts
from search.verdict.evidence import (
    PROTOCOLS,
    Evidence,
    Measure,
    Protocol,
    Row,
    Timing,
    accuracy,
    checked,
    gap,
    gap_growth,
)
from search.verdict.statistics import Interval, Rivals, knee, mean_interval, pareto_front, standard_deviation
from search.verdict.wording import article_claims

Bounds95 = tuple[float, float] | None


@dataclass(frozen=True)
class WidthSummary:
    """One width under one protocol. Means over seeds; intervals are 95 %, not corrected, None below 3 seeds."""

    protocol: Protocol
    width: int
    lr: float
    n: int  # seeds
    mean: float  # validation accuracy
    sd: float | None
    ci95: Bounds95
    values: tuple[float, ...]  # validation accuracy of each seed, in order of seeds
    train_accuracy: float
    val_loss: float
    train_loss: float
    gap: float
    gap_ci95: Bounds95
    gap_growth: float | None  # per 10 epochs
    parameters: int
    seconds_per_epoch: float | None  # median over rounds
    flops_per_epoch: int | None
    shortfall: float | None  # distance from the best width
    shortfall_ci95: Bounds95
    pareto: bool  # in (accuracy, parameters, seconds where all widths have them); of the means, not tested

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SweetSpot:
    """Where the sweet spot may lie under one protocol: descriptions of the means, and one confidence set."""

    protocol: Protocol
    best: int  # highest mean, lifted by luck
    smallest_within_margin: int  # smallest width whose mean is not below the best by more than the margin
    one_standard_error: int  # the same with the best mean's standard error as margin (Breiman et al., 1984)
    knee: int | None  # of mean accuracy over log parameters
    pareto: tuple[int, ...]
    # The confidence set: widths that are not refuted when tested as 25 is in its claim. The smallest width truly within
    # the margin is among them with a probability of at least 99.375 %; 25-just-right is refuted exactly when 25 is not.
    plausible: tuple[int, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """All that the report shows of the claims."""

    claims: tuple[Claim, ...]  # at the article's learning rate
    fair_claims: tuple[Claim, ...]  # at the best learning rate per width; empty without such runs
    widths: tuple[WidthSummary, ...]
    sweet_spot: tuple[SweetSpot, ...]  # one per protocol that has runs
    margins: Margins

    def as_dict(self) -> dict[str, object]:
        """Return everything for JSON; ``decisions`` holds the parts behind each claim."""
        return {
            "claims": [claim.as_dict() for claim in self.claims],
            "fair_claims": [claim.as_dict() for claim in self.fair_claims],
            "widths": [width.as_dict() for width in self.widths],
            "sweet_spot": [spot.as_dict() for spot in self.sweet_spot],
            "decisions": _decisions(self.claims, "article-lr") + _decisions(self.fair_claims, "best-lr"),
            "margins": asdict(self.margins),
        }


def judge(rows: Iterable[Row], timings: Iterable[Timing], margins: Margins | None = None) -> Verdict:
    """Judge the article's claims on confirmed runs.

    Too little data leaves claims undecided. Raises ValueError on bad figures, duplicates and unpaired timings; see
    `search.verdict.evidence.checked`.
    """
    margins = margins or Margins()
    evidence = checked(rows, timings)
    present = [protocol for protocol in PROTOCOLS if evidence.widths(protocol)]
    return Verdict(
        claims=article_claims(evidence, "article-lr", margins),
        fair_claims=article_claims(evidence, "best-lr", margins) if "best-lr" in present else (),
        widths=tuple(summary for protocol in present for summary in _summaries(evidence, protocol)),
        sweet_spot=tuple(_sweet_spot(evidence, protocol, margins) for protocol in present),
        margins=margins,
    )


def _decisions(claims: Sequence[Claim], protocol: Protocol) -> list[dict[str, object]]:
    return [
        {"id": claim.id, "protocol": protocol, "parts": [part.as_dict() for part in claim.parts]} for claim in claims
    ]


def _summaries(evidence: Evidence, protocol: Protocol) -> list[WidthSummary]:
    distances, front = distances_from_best(evidence, protocol), _front(evidence, protocol)
    return [_summary(evidence, protocol, width, distances[width].shortfall(), front[width]) for width in front]


def _front(evidence: Evidence, protocol: Protocol) -> dict[int, bool]:
    widths = evidence.widths(protocol)
    return dict(zip(widths, pareto_front([_costs(evidence, protocol, width) for width in widths]), strict=True))


def _costs(evidence: Evidence, protocol: Protocol, width: int) -> tuple[float, ...]:
    timed = all(_seconds(evidence, other) is not None for other in evidence.widths(protocol))
    seconds = _seconds(evidence, width) if timed else 0.0  # incomparable as soon as one width lacks them
    parameters = evidence.rows(protocol, width)[0].parameters
    return (-_mean(evidence, protocol, width, accuracy), float(parameters), seconds or 0.0)


def _summary(evidence: Evidence, protocol: Protocol, width: int, behind: Interval, on_front: bool) -> WidthSummary:
    rows, timing = evidence.rows(protocol, width), evidence.timings.get(width)
    values = evidence.values(protocol, width, accuracy)
    gaps = mean_interval(evidence.values(protocol, width, gap))
    growths = evidence.values(protocol, width, gap_growth)
    return WidthSummary(
        protocol=protocol,
        width=width,
        lr=rows[0].lr,
        n=len(rows),
        mean=float(values.mean()),
        sd=standard_deviation(values),
        ci95=mean_interval(values).bounds(),
        values=tuple(values.tolist()),
        train_accuracy=_mean(evidence, protocol, width, lambda row: row.train_accuracy),
        val_loss=_mean(evidence, protocol, width, lambda row: row.val_loss),
        train_loss=_mean(evidence, protocol, width, lambda row: row.train_loss),
        gap=gaps.estimate,
        gap_ci95=gaps.bounds(),
        gap_growth=float(growths.mean()) if len(growths) else None,
        parameters=rows[0].parameters,
        seconds_per_epoch=_seconds(evidence, width),
        flops_per_epoch=timing.flops_per_epoch if timing else None,
        shortfall=_known(behind),
        shortfall_ci95=behind.bounds(),
        pareto=on_front,
    )


def _sweet_spot(evidence: Evidence, protocol: Protocol, margins: Margins) -> SweetSpot:
    widths, distances = evidence.widths(protocol), distances_from_best(evidence, protocol)
    means = {width: _mean(evidence, protocol, width, accuracy) for width in widths}
    parameters = [evidence.rows(protocol, width)[0].parameters for width in widths]
    best = max(widths, key=lambda width: means[width])
    bend = knee(parameters, [means[width] for width in widths])
    spread = standard_deviation(evidence.values(protocol, best, accuracy)) or 0.0
    error = spread / math.sqrt(len(evidence.rows(protocol, best)))
    return SweetSpot(
        protocol=protocol,
        best=best,
        smallest_within_margin=_smallest(means, means[best] - margins.accuracy),
        one_standard_error=_smallest(means, means[best] - error),
        knee=None if bend is None else widths[bend],
        pareto=tuple(width for width, on_front in _front(evidence, protocol).items() if on_front),
        plausible=tuple(width for width in widths if _plausible(distances, width, margins)),
    )


def _smallest(means: dict[int, float], bar: float) -> int:
    return min(width for width, mean in means.items() if mean >= bar - 1e-9)


def _plausible(distances: Mapping[int, Rivals], width: int, margins: Margins) -> bool:
    return combine(just_right_parts(distances, width, margins)) != "refuted"


def _mean(evidence: Evidence, protocol: Protocol, width: int, measure: Measure) -> float:
    return float(evidence.values(protocol, width, measure).mean())


def _seconds(evidence: Evidence, width: int) -> float | None:
    timing = evidence.timings.get(width)
    return float(np.median(timing.seconds_per_epoch)) if timing and len(timing.seconds_per_epoch) else None


def _known(interval: Interval) -> float | None:
    return interval.estimate if interval.n else None
