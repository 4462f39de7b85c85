"""The runs of a confirmation: which trials are of its arms, and what of them is evidence."""

import math
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.store.attributes import nonsense
from search.verdict.evidence import Row
from studies.asked import Asked
from studies.claims import Metric
from studies.confirmation import Arm, Plan
from studies.foreign import excluded
from studies.settings import Setting

SEED = "seed_index"  # attribute of every trial
FIGURES = ("seed_index", "parameters", "seconds", "gap", "gap_by_epoch", "val_loss", "train_loss")


def arm_key(arm: Arm) -> tuple[Any, ...]:
    """Return what tells an arm from all others, also those of an earlier plan."""
    return (arm.protocol, arm.params, arm.role)


def arm_of(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return the key of a trial's arm, whether it has started or still waits."""
    return (trial.user_attrs.get("protocol"), Setting.of(params_of(trial)), trial.user_attrs.get("role"))


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's parameters, whether it waits, is being started (they are stored one by one) or has been."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def planned(study: optuna.Study, trials: Sequence[FrozenTrial], drawn: Plan) -> list[FrozenTrial]:
    """Return those that are of a plan's arms, in whatever state."""
    arms = {arm_key(arm) for arm in drawn.to_train()}
    return [trial for trial in trials if not excluded(study, trial, nonsense(trial)) and arm_of(trial) in arms]


def evident(study: optuna.Study, trials: Sequence[FrozenTrial], asked: Asked) -> list[FrozenTrial]:
    """Return those that are complete and have all the figures that a verdict needs."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return [trial for trial in complete if not excluded(study, trial, _lack(trial, asked))]


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


def rows_of(asked: Asked, drawn: Plan, complete: Sequence[FrozenTrial]) -> list[Row]:
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
