"""The verdict: do the claims of a study hold? Pure functions of confirmed runs and timings.

Read first: `claims.py` on what is decided and how often that may err, `statistics.py` on the intervals.

The headline (`claims`) is judged at the settings as they are stated; `fair_claims` repeats it with the parameters that
the study sets free at the best found for each setting, as a family of its own. Intervals speak of new seeds
(initialisation and data order), given this training set and these validation data.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.verdict.boundary import FIXED, Boundary
from search.verdict.claims import ROUNDING, Judgement, claim_tail, combine, distances_from_best, spot_parts
from search.verdict.evidence import Evidence, Measure, Row, Timing, checked, gap, gap_growth, value
from search.verdict.statistics import Interval, Rivals, knee, mean_interval, pareto_front, standard_deviation
from search.verdict.wording import judged
from studies.asked import Layout, Protocols, tunable
from studies.claims import ACCURACY, Claim, Metric, SweetSpot
from studies.settings import Setting

Bounds95 = tuple[float, float] | None


@dataclass(frozen=True)
class ArmSummary:
    """One setting under one protocol. Means over seeds; intervals are 95 %, not corrected, None below 3 seeds."""

    protocol: str
    setting: Setting  # as claims name it
    params: Setting  # as it was trained
    n: int  # seeds
    mean: float  # of the metric on validation data
    sd: float | None
    ci95: Bounds95
    values: tuple[float, ...]  # of each seed, in order of seeds
    train_value: float
    val_loss: float
    train_loss: float
    gap: float
    gap_ci95: Bounds95
    gap_growth: float | None  # per 10 epochs
    parameters: int
    seconds_per_epoch: float | None  # median over rounds
    flops_per_epoch: int | None
    shortfall: float | None  # distance from the best setting of the protocol
    shortfall_ci95: Bounds95
    pareto: bool  # in (metric, parameters, seconds where all settings have them); of the means, not tested

    def as_dict(self, metric: Metric = ACCURACY, layout: Layout | None = None) -> dict[str, object]:
        """Return the fields for JSON; the parameters, as trained, have the names and the place of the layout."""
        names = dict(layout.parameters) if layout else {}
        flat: dict[str, object] = {names[name]: known for name, known in self.params.items() if name in names}
        fields: dict[str, object] = {"protocol": self.protocol, **(flat or {"params": dict(self.params)})}
        for name in list(self.__dataclass_fields__)[3:]:
            fields[f"train_{metric.short}" if name == "train_value" else name] = getattr(self, name)
        return fields


@dataclass(frozen=True)
class SpotSummary:
    """Where a sweet spot may lie under one protocol: descriptions of the means, and one confidence set.

    Values are of the claim's parameter.
    """

    claim: SweetSpot
    protocol: str
    best: Any  # highest mean, lifted by luck
    smallest_within_margin: Any  # smallest value whose mean is not worse than the best by more than the margin
    one_standard_error: Any  # the same with the best mean's standard error as margin (Breiman et al., 1984)
    knee: Any | None  # of the mean over log parameters
    pareto: tuple[Any, ...]
    # The confidence set: values that are not refuted when tested as the claimed one is. The smallest value truly within
    # the margin is among them with a probability of at least 1 - 2.5 % / number of claims (99.375 % with four); the
    # claim is refuted exactly when its value is not.
    plausible: tuple[Any, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "claim"}


@dataclass(frozen=True)
class Verdict:
    """All that the report shows of the claims."""

    claims: tuple[Judgement, ...]  # at the settings as they are stated
    fair_claims: tuple[Judgement, ...]  # at the best found for each setting; empty without such runs
    arms: tuple[ArmSummary, ...]
    sweet_spot: tuple[SpotSummary, ...]  # one for each claim of one and protocol that has runs
    metric: Metric
    protocols: Protocols
    layout: Layout

    def margins(self) -> dict[str, Any]:
        """Return the margins by what they are of; where claims differ in one, all of them."""
        found: dict[str, list[float]] = {}
        for name in ("metric", "gap", "time_ratio"):
            sizes = {margin for each in self.claims for of, margin in each.claim.margins().items() if of == name}
            if sizes:
                found[self.metric.short if name == "metric" else name] = sorted(sizes)
        return {name: sizes[0] if len(sizes) == 1 else sizes for name, sizes in found.items()}

    def as_dict(self) -> dict[str, object]:
        """Return everything for JSON; ``decisions`` holds the parts behind each claim."""
        names = self.protocols
        return {
            "claims": [claim.as_dict() for claim in self.claims],
            "fair_claims": [claim.as_dict() for claim in self.fair_claims],
            self.layout.arms: self.arms_json(),
            "sweet_spot": self._spots_json(),
            "decisions": _decisions(self.claims, names.stated) + _decisions(self.fair_claims, names.tuned),
            "margins": self.margins(),
        }

    def arms_json(self) -> list[dict[str, object]]:
        """Return the arms for JSON."""
        return [arm.as_dict(self.metric, self.layout) for arm in self.arms]

    def _spots_json(self) -> list[dict[str, object]]:
        """Say whose each is where there are several claims of a sweet spot."""
        several = len({spot.claim.id for spot in self.sweet_spot}) > 1
        return [{**({"id": spot.claim.id} if several else {}), **spot.as_dict()} for spot in self.sweet_spot]


def judge(
    claims: Sequence[Claim],
    rows: Iterable[Row],
    timings: Iterable[Timing],
    *,
    metric: Metric = ACCURACY,
    protocols: Protocols | None = None,
    layout: Layout | None = None,
    boundary: Boundary = FIXED,
) -> Verdict:
    """Judge claims, whose settings are complete, on confirmed runs; `boundary` says how often they may be looked at.

    Too little data leaves claims undecided. Raises ValueError on bad figures, duplicates and unpaired timings; see
    `search.verdict.evidence.checked`.
    """
    protocols = protocols or Protocols()
    evidence = checked(rows, timings, metric, protocols, boundary)
    families = families_of(claims, evidence, protocols)
    present = [protocol for protocol in families if evidence.settings(protocol)]
    return Verdict(
        claims=judged(claims, evidence, protocols.stated),
        fair_claims=judged(families.get(protocols.tuned, []), evidence, protocols.tuned),
        arms=tuple(summary for protocol in present for summary in _summaries(evidence, protocol)),
        sweet_spot=tuple(spot for protocol in present for spot in _spots(evidence, protocol, families[protocol])),
        metric=metric,
        protocols=protocols,
        layout=layout or Layout(),
    )


def families_of(claims: Sequence[Claim], evidence: Evidence, protocols: Protocols) -> dict[str, list[Claim]]:
    """Return, by protocol, the claims that are judged together under it."""
    families = {protocols.stated: list(claims)}
    if protocols.free and evidence.settings(protocols.tuned):
        families[protocols.tuned] = [claim for claim in claims if tunable(claim, protocols.free)]
    return families


def _decisions(claims: Sequence[Judgement], protocol: str) -> list[dict[str, object]]:
    return [
        {"id": claim.id, "protocol": protocol, "parts": [part.as_dict() for part in claim.parts]} for claim in claims
    ]


def _summaries(evidence: Evidence, protocol: str) -> list[ArmSummary]:
    settings = evidence.settings(protocol)
    distances, front = distances_from_best(evidence, protocol, settings), _front(evidence, protocol, settings)
    return [_summary(evidence, protocol, setting, distances[setting].shortfall(), front[setting]) for setting in front]


def _front(evidence: Evidence, protocol: str, settings: Sequence[Setting]) -> dict[Setting, bool]:
    costs = [_costs(evidence, protocol, setting, settings) for setting in settings]
    return dict(zip(settings, pareto_front(costs), strict=True))


def _costs(evidence: Evidence, protocol: str, setting: Setting, others: Sequence[Setting]) -> tuple[float, ...]:
    timed = all(_seconds(evidence, other) is not None for other in others)
    seconds = _seconds(evidence, setting) if timed else 0.0  # incomparable as soon as one setting lacks them
    parameters = evidence.rows(protocol, setting)[0].parameters
    return (-evidence.metric.sign * _mean(evidence, protocol, setting, value), float(parameters), seconds or 0.0)


def _summary(evidence: Evidence, protocol: str, setting: Setting, behind: Interval, on_front: bool) -> ArmSummary:
    rows, timing = evidence.rows(protocol, setting), evidence.timing(setting)
    values = evidence.values(protocol, setting, value)
    gaps = mean_interval(evidence.values(protocol, setting, gap))
    growths = evidence.values(protocol, setting, gap_growth)
    return ArmSummary(
        protocol=protocol,
        setting=setting,
        params=rows[0].params,
        n=len(rows),
        mean=float(values.mean()),
        sd=standard_deviation(values),
        ci95=mean_interval(values).bounds(),
        values=tuple(values.tolist()),
        train_value=_mean(evidence, protocol, setting, lambda row: row.train_value),
        val_loss=_mean(evidence, protocol, setting, lambda row: row.val_loss),
        train_loss=_mean(evidence, protocol, setting, lambda row: row.train_loss),
        gap=gaps.estimate,
        gap_ci95=gaps.bounds(),
        gap_growth=float(growths.mean()) if len(growths) else None,
        parameters=rows[0].parameters,
        seconds_per_epoch=_seconds(evidence, setting),
        flops_per_epoch=timing.flops_per_epoch if timing else None,
        shortfall=_known(behind),
        shortfall_ci95=behind.bounds(),
        pareto=on_front,
    )


def _spots(evidence: Evidence, protocol: str, claims: Sequence[Claim]) -> list[SpotSummary]:
    tail = claim_tail(len(claims)) if claims else 0.0
    spots = [claim for claim in claims if isinstance(claim, SweetSpot)]
    return [_spot(evidence, protocol, claim, tail) for claim in spots if claim.line(evidence.settings(protocol))]


def _spot(evidence: Evidence, protocol: str, claim: SweetSpot, tail: float) -> SpotSummary:
    line = claim.line(evidence.settings(protocol))
    distances = distances_from_best(evidence, protocol, line)
    gains = [evidence.metric.sign * _mean(evidence, protocol, setting, value) for setting in line]
    parameters = [evidence.rows(protocol, setting)[0].parameters for setting in line]
    top = gains.index(max(gains))
    bend = knee(parameters, gains)
    spread = standard_deviation(evidence.values(protocol, line[top], value)) or 0.0
    error = spread / math.sqrt(len(evidence.rows(protocol, line[top])))
    values = [setting[claim.parameter] for setting in line]
    front = _front(evidence, protocol, line).values()
    likely = [_plausible(claim, setting, distances, evidence.metric, tail) for setting in line]
    return SpotSummary(
        claim=claim,
        protocol=protocol,
        best=values[top],
        smallest_within_margin=values[_smallest(gains, gains[top] - claim.within, evidence.metric)],
        one_standard_error=values[_smallest(gains, gains[top] - error, evidence.metric)],
        knee=None if bend is None else values[bend],
        pareto=tuple(each for each, on_front in zip(values, front, strict=True) if on_front),
        plausible=tuple(each for each, found in zip(values, likely, strict=True) if found),
    )


def _smallest(gains: Sequence[float], bar: float, metric: Metric) -> int:
    slack = ROUNDING if metric.fraction else ROUNDING * max(map(abs, gains))
    return next(at for at, gain in enumerate(gains) if gain >= bar - slack)


def _plausible(
    claim: SweetSpot, setting: Setting, distances: Mapping[Setting, Rivals], metric: Metric, tail: float
) -> bool:
    return combine(spot_parts(claim, setting, distances, metric, tail)) != "refuted"


def _mean(evidence: Evidence, protocol: str, setting: Setting, measure: Measure) -> float:
    return float(evidence.values(protocol, setting, measure).mean())


def _seconds(evidence: Evidence, setting: Setting) -> float | None:
    timing = evidence.timing(setting)
    return float(np.median(timing.seconds_per_epoch)) if timing and len(timing.seconds_per_epoch) else None


def _known(interval: Interval) -> float | None:
    return interval.estimate if interval.n else None
