"""What a search and its confirmation have found, read from SQL alone: the rows behind the verdict, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import NotFoundError, StoredError
from search.store.state import StudyState, read_state
from search.store.storage import Storage
from search.store.study import load_study
from search.store.trials import value_if_any
from search.verdict.boundary import boundary_of
from search.verdict.cohorts import PLAN
from search.verdict.confirmation import OPEN, TIMING
from search.verdict.evidence import Timing
from search.verdict.forecast import Forecast, forecasts
from search.verdict.judge import Verdict, judge
from search.verdict.rounds import NONE, ROUNDS, SETTLED
from search.verdict.runs import arm_key, arm_of, evident, planned, rows_of
from search.verdict.statistics import mean_interval, standard_deviation
from studies.asked import Asked
from studies.built_in import built_in_of
from studies.confirmation import PUBLISHED_SEEDS, Arm, Plan, asked_of, timed
from studies.optuna_private import trial_key


@dataclass(frozen=True)
class Findings:
    """A finished confirmation and what it was drawn from."""

    search: StudyState
    confirmation: StudyState
    asked: Asked
    plan: Plan
    trials: Sequence[FrozenTrial]  # completed runs of the plan's arms
    diverged: int  # runs of them that failed, and so are missing
    timing: dict[str, Any]  # as `search.verdict.confirmation.measure` returns it; empty if there is none
    verdict: Verdict
    forecasts: Sequence[Forecast]  # what undecided claims would take; none where seeds were fixed before

    @property
    def ended(self) -> datetime:
        """When the last of the runs ended, in UTC."""
        return max(self.confirmation.ends[trial_key(trial)] for trial in self.trials)

    @property
    def epochs(self) -> int:
        """Epochs of every confirming run."""
        return self.confirmation.epochs

    @property
    def seeds(self) -> int:
        """Number of seeds that arms were trained from, at most."""
        return len({trial.user_attrs["seed_index"] for trial in self.trials})

    @property
    def seeds_told(self) -> str:
        """The same in words, with the least where arms differ in it: "10 to 14"."""
        least = min(len(self.of(arm)) for arm in self.plan.arms) if self.plan.rule else self.seeds
        return f"{least} to {self.seeds}" if least < self.seeds else str(self.seeds)

    @property
    def stopped_by(self) -> str | None:
        """Why no arm got another seed: "settled", "seeds" or "minutes"; None where their number was fixed before."""
        return (self.confirmation.attributes.get(ROUNDS) or NONE)["ended"] if self.plan.rule else None

    def minutes(self, forecast: Forecast) -> float:
        """Return how long the runs of a forecast would take, as the same arms' have taken."""
        runs = [self.of(arm) for arm in forecast.arms]
        each = [fmean(trial.user_attrs["seconds"] for trial in trained) for trained in runs if trained]
        return (forecast.more or 0) * sum(each) / 60

    @property
    def quotable(self) -> tuple[int, int]:
        """Seeds and epochs of a verdict to quote: as many epochs as the study's full trials are stated to have."""
        known = built_in_of(self.search.attributes)
        return PUBLISHED_SEEDS, known.study.epochs if known else self.search.epochs

    @property
    def quick(self) -> bool:
        """Whether it is a quick look, with fewer epochs than that, or fewer seeds before all claims were settled."""
        short = self.stopped_by != SETTLED and self.seeds < self.quotable[0]
        return short or self.epochs < self.quotable[1]

    def of(self, arm: Arm) -> list[FrozenTrial]:
        """Return the completed runs of an arm in order of their seeds."""
        found = [trial for trial in self.trials if arm_of(trial) == arm_key(self.plan.trained(arm))]
        return sorted(found, key=lambda trial: trial.user_attrs["seed_index"])

    def arm(self, role: str) -> Arm:
        """Return the arm of the "winner" or the "baseline"."""
        return next(arm for arm in self.plan.arms if arm.role == role)


