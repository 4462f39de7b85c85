"""What a trial that ends leaves behind: its figures, and all that a replay needs."""

from dataclasses import astuple
from typing import Any

import torch

from model.fleet.family import Scored
from model.rounding import rounding
from search import __version__
from search.training.run import Run
from studies.spec import StudySpec

SHORT = {"validation": "val", "test": "test"}  # prefix of a trial's figures


def figures_of(run: Run, spec: StudySpec, train_set: Any) -> dict[str, Any]:
    """Return what a trial that ends leaves behind: its figures, and all that a replay needs."""
    assert run.last is not None
    train = spec.family.score(run.member.network(), train_set)
    return {
        "parameters": run.member.parameters,
        "trainer": run.member.trainer,
        "precision": run.member.precision,
        **({"way": run.member.way} if run.member.way else {}),
        "epochs": run.member.epochs_trained,
        **scores(spec.score_on, train, run.last, spec.measure),
        "gap": train.value - run.last.value,
        "before_accuracy": run.before.value,
        "before_loss": run.before.loss,
        "seconds": run.seconds,
        "init_seed": run.init_seed,
        "order_seed": run.fleet.order_seed,
        "first_epoch": run.member.segments[0].clock,
        "stints": [list(astuple(segment)) for segment in run.member.segments],
        "batch": run.fleet.batch,
        "train_on": spec.train_on,
        "score_on": spec.score_on,
        **environment(train_set.device),
    }


def scores(score_on: str, train: Scored, scored: Scored, measure: str = "accuracy") -> dict[str, float]:
    """Return a trial's four figures under the names they are stored by; a rerun compares the same ones."""
    prefix = SHORT[score_on]
    return {
        f"train_{measure}": train.value,
        "train_loss": train.loss,
        f"{prefix}_{measure}": scored.value,
        f"{prefix}_loss": scored.loss,
    }


def environment(device: torch.device) -> dict[str, Any]:
    """Return where and with what a trial trained: what its bits depend on, beside its seeds."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "sweetspot": __version__,
        **rounding(),
    }
