"""A study's baseline, rerun to the letter and set beside what others printed of it: `python -m search.baseline`."""

from pathlib import Path
from typing import Annotated

import typer
from optuna.trial import FrozenTrial

from model.device import choose_device, describe
from search import cli
from search.errors import UsageError
from search.results.baseline import BaselinePrinter, comparison, figures
from search.results.predictions import has_pictures, prediction_grid
from search.signals import Stop
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.store.trials import ranking, trial_json
from search.store.url import parse_url, redacted
from search.training.engine import CAPACITY, Engine
from search.workers.catalogue import Catalogue, name_of
from studies.baseline import baseline_of
from studies.built_in import DEFAULT
from studies.terms import Terms


def baseline(  # noqa: PLR0917  # Typer passes options by name
    question: cli.QuestionArgument = DEFAULT,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs to add, each from a seed of its own.")] = 5,
    plot: Annotated[Path | None, typer.Option(help="Save a 2 x 3 grid of test pictures.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Epochs.  [default: those of the study's full trials]")
    ] = None,
    study: cli.StudyNameOption = None,
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Rerun a study's baseline on all of its training data, with the test set after every epoch."""
    cli.set_up_logging(verbose)
    name, url = cli.check_study_name(name_of(question) if study is None else study), parse_url(storage)
    torch_device = choose_device(device)
    _check_plot(plot)
    cli.warn_of_rounding()
    console = cli.err if as_json else cli.out
    console.print(f"device {describe(torch_device)} · storage {redacted(url)}", markup=False)
    catalogue = Catalogue(torch_device, data_dir, None, cli.err.print)
    file = catalogue.read(question)
    data = catalogue.data_of(file)
    if plot is not None and not has_pictures(data):
        raise UsageError(f"--plot draws pictures, and {data.name} has none")
    database = open_storage(storage, create=True)
    search = catalogue.spec(file, database, name, None)
    terms = Terms.of_search(search, file.study)
    store = open_study(database, baseline_of(search, terms.words, epochs or file.study.epochs))
    printer = BaselinePrinter(store.spec, file.study, data, console, terms)
    known = {trial.number for trial in ranking(store.study)}
    store.set_budget(store.counts().finished + seeds)
    with Stop(None) as stop:
        store.storage.retry.stop = stop
        Engine(store, data, seeds * CAPACITY[torch_device.type], printer).search(stop)  # all seeds side by side
    new = [trial for trial in ranking(store.study) if trial.number not in known]
    _report(store, new, printer, plot, as_json)
    return 0 if stop.signal is None else 128 + stop.signal


def _check_plot(plot: Path | None) -> None:
    if plot is not None and plot.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"--plot {plot}: the name must end in .png, .pdf or .svg")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UsageError(f"--plot {plot}: there is no directory {plot.absolute().parent}")


def _report(
    store: StudyStore, new: list[FrozenTrial], printer: BaselinePrinter, plot: Path | None, as_json: bool
) -> None:
    if plot is not None and printer.network is not None:
        prediction_grid(printer.network, printer.data, "test", plot)
        printer.console.print(f"saved {plot}", markup=False)
    ours, published, terms = figures(new, store.spec.measure), printer.study.published, printer.terms
    if as_json:
        ends = store.state().ends
        document = {"study": store.study.study_name, terms.words.source: dict(published), "ours": ours}
        cli.print_json({**document, "trials": [trial_json(trial, ends) for trial in new]})
    elif new:
        cli.out.print(comparison(ours, published, terms))
        cli.out.print(
            f"{len(new)} runs, {len(ranking(store.study))} in the study {store.study.study_name!r}; runs differ in "
            f"their initial weights and share the order of batches.{_caution(printer)}",
            markup=False,
        )


def _caution(printer: BaselinePrinter) -> str:
    if not printer.study.published:
        return ""
    return (
        f" Of what the {printer.terms.words.source} has printed, the figures after training are those of a last batch; "
        "ours are of whole sets. Its seconds are of one run alone, tests included; ours are a run's share, by units, "
        "of the time in which all trained side by side."
    )


main = cli.entry(baseline, "search.baseline")

if __name__ == "__main__":
    main()