def findings(storage: Storage, name: str) -> Findings:
    """Read what the search of this name has found, and judge it.

    Raises `NotFoundError` where there is no such search, no confirmation, or one that is not finished: a verdict that
    is looked at while its data come in errs more often than it says.
    """
    search = read_state(storage, load_study(storage, name))
    study = _confirmation(storage, search)
    confirmation = read_state(storage, study)
    asked, drawn = _asked(search), Plan.of(confirmation.attributes[PLAN])
    trials = planned(study, confirmation.trials, drawn)
    complete = evident(study, trials, asked)
    _check_finished(search.name, trials, complete)
    timing = confirmation.attributes.get(TIMING, {})
    try:
        rows, boundary = rows_of(asked, drawn, complete), boundary_of(drawn.rule)
        verdict = judge(
            asked.claims,
            rows,
            [Timing(of, row["seconds_per_epoch"], row["flops_per_epoch"]) for of, row in timed(timing)],
            metric=asked.metric,
            protocols=asked.protocols,
            layout=asked.layout,
            boundary=boundary,
        )
    except ValueError as error:  # rows that no confirmation writes
        raise StoredError(f"study {confirmation.name!r} makes no sense: {error}") from error
    open_ones = forecasts(asked, drawn, rows, verdict) if boundary.looks else []
    diverged = sum("diverged" in trial.user_attrs.get("reason", "") for trial in trials)
    return Findings(search, confirmation, asked, drawn, complete, diverged, timing, verdict, open_ones)


def _asked(search: StudyState) -> Asked:
    try:
        return asked_of(search.attributes)
    except ValueError as error:
        raise StoredError(f"study {search.name!r} makes no sense: {error}") from error


def _confirmation(storage: Storage, search: StudyState) -> optuna.Study:
    linked = search.attributes.get("confirmation") if "fingerprint" in search.attributes else None
    if linked is None:
        raise NotFoundError(
            f"study {search.name!r} has no confirmation yet, so no verdict; go on with: python -m search.run"
        )
    study = load_study(storage, linked)
    if not {"fingerprint", PLAN} <= study.user_attrs.keys():
        raise StoredError(f"study {linked!r} is no confirmation of {search.name!r}")
    return study


def _check_finished(name: str, trials: Sequence[FrozenTrial], complete: Sequence[FrozenTrial]) -> None:
    still = sum(trial.state in OPEN for trial in trials)
    if still or not complete:
        raise NotFoundError(
            f"the confirmation of {name!r} is not finished: {still} of {still + len(complete)} runs are open; "
            "go on with: python -m search.run"
        )


def document(found: Findings) -> dict[str, Any]:
    """Return the verdict in JSON types, as `search.report --json` prints it."""
    return {
        "claims": [claim.as_dict() for claim in found.verdict.claims],
        found.asked.layout.arms: found.verdict.arms_json(),
        "winner": arm_summary(found, "winner"),
        "baseline": arm_summary(found, "baseline"),
        **({"confirmation": _rounds(found)} if found.plan.rule else {}),
    }


def _rounds(found: Findings) -> dict[str, Any]:
    """Return by which rule it was judged and why it ended, and what undecided claims would take."""
    return {
        "rule": found.plan.rule,
        "ended": found.stopped_by,
        "seeds": [len(found.of(arm)) for arm in found.plan.to_train()],
        "undecided": [
            {
                "id": each.claim,
                "protocol": each.protocol,
                "more_seeds": each.more,
                "more_minutes": found.minutes(each) if each.more else None,
                "at_least": each.least,
            }
            for each in found.forecasts
        ],
    }


def arm_summary(found: Findings, role: str) -> dict[str, Any]:
    """Return the search's figure of the winner or the baseline, and beside it that of fresh seeds."""
    arm, short = found.arm(role), found.asked.metric.short
    original = _original(found, role)
    runs = found.of(arm)
    return {
        "number": original.number if original else None,  # trial of the search
        "params": dict(arm.params),
        "protocol": arm.protocol,
        f"search_{short}": value_if_any(original),  # optimistic for a winner, which luck helped to win
        "search_epochs": original.last_step if original else None,
        "epochs": found.epochs,  # of the confirming runs
        f"validation_{short}": spread([trial.user_attrs[f"val_{short}"] for trial in runs]),
        f"test_{short}": spread([trial.user_attrs[f"test_{short}"] for trial in runs]),
    }


def _original(found: Findings, role: str) -> FrozenTrial | None:
    trials = found.search.trials
    if role == "winner":
        return next((trial for trial in trials if trial.number == found.plan.winner), None)
    mine = [trial for trial in trials if trial.user_attrs.get("baseline")]
    return next((trial for trial in mine if trial.state == TrialState.COMPLETE), None)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, standard deviation and 95 % interval of a figure over seeds, with the figures; None if too few."""
    numbers = np.array(values)
    return {
        "n": len(values),
        "mean": fmean(values) if values else None,
        "sd": standard_deviation(numbers) if values else None,
        "ci95": mean_interval(numbers).bounds() if values else None,
        "values": list(values),
    }
