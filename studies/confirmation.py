"""The confirmation of a search: the settings that claims name, each from several fresh seeds, to tell luck from merit.

A *plan* is a list of arms; an arm is a setting under one of two protocols (`studies.asked.Protocols`):

- stated: every setting as the claims name it.
- tuned: every setting with the parameters that the study sets free at the best that the search found near it.

The winner of the search is one of them, or an arm of its own. Every arm is trained from the same seeds. A seed names
initial weights and the order of all batches, so arms are compared in pairs. Nothing is sampled, nothing is pruned.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from studies import older
from studies.aims import rank
from studies.asked import Asked
from studies.claims import AsGoodAsAny
from studies.settings import Setting, is_number
from studies.space import Space
from studies.spec import CLAIMS, StudySpec, report_epochs
from studies.sweet_spot import ARTICLE

SEEDS, EPOCHS = 20, 10  # at most, and what fits beside a search in a few minutes
RULE = "always-valid t"  # how new confirmations are judged: after every seed; `search/verdict/boundary.py`
PUBLISHED_SEEDS = 20  # what a verdict to quote needs
NEAR = 1 / 12  # of a parameter's range: settings so near tell of each other's free parameters; a width's is 1.41-fold
WINNER, BASELINE = "winner", "baseline"  # roles; the first is the protocol of a winner that is no other arm as well


def asked_of(attributes: Mapping[str, Any]) -> Asked:
    """Return what a stored study asks of its confirmation. Raises ValueError for claims that make no sense."""
    if CLAIMS not in attributes:
        return ARTICLE
    return Asked.of(attributes[CLAIMS], attributes.get("fingerprint", {}).get("space", ()))


@dataclass(frozen=True)
class Arm:
    """What is trained from every seed."""

    protocol: str
    setting: Setting  # as claims name it
    params: Setting  # as it is trained
    source: int | None = None  # trial of the search that the free parameters were taken from
    role: str | None = None  # "winner" or "baseline": these two are scored on the test set as well, when all is chosen

    def as_dict(self) -> dict[str, Any]:
        """Return the arm in JSON types, as it is stored in a plan."""
        return {**vars(self), "setting": dict(self.setting), "params": dict(self.params)}

    def attributes(self) -> dict[str, Any]:
        """Return what is stored with its trials, beside their parameters; what is None is not."""
        return {"protocol": self.protocol, "role": self.role}

    @staticmethod
    def of(stored: Mapping[str, Any]) -> "Arm":
        """Return the arm that `as_dict` wrote."""
        fields = older.arm(stored) if older.is_arm(stored) else stored
        return Arm(**{**fields, "setting": Setting.of(fields["setting"]), "params": Setting.of(fields["params"])})


@dataclass(frozen=True)
class Plan:
    """All arms, and the search that they were drawn from."""

    search: str  # name of its study
    finished: int  # its finished trials at the time
    winner: int  # its best trial
    arms: tuple[Arm, ...]
    rule: str | None = None  # how it is judged; None: once, on as many seeds as were asked for

    def to_train(self) -> list[Arm]:
        """Return the arms that have runs of their own, in order."""
        return list(dict.fromkeys(map(self.trained, self.arms)))

    def trained(self, arm: Arm) -> Arm:
        """Return the arm whose runs are this arm's: itself, or its twin as it is stated where that is the best."""
        twins = (other for other in self.arms if other.params == arm.params)
        return next(twin for twin in twins if twin.role or not arm.role)  # stated arms come first

    def as_dict(self) -> dict[str, Any]:
        """Return the plan in JSON types, as it is stored."""
        known = {name: value for name, value in vars(self).items() if name != "rule" or value is not None}
        return {**known, "arms": [arm.as_dict() for arm in self.arms]}

    @staticmethod
    def of(stored: Mapping[str, Any]) -> "Plan":
        """Return the plan that `as_dict` wrote."""
        return Plan(**{**stored, "arms": tuple(map(Arm.of, stored["arms"]))})


