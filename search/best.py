"""The best trial of a study: `python -m search.best`."""

from typing import Annotated, Any

import typer
from optuna.trial import FrozenTrial
from rich.table import Table

from search import cli
from search.store.state import StudyState, read_state
from search.store.storage import Storage, open_storage
from search.store.study import load_study
from search.store.trials import trial_json, value
from studies.aims import PARAMETERS


def best_trial(storage: Storage | str, study: str = cli.STUDY) -> dict[str, Any]:
    """Return the best completed trial as JSON types, `{"number", "value", "params", ...}`; the lowest number on a tie.

    `storage` is a URL or an open storage. Raises `NotFoundError` for no database, no study or nothing completed.
    """
    state = _read(storage, study)
    return _json(state.completed()[0], state)


def best(
    top: Annotated[int | None, typer.Option(min=1, help="Show the K best trials.", metavar="K")] = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show the best completed trial of a study, or its Pareto front; trials that the pruner stopped do not count."""
    cli.set_up_logging(verbose)
    state = _read(storage, study)
    ranked = state.completed()
    tied = [trial for trial in ranked if value(trial) == value(ranked[0])]
    if as_json:
        trials = [_json(trial, state) for trial in ranked[:top]]
        cli.print_json(trials[0] if top is None else {"trials": trials})
        return
    cli.out.print(_table(ranked[:top] if top else state.front or tied, state))
    if len(tied) > 1:
        cli.out.print(f"{len(tied)} trials are tied for the best value")


def _read(storage: Storage | str, study: str) -> StudyState:
    opened = open_storage(storage, create=False) if isinstance(storage, str) else storage
    return read_state(opened, load_study(opened, study))


def _json(trial: FrozenTrial, state: StudyState) -> dict[str, Any]:
    """Return a trial in JSON types and, where there are two aims, whether it is on the Pareto front."""
    return trial_json(trial, state.ends) | ({"front": trial in state.front} if state.terms.against else {})


def _table(trials: list[FrozenTrial], state: StudyState) -> Table:
    table, terms = Table(box=None, pad_edge=False), state.terms
    also = [terms.against] if terms.against and terms.against != PARAMETERS else []
    aims = (terms.metric, *(aim.title for aim in also))
    for title in ("trial", *aims, *terms.heads(), "parameters", "epochs", "gap", "note"):
        table.add_column(title, justify="right" if title != "note" else "left")
    for trial in trials:
        attrs = trial.user_attrs
        table.add_row(
            str(trial.number),
            terms.value(value(trial)),
            *(aim.told(trial.values[1]) for aim in also),
            *terms.cells(trial.params),
            f"{attrs.get('parameters', 0):,}",
            str(attrs.get("epochs", "-")),
            terms.difference(attrs["gap"]) if "gap" in attrs else "-",
            ", ".join(_notes(trial, state)),
        )
    return table


def _notes(trial: FrozenTrial, state: StudyState) -> list[str]:
    marks = {"baseline": trial.user_attrs.get("baseline"), "front": trial in state.front}
    return [name for name, marked in marks.items() if marked]


main = cli.entry(best, "search.best")

if __name__ == "__main__":
    main()
