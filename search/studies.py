"""The studies there are, and a look at a file before it is run: `python -m search.studies`."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from optuna import get_all_study_names
from optuna.distributions import BaseDistribution, distribution_to_json
from rich.table import Table

from model.device import choose_device
from search import cli
from search.errors import NotFoundError, UsageError
from search.store.state import StudyState, read_state
from search.store.storage import open_storage
from search.store.study import load_study
from search.workers.catalogue import Catalogue
from studies.built_in import built_in, names
from studies.check import expected_minutes
from studies.file import StudyFile, read_study
from studies.study import StudyError

TRIALS = 50  # of a search whose time is estimated


class Action(StrEnum):
    """What is to be done."""

    LIST = "list"
    CHECK = "check"


def studies(  # noqa: PLR0917  # Typer passes options by name
    action: Annotated[Action, typer.Argument(help="list, or check a file.")] = Action.LIST,
    file: Annotated[Path | None, typer.Argument(help="The file to check.")] = None,
    directory: cli.StudiesOption = None,
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """List the studies there are, built-in, in files here and in the database; or check a file and guess its time."""
    cli.set_up_logging(verbose)
    if action is Action.CHECK:
        if file is None:
            raise UsageError("check what? Name a file: python -m search.studies check FILE")
        _check(file, Catalogue(choose_device(device), data_dir, directory, cli.err.print), as_json)
        return
    if file is not None:
        raise UsageError(f"list takes no file; did you mean: python -m search.studies check {file}")
    rows = [*_here(directory or Path()), *_stored(storage)]
    if as_json:
        cli.print_json({"studies": rows})
    else:
        cli.out.print(_table(rows))


def _check(path: Path, catalogue: Catalogue, as_json: bool) -> None:
    file = catalogue.read(str(path))
    minutes = expected_minutes(file, catalogue.data_of(file), catalogue.device, TRIALS)
    document = {"file": str(path), "study": file.name, "question": file.study.question, "minutes": minutes}
    if as_json:
        cli.print_json({**document, "trials": TRIALS, "sha256": file.sha256})
        return
    cli.out.print(f"{path}: {file.study.question}", markup=False)
    cli.out.print(f"it can be trained; {TRIALS} trials take about {max(1, round(minutes))} min here", markup=False)


def _here(directory: Path) -> list[dict[str, Any]]:
    """Return the built-in studies and those of the files in a directory that state one."""
    files = [("built-in", built_in(name)) for name in names()]
    files += [(str(path), file) for path in sorted(directory.glob("*.py")) if (file := _read(path)) is not None]
    return [_row(where, file.name, file.study.question, file.study.searched, None) for where, file in files]


def _read(path: Path) -> StudyFile | None:
    """Return a file's study; None for a file that has none, which is not run."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if "Study(" not in text:
        return None
    try:
        return read_study(path)
    except StudyError as error:
        cli.err.print(f"{error}", markup=False)
        return None


def _stored(storage: str) -> list[dict[str, Any]]:
    try:
        opened = open_storage(storage, create=False)
    except NotFoundError:
        return []
    searches = [name for name in get_all_study_names(opened.optuna) if not name.endswith(("/confirm", "/baseline"))]
    states = [read_state(opened, load_study(opened, name)) for name in searches]
    ours = [state for state in states if "fingerprint" in state.attributes]
    return [_row("database", each.name, each.attributes.get("question", ""), each.terms.space, each) for each in ours]


def _row(
    where: str, name: str, question: str, space: Mapping[str, BaseDistribution], state: StudyState | None
) -> dict[str, Any]:
    counts = None if state is None else {**vars(state.counts), "finished": state.counts.finished}
    written = {key: json.loads(distribution_to_json(each)) for key, each in space.items()}
    return {"where": where, "study": name, "question": question, "space": written, "counts": counts}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("study", "where", "question", "searched", "state"):
        table.add_column(title)
    for row in rows:
        counts = row["counts"]
        state = "-" if counts is None else f"{counts['finished']} finished, {counts['running']} running"
        table.add_row(row["study"], row["where"], row["question"], ", ".join(row["space"]), state)
    return table


main = cli.entry(studies, "search.studies")

if __name__ == "__main__":
    main()
