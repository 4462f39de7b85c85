"""A stored study with claims of its own, made of the article's stored runs."""

import json
from pathlib import Path
from typing import Any

from search.store.storage import Storage
from studies.asked import Asked
from studies.claims import ACCURACY, Metric, as_good_as, better, memorizes, slower, sweet_spot
from studies.confirmation import CLAIMS, plan
from studies.settings import Setting
from studies.sweet_spot import SPACE
from tests.support.stored_study import stored_at, trial_of

STORED = Path(__file__).parents[1] / "verdict" / "article" / "stored.json"
BASELINE = {"hidden_units": 25, "lr": 0.02}


def asked(free: tuple[str, ...] = ("lr",), metric: Metric = ACCURACY) -> Asked:
    wide, narrow = {"hidden_units": 100}, {"hidden_units": 10}
    claims = [
        better(wide, than=BASELINE, by=0.01),
        as_good_as({"hidden_units": 64}, than=wide),
        slower(wide, than=BASELINE, by=1.5),
        memorizes(wide, than=narrow, gap=0.001, by=0.02),
        sweet_spot("hidden_units", 40, among=[16, 40, 100], within=0.01),
    ]
    return Asked.of_study(claims, BASELINE, metric, free)


def mixed() -> Asked:
    """Return claims about widths and about a learning rate."""
    slow = {"hidden_units": 64, "lr": 0.0021380633289061787}
    claims = [
        better(slow, than={"hidden_units": 64}, id="slow-is-better"),
        sweet_spot("hidden_units", 25, among=[10, 25, 64]),
    ]
    return Asked.of_study(claims, BASELINE, ACCURACY)


def own_study_at(path: Path, own: Asked) -> Storage:
    """Store the search with these claims, and the runs of the arms that follow from them."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    search, confirmation = stored["sweet-spot"], stored["sweet-spot/confirm"]
    if not own.metric.fraction:
        for trial in (*search["trials"], *confirmation["trials"]):
            _as_losses(trial)
    search["trials"] = [trial for trial in search["trials"] if trial["params"]["hidden_units"] != 169]  # no arm stored
    trials = [trial_of(number, trial) for number, trial in enumerate(search["trials"])]
    drawn = plan("sweet-spot", trials, own, SPACE)
    search["attrs"] |= {CLAIMS: own.as_dict(), "study_file": {"name": "own.py", "sha256": "0", "text": ""}}
    confirmation["attrs"]["plan"] = drawn.as_dict()
    arms = {arm.params: arm for arm in map(drawn.trained, drawn.arms)}
    runs = [trial for trial in confirmation["trials"] if Setting.of(trial["params"]) in arms]
    confirmation["trials"] = [_as_run_of(arms[Setting.of(trial["params"])].attributes(), trial) for trial in runs]
    return stored_at(path, stored)


def _as_run_of(attributes: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
    """Return the run as one of an arm; test figures are made up where the article's arm had none."""
    known = {name: value for name, value in attributes.items() if value is not None}
    attrs = {name: value for name, value in trial["attrs"].items() if name not in ("protocol", "role", "lr_from")}
    name = "accuracy" if "val_accuracy" in attrs else "value"
    test = {f"test_{name}": attrs[f"val_{name}"], "test_loss": attrs["val_loss"]} if "role" in known else {}
    return {**trial, "attrs": {**attrs, **test, **known}}


def _as_losses(trial: dict[str, Any]) -> None:
    """Turn a trial's accuracies into a loss in its own unit: ten times the share of errors."""
    attrs = trial["attrs"]
    for part in ("val", "train"):
        attrs[f"{part}_value"] = 10 * (1 - attrs.pop(f"{part}_accuracy"))
    attrs.pop("test_accuracy", None)
    attrs["gap"] = -10 * attrs["gap"]
    if "gap_by_epoch" in attrs:
        attrs["gap_by_epoch"] = {epoch: -10 * gap for epoch, gap in attrs["gap_by_epoch"].items()}
    trial["values"] = [10 * (1 - value) for value in trial["values"]]
    trial["intermediate"] = {epoch: 10 * (1 - value) for epoch, value in trial["intermediate"].items()}
