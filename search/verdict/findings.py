"""What a search and its confirmation have found, read from SQL alone: the rows behind the verdict, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import NotFoundError, StoredError
from search.store.attributes import nonsense
from search.store.state import StudyState, read_state
from search.store.storage import Storage
from search.store.study import load_study
from search.verdict.confirmation import OPEN, PLAN, TIMING, arm_key, arm_of
from search.verdict.evidence import Row, Timing
from search.verdict.judge import Verdict, judge
from search.verdict.statistics import mean_interval, standard_deviation
from studies.asked import Asked
from studies.built_in import built_in_of
from studies.claims import Metric
from studies.confirmation import PUBLISHED_SEEDS, Arm, Plan, asked_of, timed
from studies.foreign import excluded
from studies.optuna_private import trial_key
from studies.settings import Setting

FIGURES = ("seed_index", "parameters", "seconds", "gap", "gap_by_epoch", "val_loss", "train_loss")


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
        """Number of seeds that every arm was trained from."""
        return len({trial.user_attrs["seed_index"] for trial in self.trials})

    @property
    def quotable(self) -> tuple[int, int]:
        """Seeds and epochs of a verdict to quote: as many epochs as the study's full trials are stated to have."""
        known = built_in_of(self.search.attributes)
        return PUBLISHED_SEEDS, known.study.epochs if known else self.search.epochs

    @property
    def quick(self) -> bool:
        """Whether it is a quick look, with fewer seeds or epochs than that."""
        return self.seeds < self.quotable[0] or self.epochs < self.quotable[1]

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
    trials = [trial for trial in confirmation.trials if _planned(study, trial, drawn)]
    ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete = [trial for trial in ended if not excluded(study, trial, _lack(trial, asked))]
    _check_finished(search.name, trials, complete)
    timing = confirmation.attributes.get(TIMING, {})
    try:
        verdict = judge(
            asked.claims,
            _rows(asked, drawn, complete),
            [Timing(of, row["seconds_per_epoch"], row["flops_per_epoch"]) for of, row in timed(timing)],
            metric=asked.metric,
            protocols=asked.protocols,
            layout=asked.layout,
        )
    except ValueError as error:  # rows that no confirmation writes
        raise StoredError(f"study {confirmation.name!r} makes no sense: {error}") from error
    diverged = sum("diverged" in trial.user_attrs.get("reason", "") for trial in trials)
    return Findings(search, confirmation, asked, drawn, complete, diverged, timing, verdict)


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


def _planned(study: optuna.Study, trial: FrozenTrial, drawn: Plan) -> bool:
    if excluded(study, trial, nonsense(trial)):
        return False
    return arm_of(trial) in {arm_key(drawn.trained(arm)) for arm in drawn.arms}


def _lack(trial: FrozenTrial, asked: Asked) -> str | None:
    """Return why a completed run of an arm is no evidence, None if it is; ours have all figures."""
    tested = trial.user_attrs.get("role") or Setting.of(trial.params) in asked.tested
    parts = ("val", "train", "test") if tested else ("val", "train")
    needed = (*FIGURES, *(f"{part}_{asked.metric.short}" for part in parts))
    figures = {name: trial.user_attrs.get(name) for name in needed}
    return next((f"its {name} is {figure}" for name, figure in figures.items() if not _finite(figure)), None)


def _finite(figure: Any) -> bool:
    numbers = figure.values() if isinstance(figure, dict) else [math.nan if figure is None else figure]
    return all(map(math.isfinite, numbers))


def _check_finished(name: str, trials: Sequence[FrozenTrial], complete: Sequence[FrozenTrial]) -> None:
    still = sum(trial.state in OPEN for trial in trials)
    if still or not complete:
        raise NotFoundError(
            f"the confirmation of {name!r} is not finished: {still} of {still + len(complete)} runs are open; "
            "go on with: python -m search.run"
        )


def _rows(asked: Asked, drawn: Plan, complete: Sequence[FrozenTrial]) -> list[Row]:
    """Return the runs of the arms that claims are judged on; a winner that is an arm of its own is none of them."""
    runs = [(arm, arm_key(drawn.trained(arm))) for arm in drawn.arms if arm.protocol in asked.protocols.names]
    return [_row(asked.metric, arm, trial) for arm, key in runs for trial in complete if arm_of(trial) == key]


def _row(metric: Metric, arm: Arm, trial: FrozenTrial) -> Row:
    attrs = trial.user_attrs
    return Row(
        setting=arm.setting,
        params=Setting.of(trial.params),
        protocol=arm.protocol,
        seed=attrs["seed_index"],
        value=attrs[f"val_{metric.short}"],
        train_value=attrs[f"train_{metric.short}"],
        val_loss=attrs["val_loss"],
        train_loss=attrs["train_loss"],
        parameters=attrs["parameters"],
        gap_by_epoch={int(epoch): gap for epoch, gap in attrs["gap_by_epoch"].items()},
        test_value=attrs.get(f"test_{metric.short}"),
    )


def document(found: Findings) -> dict[str, Any]:
    """Return the verdict in JSON types, as `search.report --json` prints it."""
    return {
        "claims": [claim.as_dict() for claim in found.verdict.claims],
        found.asked.layout.arms: found.verdict.arms_json(),
        "winner": arm_summary(found, "winner"),
        "baseline": arm_summary(found, "baseline"),
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
        f"search_{short}": original.value if original else None,  # optimistic for a winner, which luck helped to win
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
