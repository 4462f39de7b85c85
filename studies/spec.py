"""What every study states: its question and how it is answered."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.distributions import distribution_to_json
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler

from model.fleet.family import Family
from model.general.choices import Direction
from model.network.arithmetic import Precision
from studies.aims import Aim
from studies.asked import Asked
from studies.space import Space
from studies.wider import Wider

Params = Mapping[str, Any]
PRECISION: Precision = "float32"  # of a study whose fingerprint states none
CLAIMS = "claims"  # attribute of a study; one without has those of the first built-in study


def report_epochs(epochs: int) -> list[int]:
    """Return the epochs at which a trial reports: 1, 3, every tenth as the article prints, and the last."""
    return sorted({step for step in (1, 3, *range(10, epochs, 10)) if step < epochs} | {epochs})


@dataclass(frozen=True)
class StudySpec:
    """A study, stated before it is run; frozen, since a stored study may only go on as it began."""

    name: str  # as stored, and as the dashboard lists it
    question: str  # what it is to answer
    metric: str  # name of the value, as the dashboard shows it
    direction: Direction
    space: Space  # what is sampled
    baseline: Params | None  # enqueued once, as trial 0, and never pruned; None where trials are a list of their own
    sampler: Callable[[int], BaseSampler]  # from a seed; a fresh one for each trial, so that a resume repeats no draw
    pruner: BasePruner
    epochs: int  # of a full trial
    report_epochs: Sequence[int]  # epochs at which a trial is scored and reports; the last is `epochs`
    batch: int
    split: Mapping[str, Any]  # fingerprint of the data and of how they are split
    family: Family  # how its networks are built, trained and scored
    train_on: Literal["train", "full"] = "train"  # part of the data
    score_on: Literal["validation", "test"] = "validation"  # part of the data; "test" only where nothing is chosen
    fixed: Sequence[Params] = ()  # other trials that are enqueued once each, and never pruned
    measure: str = "accuracy"  # the metric in the names of a trial's figures: val_accuracy
    method: str | None = None  # how trials are proposed and stopped, in words
    asked: Asked | None = None  # what its confirmation is to answer; None for the rerun of a baseline
    built_in: str | None = None  # name of the built-in study that it is
    file: Mapping[str, str] | None = None  # name, hash and text of the file that states it; None for a built-in study
    wider: Wider | None = None  # where its space is wider than its file's, and it begins with trials of another study
    rungs: Sequence[int] = ()  # epochs where trials wait for each other and are judged; if none, at each report
    rung_size: int = 1  # trials that are judged together at a rung
    against: Aim | None = None  # a second aim; Optuna then stops no trial

    @property
    def directions(self) -> list[Direction]:
        """The direction of each of a trial's values."""
        return [self.direction] if self.against is None else [self.direction, "minimize"]

    @property
    def metrics(self) -> list[str]:
        """The name of each of a trial's values."""
        return [self.metric] if self.against is None else [self.metric, self.against.value]

    def values(self, value: float, figures: Mapping[str, Any]) -> list[float]:
        """Return what a completed trial of this metric and these figures is told with."""
        return [value] if self.against is None else [value, self.against.of(figures)]

    def beside(self, **changes: Any) -> "StudySpec":
        """State a study beside this search: the same but for the changes, and nothing of it is searched.

        No trial is stopped or known before, and each has one value.
        """
        alone: dict[str, Any] = {
            "fixed": (),
            "pruner": NopPruner(),
            "rungs": (),
            "rung_size": 1,
            "against": None,
            "wider": None,
        }
        return replace(self, **alone, **changes)

    def fingerprint(self) -> dict[str, Any]:
        """Return what a stored study must agree with to be continued, as JSON types."""
        return {
            "question": self.question,
            "space": {name: json.loads(distribution_to_json(dist)) for name, dist in self.space.items()},
            "direction": self.direction,
            "epochs": self.epochs,
            "batch": self.batch,
            "split": dict(self.split),
            "train_on": self.train_on,
            "score_on": self.score_on,
            **({"conditional": sorted(self.space.sometimes)} if self.space.sometimes else {}),
            **({} if self.against is None else {"against": self.against.name}),
            **({} if self.wider is None else {"wider": self.wider.as_dict()}),
            **({} if self.family.precision == PRECISION else {"precision": self.family.precision}),
            **({} if self.file is None else {"file": {name: self.file[name] for name in ("name", "sha256")}}),
        }


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key in which two fingerprints differ, with what is stored and what is asked for, None for nothing.

    Older versions stored less of the data, which is not compared, and no precision.
    """
    split = {key: value for key, value in asked["split"].items() if key in stored["split"]}
    stored, asked = ({"precision": PRECISION, **each} for each in (stored, {**asked, "split": split}))
    for key in sorted({*stored, *asked}):
        if stored.get(key) != asked.get(key):
            yield key, stored.get(key), asked.get(key)