def timed(stored: Mapping[str, Any]) -> list[tuple[Setting, dict[str, Any]]]:
    """Return the rows of stored times, each with the setting it is of, which may lack parameters that cost no time."""
    return [(Setting.of(row["setting"]), row) for row in older.timed_settings(stored)]


class NoSampler(BaseSampler):
    """Samples nothing: every trial of a confirmation has been written down before."""

    def __init__(self, _seed: int = 0) -> None:
        super().__init__()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Return no parameter to be sampled jointly."""
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse."""
        raise RuntimeError(f"trial {trial.number} of {study.study_name!r} has no {param_name}, which is never sampled")


def confirmation_name(search: str) -> str:
    """Return the name of a search's confirmation."""
    return f"{search}/confirm"


def confirmation_of(spec: StudySpec, epochs: int = EPOCHS) -> StudySpec:
    """State the confirmation of a search: the same data, metric and space, of which nothing is sampled."""
    return spec.beside(
        name=confirmation_name(spec.name),
        question=f"{spec.question.rstrip('?')}, on fresh seeds?",
        baseline=None,
        sampler=NoSampler,
        epochs=epochs,
        report_epochs=report_epochs(epochs),
    )


def plan(
    search: str,
    trials: Sequence[FrozenTrial],
    asked: Asked,
    space: Mapping[str, BaseDistribution],
    rule: str | None = None,
) -> Plan:
    """Draw the arms from a search's trials, of which at least one is complete. The same trials give the same plan."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = sum(trial.state == TrialState.PRUNED for trial in trials)
    draw = _Draw(asked, Space.of(space), complete)
    return Plan(search, len(complete) + pruned, draw.winner.number, tuple(draw.arms()), rule)


def early_arms(asked: Asked, space: Mapping[str, BaseDistribution]) -> list[Arm]:
    """Return the arms that every plan has, whatever a search finds: settings as they are stated.

    Without those that are scored on the test set, which is read when all is chosen.
    """
    arms = stated_arms(asked, asked.stated({}), Space.of(space))
    return [arm for arm in arms if arm.role is None and arm.setting not in asked.tested]


def stated_arms(asked: Asked, settings: Iterable[Setting], space: Space) -> list[Arm]:
    """Return these settings as arms that are trained as they are stated, in order."""
    roles = {asked.baseline: BASELINE}
    return [Arm(asked.protocols.stated, each, each, None, roles.get(each)) for each in trainable(settings, space)]


def trainable(settings: Iterable[Setting], space: Space) -> list[Setting]:
    """Return settings without what does not occur in them, each once, in order.

    One that lacks something is left out: where the winner's value joins a sweet spot, that may be.
    """
    found = [each for each in settings if not space.lacks(each)]
    return sorted({Setting.of(space.belonging(each)) for each in found}, key=Setting.order)


class _Draw:
    """Draws the arms of one plan."""

    def __init__(self, asked: Asked, space: Space, complete: Sequence[FrozenTrial]) -> None:
        self.asked, self.space, self.complete = asked, space, complete
        self.sign = asked.metric.sign
        self.winner = min(complete, key=lambda trial: rank(trial, self.sign))

    def arms(self) -> list[Arm]:
        """Return the stated arms, the tuned ones, and the winner's where it is none of these."""
        won, found = self.winner.params, self._best_no_larger()
        stated = [self._won(arm) for arm in stated_arms(self.asked, {*self.asked.stated(won), *found}, self.space)]
        tuned = trainable({*self.asked.tuned(won), *(found if self.asked.protocols.free else ())}, self.space)
        arms = [*stated, *map(self._tuned, tuned)]
        if not any(arm.role == WINNER for arm in arms):
            own = Setting.of(won)
            arms.append(Arm(WINNER, own, own, self.winner.number, WINNER))
        return arms

    def _won(self, arm: Arm) -> Arm:
        """Let an arm be the winner's too where it is that setting and the test set scores it anyway: once is enough."""
        won = arm.params == Setting.of(self.winner.params) and arm.setting in self.asked.tested
        return replace(arm, role=WINNER) if won and arm.role is None else arm

    def _best_no_larger(self) -> set[Setting]:
        """Return what claims that are about no larger networks are compared with: the best that was found of these.

        What the claim is not about, and what the study sets free, is as in the claim.
        """
        claims = [claim for claim in self.asked.claims if isinstance(claim, AsGoodAsAny) and claim.no_larger]
        return {setting for claim in claims for setting in self._no_larger(claim.a, claim.alike)}

    def _no_larger(self, own: Setting, alike: Setting) -> list[Setting]:
        kept = {**alike, **{name: own[name] for name in self.asked.protocols.free}}
        sizes = [trial.user_attrs.get("parameters") for trial in self.complete if Setting.of(trial.params) == own]
        if not sizes or sizes[0] is None:  # it was not tried
            return []
        others = [
            (rank(trial, self.sign), Setting.of({**trial.params, **kept}))
            for trial in self.complete
            if trial.user_attrs.get("parameters", math.inf) <= sizes[0]
        ]
        return [setting for _, setting in sorted(each for each in others if each[1] != own)[:1]]

    def _tuned(self, setting: Setting) -> Arm:
        free = self.asked.protocols.free
        fitting = [trial for trial in self.complete if self._fits(setting, trial)]
        if not fitting:
            return Arm(self.asked.protocols.tuned, setting, setting)
        source = best_trial(fitting, setting, free, self.space, self.sign)
        params = self._taken(setting, source)
        role = WINNER if source is self.winner and params == Setting.of(self.winner.params) else None
        return Arm(self.asked.protocols.tuned, setting, params, source.number, role)

    def _taken(self, setting: Setting, source: FrozenTrial) -> Setting:
        """Return a setting with those of its free parameters that a trial has as they are there."""
        free = set(self.asked.protocols.free) & setting.keys() & source.params.keys()
        return Setting.of({**setting, **{name: source.params[name] for name in free}})

    def _fits(self, setting: Setting, source: FrozenTrial) -> bool:
        """Say whether a trial has all free parameters of a setting, and with its values the same others occur."""
        free = set(self.asked.protocols.free) & setting.keys()
        return free <= source.params.keys() and not self.space.wrong(self._taken(setting, source))


