"""Files that belong to trials: weights and pictures, in a directory that every Optuna tool can read.

The layout is that of Optuna's `FileSystemArtifactStore`, so that `optuna-dashboard URL --artifact-dir DIR` and
`optuna.artifacts` show them. Written here and not by `optuna.artifacts.upload_artifact`, since that one names the file
in SQL before it is there (a process killed in between leaves a name without a file), and refuses ended trials.
"""

import json
import logging
import mimetypes
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.artifacts import FileSystemArtifactStore
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial
from torch import nn

from model.errors import NetworkError, WeightsError
from model.fleet.family import Family
from model.network.weights import encode, read, write
from search.store.storage import Storage
from search.store.url import is_file
from search.training.run import Run
from studies.optuna_private import study_key, trial_key

WEIGHTS = "weights.safetensors"
IDENTITY = ("init_seed", "order_seed", "first_epoch", "batch", "epochs", "train_accuracy", "train_loss")
"""The figures of a trial that its weights must agree with: a trial that was run again has others."""
_log = logging.getLogger(__name__)


def artifact_dir(storage: Storage, asked: Path | None = None) -> Path:
    """Return where the files of a database lie: where asked, else beside an SQLite file or in the current directory."""
    if asked is not None:
        return asked.absolute()
    if is_file(storage.url):
        return Path(f"{storage.url.database}.artifacts")
    return Path("sweetspot-artifacts").absolute()


class Artifacts:
    """The files of one study's trials."""

    def __init__(self, storage: Storage, study: Study, directory: Path) -> None:
        self.storage = storage
        self.backend = storage.optuna
        self.study = study
        self.directory = directory

    @property
    def store(self) -> FileSystemArtifactStore:
        """The directory as Optuna's tools want it."""
        return FileSystemArtifactStore(self.directory)

    def keep(self, run: Run, figures: Mapping[str, Any]) -> None:
        """Keep the weights of a trial that is about to be completed. Never raises: the trial matters more."""
        trial = run.trial
        try:
            self.add(
                trial_key(trial), WEIGHTS, self._encoded(run.member.network(), trial.number, trial.params, figures)
            )
        except (OSError, StorageInternalError, UpdateFinishedTrialError) as error:
            _log.warning("the weights of trial %d are not kept: %s", trial.number, error)

    def put(self, trial: FrozenTrial, model: nn.Module) -> None:
        """Keep the weights of a finished trial that was trained again. Raises `OSError`."""
        content = self._encoded(model, trial.number, trial.params, trial.user_attrs)
        self.add(trial_key(trial), WEIGHTS, content, finished=True)

    def add(self, trial_id: int, name: str, content: bytes, *, finished: bool = False) -> None:
        """Write a file and then name it as an artifact of a trial. Raises `OSError`.

        Optuna lets nobody add to a `finished` trial; the dashboard knows an older place for that, in the study.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        key = str(uuid.uuid4())
        write(self.directory / key, content)
        kind = "application/octet-stream" if name == WEIGHTS else mimetypes.guess_type(name)[0]
        meta = json.dumps({"artifact_id": key, "filename": name, "mimetype": kind, "encoding": None})
        if finished:
            prefix = f"dashboard:artifacts:{trial_id}:"
            self.backend.set_study_system_attr(study_key(self.study), prefix + key, meta)
        else:
            self.backend.set_trial_system_attr(trial_id, f"artifacts:{key}", meta)

    def files(self, trial: FrozenTrial, name: str) -> list[Path]:
        """Return the files of a trial under this name that are here, in no order."""
        of_study = self.backend.get_study_system_attrs(study_key(self.study))
        of_trial = self.backend.get_trial_system_attrs(trial_key(trial))
        named = [value for key, value in of_study.items() if key.startswith(f"dashboard:artifacts:{trial_key(trial)}:")]
        named += [value for key, value in of_trial.items() if key.startswith("artifacts:")]
        metas = [meta for meta in map(json.loads, named) if meta]  # null: a user deleted it in the dashboard
        paths = [self.directory / meta["artifact_id"] for meta in metas if meta["filename"] == name]
        return [path for path in paths if path.is_file()]

    def weights(self, trial: FrozenTrial, family: Family) -> nn.Module | None:
        """Return the network that a trial of a family left behind, None if it is not here."""
        for path in self.files(trial, WEIGHTS):
            try:
                network, notes = _loaded(path, trial, family)
                if notes.get("identity") == _identity(trial.user_attrs):
                    return network
            except (WeightsError, NetworkError) as error:
                _log.warning("%s", error)
        return None

    def _encoded(self, model: nn.Module, number: int, params: Mapping[str, Any], figures: Mapping[str, Any]) -> bytes:
        trial = json.dumps({"study": self.study.study_name, "number": number, "params": dict(params)})
        notes = {"trial": trial, "identity": _identity(figures)}
        return encode(model, **notes)


def _loaded(path: Path, trial: FrozenTrial, family: Family) -> tuple[nn.Module, dict[str, str]]:
    weights, notes = read(path)
    return family.restored(trial.params, weights), notes


def _identity(figures: Mapping[str, Any]) -> str:
    return json.dumps({name: figures.get(name) for name in IDENTITY})
