"""Confirmations of known truth, played round by round as `search/verdict/rounds.py` decides, many times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.known_truth import Tally
from search.verdict.boundary import FIRST, boundary_of
from search.verdict.evidence import Row, Timing
from search.verdict.judge import Verdict, judge
from search.verdict.rounds import next_round
from studies.asked import Asked
from studies.confirmation import RULE, Arm, Plan

LIMIT = 20
Draw = Callable[[np.random.Generator], tuple[list[Row], list[Timing]]]


@dataclass(frozen=True)
class Played:
    """How one confirmation ended."""

    verdict: Verdict
    runs: int
    at_most: int  # runs of the limit's seeds for every arm
    seeds: tuple[int, ...]  # of each arm


def plan_of(rows: Sequence[Row], rule: str | None = RULE) -> Plan:
    """Return a plan whose arms are those of the rows."""
    arms = dict.fromkeys(Arm(row.protocol, row.setting, row.params) for row in rows)
    return Plan("simulated", 0, 0, tuple(arms), rule)


def play(asked: Asked, rows: Sequence[Row], timings: Sequence[Timing], limit: int = LIMIT) -> Played:
    """Play one confirmation, of whose runs only those are seen that its rounds ask for."""
    drawn = plan_of(rows)
    arms, boundary = drawn.to_train(), boundary_of(drawn.rule)
    had = [min(FIRST, limit)] * len(arms)

    def seen() -> list[Row]:
        many = {arm.params: seeds for arm, seeds in zip(arms, had, strict=True)}
        return [row for row in rows if row.seed < many[row.params]]

    while (found := next_round(asked, drawn, seen(), had)) is not None and found.seeds <= limit:
        had = [max(seeds, found.seeds) if at in found.arms else seeds for at, seeds in enumerate(had)]
    verdict = judge(asked.claims, seen(), timings, metric=asked.metric, protocols=asked.protocols, boundary=boundary)
    return Played(verdict, sum(had), limit * len(arms), tuple(had))


@dataclass
class Counted:
    """What many confirmations of one truth gave."""

    tallies: dict[str, Tally]
    any_verdict: int = 0  # confirmations with at least one claim supported or refuted
    settled: int = 0  # confirmations that ended with all claims supported or refuted
    shares: list[float] = field(default_factory=list)  # runs, of those of the limit's seeds for every arm
    seeds: list[int] = field(default_factory=list)  # of the arm that was trained from most


def measure(
    asked: Asked, draw: Draw, effects: Mapping[str, float], repetitions: int, rng: np.random.Generator
) -> Counted:
    """Play confirmations of a truth whose claims have these effects."""
    counted = Counted({name: Tally() for name in effects})
    for _ in range(repetitions):
        played = play(asked, *draw(rng))
        for claim in played.verdict.claims:
            counted.tallies[claim.id].add(claim, effects[claim.id])
        decided = [claim.verdict != "undecided" for claim in played.verdict.claims]
        counted.any_verdict += any(decided)
        counted.settled += all(decided)
        counted.shares.append(played.runs / played.at_most)
        counted.seeds.append(max(played.seeds))
    return counted
