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

from model.data.dataset import Dataset, DataSource, open_dataset
from model.data.files import data_directory
from model.data.known import KNOWN, Described
from model.fleet.family import Family, Trainer
from model.network.arithmetic import Precision
from search.errors import NotFoundError, StudyMismatchError
from search.store.storage import Storage
from search.store.study import load_study, stored_fingerprint
from search.training.replay import Recipe
from studies.built_in import built_in, built_in_of, names
from studies.check import check_study_file
from studies.file import StudyFile, hash_of, read_study, study_name
from studies.search_spec import search_spec
from studies.space import Space
from studies.spec import PRECISION, StudySpec
from studies.study import StudyError
from studies.terms import Terms
from studies.wider import Wider

DIRECTORY = "SWEETSPOT_STUDIES"  # environment variable: where this machine's own study files are


@dataclass(frozen=True)
class Opened:
    """A study that can be worked on: what it states, and its data."""

    spec: StudySpec
    data: Dataset

    @property
    def recipe(self) -> Recipe:
        """What its trials are trained by."""
        before: Trainer = "general" if self.spec.file else "fleet"  # how trials were trained that do not say it
        return Recipe(self.data, self.spec.family, self.spec.measure, before)


class Catalogue:
    """Reads studies and their data, each data set once."""

    def __init__(
        self,
        device: torch.device,
        data_dir: Path | None,
        studies: Path | None,
        say: Callable[[str], None],
        *,
        known: Mapping[Any, Dataset] | None = None,
    ) -> None:
        """`known` are data that are at hand already, by what a study names. Raises `DataDirError`."""
        self.device = device
        self.data_dir = data_dir and data_directory(data_dir)
        self.studies = studies
        self.say = say
        self._data: dict[Any, Dataset] = {**(known or {})}

    def read(self, question: str, *, check: bool = True) -> StudyFile:
        """Return the built-in study of this name, or the file, checked on its data unless that was done.

        Raises `StudyError`, `DataError` and `NetworkError`.
        """
        if question in names():
            return built_in(question)
        if not Path(question).exists():
            known = ", ".join(names())
            raise StudyError(f"cannot read {question}: No such file or directory, and the built-in studies are {known}")
        file = read_study(Path(question))
        if check:
            check_study_file(file, self.data_of(file), self.device)
        return file

    def data_of(self, file: StudyFile) -> Dataset:
        """Return a study's data on the device. A path is relative to the study's file."""
        source = file.study.data
        if isinstance(source, DataSource) and source.path is not None:
            source = replace(source, path=str(file.path.parent / source.path))
        return self._once(source, lambda: open_dataset(source, self.device, self.data_dir, self.say))

    def spec(
        self,
        file: StudyFile,
        storage: Storage,
        name: str,
        epochs: int | None,
        wider: Wider | None = None,
        *,
        precision: Precision | None = None,
    ) -> StudySpec:
        """State the search of this name; None of `epochs`, `wider` and `precision` means that of the stored study, or
        the file's own, or float32.

        Raises `StudyMismatchError`, with the difference, for a file that has changed since the stored study began, and
        `SpaceError` for what is no wider range. Wider ranges that are asked for are checked as a file is.
        """
        stated = stored_fingerprint(storage, name)
        ranges = _inherited(storage, wider) if wider else Wider.stored(stated)
        begun = stated or (stored_fingerprint(storage, ranges.source) if ranges else {})
        length, stored = epochs or begun.get("epochs"), begun.get("precision", PRECISION)
        if not file.built_in:
            _check_unchanged(storage, name, file)
        if ranges:
            file = replace(file, study=replace(file.study, space=ranges.of(file.study.searched)))
        if wider:
            check_study_file(file, self.data_of(file), self.device)
        return search_spec(file, self._described(file), name, length, ranges, precision=precision or stored)

    def _described(self, file: StudyFile) -> Described:
        known = KNOWN.get(data_name(file)) if file.built_in else None
        return known or self.data_of(file)

    def stored(self, storage: Storage, name: str) -> Opened:
        """Return a stored study. Raises `NotFoundError` where its file is not among this process's own."""
        file = self._file(storage, name)
        return Opened(self.spec(file, storage, name, None), self.data_of(file))

    def family(self, storage: Storage, name: str) -> Family:
        """Return how the networks of a stored study are built; the data of a built-in one are not read for that."""
        return self.spec(self._file(storage, name), storage, name, None).family

    def _file(self, storage: Storage, name: str) -> StudyFile:
        attributes = load_study(storage, name).user_attrs
        known = built_in_of(attributes)
        return known or self._own(name, attributes["fingerprint"]["file"])

    def _own(self, name: str, wanted: Mapping[str, str]) -> StudyFile:
        directory = self.studies or Path()
        for path in sorted(directory.glob("*.py")):
            if hash_of(path.read_text(encoding="utf-8", errors="replace")) == wanted["sha256"]:
                return read_study(path)
        raise NotFoundError(
            f"study {name!r} needs its file {wanted['name']} (SHA-256 {wanted['sha256'][:12]}...), which is not in "
            f"{directory.absolute()}; name the directory that has it by --studies or {DIRECTORY}"
        )

    def _once(self, source: Any, make: Callable[[], Dataset]) -> Dataset:
        if source not in self._data:
            self._data[source] = make()
        return self._data[source]


def _inherited(storage: Storage, asked: Wider) -> Wider:
    """Return the ranges that are asked for, and those that the study itself has which they begin with.

    Raises `NotFoundError` where there is none, `SpaceError` for what does not contain its ranges.
    """
    study = load_study(storage, asked.source)
    before = Wider.stored(study.user_attrs.get("fingerprint", {}))
    asked.of(Space(Terms.of(study.user_attrs).space))
    return asked if before is None else Wider(asked.source, {**before.ranges, **asked.ranges})


def name_of(question: str) -> str:
    """Return a question's name in a database, unless another is given: dropout_study.py is `dropout-study`."""
    return study_name(Path(question))


def data_name(file: StudyFile) -> str:
    """Return what a study's data are called."""
    return file.study.data if isinstance(file.study.data, str) else file.study.data.name


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
