"""Which arms get another seed: judged after every round, from what is stored alone, until nothing is left to settle.

    first round: every arm, so many seeds as a bound needs ──► trained ──► next_round ──► one more seed for some arms ─┐
                                                                  ▲             │                                      │
                                                                  │             └─► all settled, or the limit: ended   │
                                                                  └────────────────────────────────────────────────────┘

A round is stored before its trials are. Whoever gets the lock and finds no trial open decides the next one; it follows
from the trials that are stored, so it is the same whoever decides, and a process that is killed leaves nothing undone
that another would not do likewise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from optuna.trial import FrozenTrial

from model.seeds import derive
from search.errors import StoredError
from search.store.attributes import nonsense
from search.store.queue import enqueue
from search.store.study import StudyStore
from search.verdict.boundary import boundary_of
from search.verdict.claims import Part, claim_tail, combine, of_seeds, parts_of, rivals
from search.verdict.evidence import Evidence, Row, checked, value
from search.verdict.judge import families_of
from search.verdict.runs import SEED, arm_key, arm_of, evident, planned, rows_of
from search.verdict.statistics import mean_interval
from studies.asked import Asked
from studies.claims import AsGoodAsAny, Claim, SweetSpot
from studies.confirmation import Arm, Plan
from studies.foreign import excluded
from studies.settings import Setting

ROUNDS = "rounds"  # study attribute
NONE: Mapping[str, Any] = {"rounds": [], "ended": None}
SETTLED, SEEDS, MINUTES = "settled", "seeds", "minutes"  # why it ended


@dataclass(frozen=True)
class Round:
    """Arms, by their place among those that are trained, and from how many seeds each is to be trained after it."""

    arms: tuple[int, ...]
    seeds: int

    def as_dict(self) -> dict[str, Any]:
        """Return the round in JSON types, as it is stored."""
        return {"seeds": self.seeds, "arms": list(self.arms)}


@dataclass(frozen=True)
class Limits:
    """When a confirmation ends at the latest."""

    seeds: int
    minutes: float | None = None  # of training, of all processes together; no round begins after them

    def reached(self, following: Round, spent: float) -> str | None:
        """Return which of them ends it before this round, None if none does."""
        if following.seeds > self.seeds:
            return SEEDS
        return MINUTES if self.minutes is not None and spent >= self.minutes else None


def next_round(asked: Asked, drawn: Plan, rows: Iterable[Row], had: Sequence[int]) -> Round | None:
    """Return one more seed for the arms that claims of any family need, None once all are settled.

    `had` is from how many seeds each arm was trained. Where needed arms differ in that, those that lag behind are next.
    Raises ValueError for rows that make no sense.
    """
    evidence = checked(rows, [], asked.metric, asked.protocols, boundary_of(drawn.rule))
    found = set()
    for protocol, claims in families_of(asked.claims, evidence, asked.protocols).items():
        tail = claim_tail(len(claims)) if claims else 0.0
        settings = {each for claim in claims for each in needed(claim, evidence, protocol, tail)}
        found |= {drawn.trained(arm) for arm in drawn.arms if arm.protocol == protocol and arm.setting in settings}
    arms = tuple(at for at, arm in enumerate(drawn.to_train()) if arm in found)
    return Round(arms, 1 + min(had[at] for at in arms)) if arms else None


def needed(claim: Claim, evidence: Evidence, protocol: str, tail: float) -> set[Setting]:
    """Return the settings of which more runs may settle a claim; none once it is settled, or where no run can.

    Of several that one is compared with, these are that one and all that may still be ahead of it by the margin; of a
    sweet spot's line, the values in question likewise.
    """
    parts = of_seeds(parts_of(claim, evidence, protocol, tail))
    if not parts or combine(parts) != "undecided":
        return set()
    if isinstance(claim, AsGoodAsAny):
        return {claim.a, *_ahead(parts[0], claim.a, rivals(claim, evidence, protocol), evidence, protocol)}
    if not isinstance(claim, SweetSpot):
        return set(claim.settings())
    line = claim.line({*evidence.settings(protocol), claim.spot})
    asked = zip([claim.spot, *line[: line.index(claim.spot)]], parts, strict=True)
    still = [(own, part) for own, part in asked if part.verdict == "undecided"]
    return {each for own, part in still for each in (own, *_ahead(part, own, line, evidence, protocol))}


def _ahead(part: Part, own: Setting, others: Sequence[Setting], evidence: Evidence, protocol: str) -> list[Setting]:
    """Return those that may be ahead of a setting by more than the margin."""

    def most(other: Setting) -> float:
        ahead = evidence.advantages(protocol, other, own, value)
        return mean_interval(ahead, upper_tail=part.tails[1], boundary=evidence.boundary).upper

    return [other for other in others if other != own and most(other) >= part.hypothesis.threshold]


def open_round(store: StudyStore, asked: Asked, drawn: Plan, limits: Limits) -> None:
    """Write down the trials of the next round, unless one is open or there is none; to be called under the lock.

    Raises `StoredError` for stored runs that make no sense.
    """
    arms = drawn.to_train()
    if drawn.rule is None:
        write_down(store, arms, limits.seeds)
        return
    rounds = _begun(store, drawn, limits)
    for each in rounds:  # also those that a process may have left undone
        write_down(store, [arms[at] for at in each["arms"]], each["seeds"])
    trials = planned(store.study, store.study.get_trials(deepcopy=False), drawn)
    if not all(trial.state.is_finished() for trial in trials):
        return
    complete = evident(store.study, trials, asked)
    had = _had(trials)
    spent = sum(trial.user_attrs["seconds"] for trial in complete) / 60
    try:
        found = next_round(asked, drawn, rows_of(asked, drawn, complete), [had.get(arm_key(arm), 0) for arm in arms])
    except ValueError as error:  # rows that no confirmation writes
        raise StoredError(f"study {store.study.study_name!r} makes no sense: {error}") from error
    ended = SETTLED if found is None else limits.reached(found, spent)
    if found is None or ended:
        _store(store, rounds, ended)
        return
    _store(store, [*rounds, found.as_dict()], None)
    write_down(store, [arms[at] for at in found.arms], found.seeds)


def _had(trials: Iterable[FrozenTrial]) -> dict[tuple[Any, ...], int]:
    """Return from how many seeds, the first ones, each arm was trained; other seeds may be somebody else's."""
    seeds: dict[tuple[Any, ...], set[int]] = {}
    for trial in trials:
        seeds.setdefault(arm_of(trial), set()).add(trial.user_attrs.get(SEED, -1))
    return {arm: next(index for index in count() if index not in own) for arm, own in seeds.items()}


