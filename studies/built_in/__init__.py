"""The studies that come with sweetspot, each a file like anybody's; they are asked for by name."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from studies.file import StudyFile, question_of, study_name
from studies.study import StudyError

DEFAULT = "sweet-spot"  # asked where nothing else is; stored studies that name none are of it, since there was no other


def names() -> list[str]:
    """Return the names of the studies that come with sweetspot, the first one first."""
    found = [study_name(Path(module.name)) for module in iter_modules(__path__)]
    return sorted(found, key=lambda name: (name != DEFAULT, name))


@cache
def built_in(name: str) -> StudyFile:
    """Return a built-in study. Raises `StudyError` for a name that is none."""
    if name not in names():
        raise StudyError(f"there is no built-in study {name!r}; there are: {', '.join(names())}")
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    path = Path(sys.modules[module.__name__].__file__ or name)
    text = path.read_text(encoding="utf-8")
    return StudyFile(path, text, question_of(module.study, module.__doc__, path), built_in=True)


def built_in_of(attributes: Mapping[str, Any]) -> StudyFile | None:
    """Return the built-in study that a stored study is of, by its attributes; None for one of a file."""
    return None if "study_file" in attributes else built_in(attributes.get("built_in", DEFAULT))