def best_trial(
    complete: Sequence[FrozenTrial],
    setting: Mapping[str, Any],
    free: Iterable[str],
    space: Mapping[str, BaseDistribution],
    sign: int = 1,
) -> FrozenTrial:
    """Return the completed trial whose free parameters are the best found for a setting.

    The best of those that are near in all other parameters, else the nearest; on a tie the lowest number. Pruned trials
    have no say: a narrow network's was stopped for being narrow, whatever its learning rate.
    """
    fixed = [name for name in setting if name not in set(free)]

    def distance(trial: FrozenTrial) -> float:
        return max((_apart(trial.params.get(name), setting[name], space[name]) for name in fixed), default=0.0)

    def order(trial: FrozenTrial) -> tuple[float, ...]:
        return rank(trial, sign)

    near = [trial for trial in complete if distance(trial) <= NEAR]
    return min(near, key=order) if near else min(complete, key=lambda trial: (distance(trial), order(trial)))


def _apart(one: Any, other: Any, distribution: BaseDistribution) -> float:
    """Return how far two values lie from each other, as a share of their range; what has no size is alike or not."""
    if isinstance(distribution, CategoricalDistribution) or not (is_number(one) and is_number(other)):
        return 0.0 if one == other else 1.0
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return 0.0
    if distribution.log:
        return abs(math.log(float(one) / float(other))) / math.log(high / low)
    return abs(float(one) - float(other)) / (high - low)
