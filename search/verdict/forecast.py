"""What an undecided claim would take, if means and spreads stay as they are: a guess, from which no verdict follows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.verdict.boundary import boundary_of
from search.verdict.claims import Part, claim_tail, combine, of_seeds
from search.verdict.evidence import Row, checked
from search.verdict.judge import Verdict
from search.verdict.rounds import needed
from studies.asked import Asked
from studies.confirmation import Arm, Plan

FORESEEN = 1000  # seeds; a claim that needs more lies on its margin, as far as anyone can tell


@dataclass(frozen=True)
class Forecast:
    """More seeds for some arms, which may settle a claim."""

    claim: str
    protocol: str
    more: int | None  # seeds, about; None beyond `FORESEEN`
    least: bool  # whether it is only what an interval needs, since the spread is not known yet
    arms: tuple[Arm, ...]  # which need them
    had: int  # seeds of those arms so far


def forecasts(asked: Asked, drawn: Plan, rows: Iterable[Row], verdict: Verdict) -> list[Forecast]:
    """Return what each undecided claim would take; of time no seed tells more."""
    evidence = checked(rows, [], asked.metric, asked.protocols, boundary_of(drawn.rule))
    found = []
    for protocol, claims in zip(asked.protocols.names, (verdict.claims, verdict.fair_claims), strict=False):
        for each in claims:
            parts = of_seeds(each.parts)
            if not parts or {each.verdict, combine(parts)} != {"undecided"}:
                continue
            settings = needed(each.claim, evidence, protocol, claim_tail(len(claims)))
            arms = {drawn.trained(arm) for arm in drawn.arms if arm.protocol == protocol and arm.setting in settings}
            more, least = more_pairs(parts)
            ordered = tuple(arm for arm in drawn.to_train() if arm in arms)
            found.append(Forecast(each.id, protocol, more, least, ordered, min(part.shown.n for part in parts)))
    return found


def more_pairs(parts: Sequence[Part]) -> tuple[int | None, bool]:
    """Return about how many more pairs decide a claim, and whether these are only those that any interval needs."""
    for more in range(1, FORESEEN + 1):
        if combine([part.after(more) for part in parts]) != "undecided":
            return more, False
    lacking = max(part.boundary.first - part.shown.n for part in parts)
    return (lacking, True) if lacking > 0 else (None, False)
