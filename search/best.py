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
from studies.terms import Terms


def best_trial(storage: Storage | str, study: str = cli.STUDY) -> dict[str, Any]:
    """Return the best completed trial as JSON types, `{"number", "value", "params", ...}`; the lowest number on a tie.

    `storage` is a URL or an open storage. Raises `NotFoundError` for no database, no study or nothing completed.
    """
    state = _read(storage, study)
    return trial_json(state.completed()[0], state.ends)


def best(
    top: Annotated[int | None, typer.Option(min=1, help="Show the K best trials.", metavar="K")] = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show the best completed trial of a study; trials that the pruner stopped do not count."""
    cli.set_up_logging(verbose)
    state = _read(storage, study)
    ranked = state.completed()
    tied = [trial for trial in ranked if trial.value == ranked[0].value]
    if as_json:
        trials = [trial_json(trial, state.ends) for trial in ranked[:top]]
        cli.print_json(trials[0] if top is None else {"trials": trials})
        return
    cli.out.print(_table(ranked[: top or len(tied)], state.terms))
    if len(tied) > 1:
        cli.out.print(f"{len(tied)} trials are tied for the best value")


def _read(storage: Storage | str, study: str) -> StudyState:
    opened = open_storage(storage, create=False) if isinstance(storage, str) else storage
    return read_state(opened, load_study(opened, study))


def _table(trials: list[FrozenTrial], terms: Terms) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("trial", terms.metric, *terms.heads(), "parameters", "epochs", "gap", "note"):
        table.add_column(title, justify="right" if title != "note" else "left")
    for trial in trials:
        attrs = trial.user_attrs
        table.add_row(
            str(trial.number),
            terms.value(value(trial)),
            *terms.cells(trial.params),
            f"{attrs.get('parameters', 0):,}",
            str(attrs.get("epochs", "-")),
            terms.difference(attrs["gap"]) if "gap" in attrs else "-",
            "baseline" if attrs.get("baseline") else "",
        )
    return table


main = cli.entry(best, "search.best")

if __name__ == "__main__":
    main()