def _begun(store: StudyStore, drawn: Plan, limits: Limits) -> list[Mapping[str, Any]]:
    """Return the rounds that were begun, the first of all arms; the limit of an earlier run may have cut that short."""
    stored = store.study.user_attrs.get(ROUNDS, NONE)["rounds"]
    every = {"seeds": min(boundary_of(drawn.rule).first, limits.seeds), "arms": list(range(len(drawn.to_train())))}
    if stored and stored[0]["seeds"] >= every["seeds"]:
        return list(stored)
    _store(store, [every, *stored[1:]], None)
    return [every, *stored[1:]]


def _store(store: StudyStore, rounds: Sequence[Mapping[str, Any]], ended: str | None) -> None:
    new = {"rounds": list(rounds), "ended": ended}
    if store.study.user_attrs.get(ROUNDS) != new:
        store.study.set_user_attr(ROUNDS, new)


def write_down(store: StudyStore, arms: Iterable[Arm], seeds: int) -> None:
    """Enqueue what arms lack of so many seeds; a trial run again after its worker died counts as there."""
    trials = store.study.get_trials(deepcopy=False)
    ours = (trial for trial in trials if not excluded(store.study, trial, nonsense(trial)))
    there = {(*arm_of(trial), trial.user_attrs.get(SEED)) for trial in ours}
    wanted = list(arms)
    for index in range(seeds):
        init_seed = derive(store.seed, "confirm", "trial", index)
        for arm in wanted:
            if (*arm_key(arm), index) not in there:
                known = {name: value for name, value in arm.attributes().items() if value is not None}
                enqueue(store.study, store.spec.space, dict(arm.params), **known, seed_index=index, init_seed=init_seed)
