"""Reads a study's file. Its code runs here, in whoever asked for it; a database holds its name, text and hash alone."""

import hashlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from model.errors import SweetspotError
from studies.study import Study, StudyError


@dataclass(frozen=True)
class StudyFile:
    """A study and the file that it was read from."""

    path: Path
    text: str
    study: Study
    built_in: bool = False  # it comes with sweetspot

    @property
    def name(self) -> str:
        """Its name in a database, unless another is given: dropout_study.py is `dropout-study`."""
        return study_name(self.path)

    @property
    def sha256(self) -> str:
        """The hash of its text."""
        return hash_of(self.text)


def study_name(path: Path) -> str:
    """Return the name that the study of a file has in a database, unless another is given."""
    return path.stem.replace("_", "-")


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_study(path: Path) -> StudyFile:
    """Run a file and return its study.

    Raises `StudyError` for a file that cannot be read or that raises, with its own line, and for one without a `study`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise StudyError(f"cannot read {path}: {reason}") from None
    study = _run(path, text)
    return StudyFile(path, text, question_of(study, sys.modules[_module(path)].__doc__, path))


def question_of(study: Study, docstring: str | None, path: Path) -> Study:
    """Return the study with its question: its own, else the first line of its file's docstring."""
    lines = (docstring or "").strip().splitlines()
    return study if study.question else replace(study, question=lines[0] if lines else path.stem)


def _module(path: Path) -> str:
    return f"sweetspot_study_{path.stem}"


def _run(path: Path, text: str) -> Study:
    spec = importlib.util.spec_from_file_location(_module(path), path)
    if spec is None:
        raise StudyError(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_module(path)] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)  # the user's own file, asked for by name
    except Exception as error:
        raise StudyError(f"{path}{_where(error, path)}: {_said(error)}") from error
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise StudyError(f"{path} has no study: write study = Study(...), with `from studies import Study`")
    return study


def _where(error: Exception, path: Path) -> str:
    """Return the last line of the user's own file that an error came by."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1].lineno} ({lines[-1].line})" if lines else ""


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SweetspotError) else f"{type(error).__name__}: {text}"
