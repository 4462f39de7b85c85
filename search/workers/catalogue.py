"""The studies that this process can work on: built-in ones, and files of its own. Code never comes from a database.

A study in SQL names its file and the file's hash. Whoever works on it must have that file, in the directory that
`--studies` or SWEETSPOT_STUDIES names.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from model.data.dataset import DataSource, open_dataset
from search.errors import NotFoundError, StudyMismatchError
from search.store.storage import Storage
from search.store.study import load_study, stored_epochs
from search.training.replay import Recipe
from studies.check import check_study_file
from studies.file import StudyFile, hash_of, read_study, study_name
from studies.search_spec import search_spec
from studies.spec import StudySpec
from studies.sweet_spot import ARTICLE_EPOCHS, NAME, sweet_spot

DIRECTORY = "SWEETSPOT_STUDIES"  # environment variable: where this machine's own study files are


@dataclass(frozen=True)
class Opened:
    """A study that can be worked on: what it states, and its data."""

    spec: StudySpec
    data: Any  # in parts, as `Parts` has them

    @property
    def recipe(self) -> Recipe:
        """What its trials are trained by."""
        return Recipe(self.data, self.spec.family, self.spec.measure)


class Catalogue:
    """Reads studies and their data, each data set once."""

    def __init__(
        self,
        device: torch.device,
        data_dir: Path | None,
        studies: Path | None,
        say: Callable[[str], None],
        *,
        known: Mapping[Any, Any] | None = None,
    ) -> None:
        """`known` are data that are at hand already, by what a study names."""
        self.device = device
        self.data_dir = data_dir
        self.studies = studies
        self.say = say
        self._data: dict[Any, Any] = {**(known or {})}

    def read(self, question: str, *, check: bool = True) -> StudyFile | None:
        """Return the file that somebody names, checked on its data unless that was done; None for the built-in study.

        Raises `StudyError`, `DataError` and `NetworkError`.
        """
        if question == NAME:
            return None
        file = read_study(Path(question))
        if check:
            check_study_file(file, self.data_of(file), self.device)
        return file

    def data_of(self, file: StudyFile | None) -> Any:
        """Return a study's data on the device. A path is relative to the study's file."""
        if file is None:
            return self._once(NAME, lambda: open_dataset("mnist", self.device, self.data_dir, self.say))
        source = file.study.data
        if isinstance(source, DataSource) and source.path is not None:
            source = replace(source, path=str(file.path.parent / source.path))
        return self._once(source, lambda: open_dataset(source, self.device, self.data_dir, self.say))

    def spec(self, file: StudyFile | None, storage: Storage, name: str, epochs: int | None) -> StudySpec:
        """State the search of this name; `epochs` None means those of the stored study, or the question's own.

        Raises `StudyMismatchError`, with the difference, for a file that has changed since the stored study began.
        """
        length = epochs or stored_epochs(storage, name)
        if file is None:
            return sweet_spot(name, length or ARTICLE_EPOCHS)
        _check_unchanged(storage, name, file)
        return search_spec(file, self.data_of(file), name, length)

    def stored(self, storage: Storage, name: str) -> Opened:
        """Return a stored study. Raises `NotFoundError` where its file is not among this process's own."""
        stated = load_study(storage, name).user_attrs.get("fingerprint", {})
        file = self._own(name, stated["file"]) if "file" in stated else None
        return Opened(self.spec(file, storage, name, None), self.data_of(file))

    def _own(self, name: str, wanted: Mapping[str, str]) -> StudyFile:
        directory = self.studies or Path()
        for path in sorted(directory.glob("*.py")):
            if hash_of(path.read_text(encoding="utf-8", errors="replace")) == wanted["sha256"]:
                return read_study(path)
        raise NotFoundError(
            f"study {name!r} needs its file {wanted['name']} (SHA-256 {wanted['sha256'][:12]}...), which is not in "
            f"{directory.absolute()}; name the directory that has it by --studies or {DIRECTORY}"
        )

    def _once(self, source: Any, make: Callable[[], Any]) -> Any:
        if source not in self._data:
            self._data[source] = make()
        return self._data[source]


def name_of(question: str) -> str:
    """Return a question's name in a database, unless another is given: dropout_study.py is `dropout-study`."""
    return question if question == NAME else study_name(Path(question))


def _check_unchanged(storage: Storage, name: str, file: StudyFile) -> None:
    try:
        attributes = load_study(storage, name).user_attrs
    except NotFoundError:
        return
    stored = attributes.get("study_file")
    if stored is not None and stored["sha256"] != file.sha256:
        changes = difflib.unified_diff(stored["text"].splitlines(), file.text.splitlines(), lineterm="", n=0)
        changed = [line for line in changes if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        shown = "; ".join(changed[:4]) + ("; …" if len(changed) > 4 else "")
        raise StudyMismatchError(
            f"{file.path.name} has changed since study {name!r} began ({shown}); choose another --study name"
        )
