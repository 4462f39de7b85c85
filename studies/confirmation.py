"""The confirmation of a search: fixed widths, each from several fresh seeds, so that luck can be told from merit.

A *plan* is a list of arms; an arm is a width and a learning rate under one of two protocols:

- `article-lr`: every width at the article's 0.02, since that is what its claims speak of.
- `best-lr`: every width at the best learning rate that the search found for it, since the article tuned none.

Every arm is trained from the same seeds. A seed names initial weights and the order of all batches, so arms are
compared in pairs. Nothing is sampled, nothing is pruned.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from model.data.mnist import split_fingerprint
from model.fleet.fleet import ARTICLE_BATCH
from studies.spec import StudySpec, report_epochs
from studies.sweet_spot import BASELINE, SPACE

GRID = (
    10,
    16,
    25,
    40,
    64,
    100,
)  # the article's three widths and steps of a factor 1.6 between; the winner's joins them
SEEDS, EPOCHS = 5, 10  # what fits beside a search in a few minutes
PUBLISHED_SEEDS, PUBLISHED_EPOCHS = 20, 100  # what a verdict to quote needs
NEAR = math.log(2) / 2  # widths within a factor of 1.41 tell of each other's learning rate


@dataclass(frozen=True)
class Arm:
    """What is trained from every seed."""

    protocol: str  # article-lr or best-lr
    width: int
    lr: float
    lr_from: int | None  # trial of the search that the lr was taken from
    role: str | None = None  # "winner" or "baseline": these two are scored on the test set as well, when all is chosen


@dataclass(frozen=True)
class Plan:
    """All arms, and the search that they were drawn from."""

    search: str  # name of its study
    finished: int  # its finished trials at the time
    winner: int  # its best trial
    arms: tuple[Arm, ...]

    def trained(self, arm: Arm) -> Arm:
        """Return the arm whose runs are this arm's: itself, or its twin at the article's lr where that is the best."""
        twins = (other for other in self.arms if (other.width, other.lr) == (arm.width, arm.lr))
        return next(twin for twin in twins if twin.role or not arm.role)  # the article's arms come first

    def as_dict(self) -> dict[str, Any]:
        """Return the plan in JSON types, as it is stored."""
        return {**asdict(self), "arms": [asdict(arm) for arm in self.arms]}

    @staticmethod
    def of(stored: dict[str, Any]) -> "Plan":
        """Return the plan that `as_dict` wrote."""
        return Plan(**{**stored, "arms": tuple(Arm(**arm) for arm in stored["arms"])})


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


def confirmation(search: str, epochs: int = EPOCHS) -> StudySpec:
    """State the confirmation of the search of this name; `epochs` is the length of every trial."""
    return StudySpec(
        name=f"{search}/confirm",
        question="Is 25 hidden units the sweet spot, on fresh seeds?",
        metric="validation accuracy",
        direction="maximize",
        space=SPACE,
        baseline=None,
        sampler=NoSampler,
        pruner=NopPruner(),
        epochs=epochs,
        report_epochs=report_epochs(epochs),
        batch=ARTICLE_BATCH,
        split=split_fingerprint(),
    )


def plan(search: str, trials: Sequence[FrozenTrial]) -> Plan:
    """Draw the arms from a search's trials, of which at least one is complete. The same trials give the same plan."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = sum(trial.state == TrialState.PRUNED for trial in trials)
    winner = min(complete, key=_rank)
    best_width = winner.params["hidden_units"]
    widths = sorted({*GRID, best_width})
    right, lr = BASELINE["hidden_units"], float(BASELINE["lr"])
    article = [Arm("article-lr", w, lr, None, "baseline" if w == right else None) for w in widths]
    best = [_best_arm(complete, w, "winner" if w == best_width else None) for w in widths]
    return Plan(search, len(complete) + pruned, winner.number, (*article, *best))


def best_lr_trial(complete: Sequence[FrozenTrial], width: int) -> FrozenTrial:
    """Return the completed trial whose learning rate is the best found for a width.

    The most accurate of those within a factor of 1.41 in width, else the nearest; on a tie the lowest number. Pruned
    trials have no say: a narrow one was stopped for being narrow, whatever its learning rate.
    """
    distance = {trial.number: abs(math.log(trial.params["hidden_units"] / width)) for trial in complete}
    near = [trial for trial in complete if distance[trial.number] <= NEAR]
    return min(near, key=_rank) if near else min(complete, key=lambda trial: (distance[trial.number], _rank(trial)))


def _best_arm(complete: Sequence[FrozenTrial], width: int, role: str | None) -> Arm:
    source = best_lr_trial(complete, width)
    return Arm("best-lr", width, source.params["lr"], source.number, role)


def _rank(trial: FrozenTrial) -> tuple[float, int]:
    assert trial.value is not None
    return (-trial.value, trial.number)
