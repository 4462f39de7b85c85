"""A search and its confirmation as an earlier version stored them, from JSON into a database."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from search.store.storage import Storage
from search.store.study import quiet_experiments
from tests.support.tiny_study import storage_at


def stored_at(path: Path, studies: Mapping[str, Any]) -> Storage:
    """Write the studies, each with its attributes and its trials, into a new database."""
    storage = storage_at(path)
    for name, content in studies.items():
        study = optuna.create_study(study_name=name, storage=storage.optuna, direction="maximize")
        with quiet_experiments():
            study.set_metric_names(content["metric_names"])
        for key, value in content["attrs"].items():
            study.set_user_attr(key, value)
        study.add_trials([trial_of(number, stored) for number, stored in enumerate(content["trials"])])
    return storage


def trial_of(number: int, stored: Mapping[str, Any]) -> FrozenTrial:
    """Return a trial as it was stored."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState[stored["state"]],
        value=None,
        values=stored["values"],
        datetime_start=datetime.fromisoformat(stored["start"]),
        datetime_complete=datetime.fromisoformat(stored["complete"]),
        params=stored["params"],
        distributions={name: json_to_distribution(json.dumps(d)) for name, d in stored["distributions"].items()},
        user_attrs=stored["attrs"],
        system_attrs={},
        intermediate_values={int(epoch): value for epoch, value in stored["intermediate"].items()},
    )
