"""The article's baseline, rerun to the letter and set beside what the article prints: `python -m search.baseline`."""

from pathlib import Path
from typing import Annotated

import typer
from optuna.trial import FrozenTrial

from model.data.dataset import open_dataset
from model.data.mnist import default_data_dir
from model.device import choose_device, describe
from search import cli
from search.errors import UsageError
from search.results.article import ArticlePrinter, comparison, figures
from search.results.predictions import prediction_grid
from search.signals import Stop
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.store.trials import ranking, trial_json
from search.store.url import parse_url, redacted
from search.training.engine import CAPACITY, Engine
from studies.baseline import ARTICLE
from studies.baseline import baseline as baseline_study
from studies.sweet_spot import ARTICLE_EPOCHS, BASELINE


def baseline(  # noqa: PLR0917  # Typer passes options by name
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs to add, each from a seed of its own.")] = 5,
    plot: Annotated[Path | None, typer.Option(help="Save the article's 2 x 3 grid of test digits.")] = None,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Epochs; the article trains 100.")] = ARTICLE_EPOCHS,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Rerun the article's baseline: 25 units, lr 0.02, all 60,000 images, the test set after every epoch."""
    cli.set_up_logging(verbose)
    torch_device, name, url = choose_device(device), cli.check_study_name(study), parse_url(storage)
    _check_plot(plot)
    cli.warn_of_rounding()
    directory, console = data_dir or default_data_dir(), cli.err if as_json else cli.out
    console.print(f"device {describe(torch_device)} · data {directory} · storage {redacted(url)}", markup=False)
    data = open_dataset("mnist", torch_device, directory, cli.err.print)
    store = open_study(open_storage(storage, create=True), baseline_study(name, epochs))
    printer = ArticlePrinter(data, console, store.spec.batch)
    known = {trial.number for trial in ranking(store.study)}
    capacity = max(CAPACITY[torch_device.type], seeds * int(BASELINE["hidden_units"]))  # all seeds side by side
    store.set_budget(store.counts().finished + seeds)
    with Stop(None) as stop:
        store.storage.retry.stop = stop
        Engine(store, data, capacity, printer).search(stop)
    new = [trial for trial in ranking(store.study) if trial.number not in known]
    _report(store, new, printer, plot, as_json)
    return 0 if stop.signal is None else 128 + stop.signal


def _check_plot(plot: Path | None) -> None:
    if plot is not None and plot.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"--plot {plot}: the name must end in .png, .pdf or .svg")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise UsageError(f"--plot {plot}: there is no directory {plot.absolute().parent}")


def _report(
    store: StudyStore, new: list[FrozenTrial], printer: ArticlePrinter, plot: Path | None, as_json: bool
) -> None:
    if plot is not None and printer.network is not None:
        prediction_grid(printer.network, printer.data.test, plot)
        printer.console.print(f"saved {plot}", markup=False)
    if as_json:
        ends = store.state().ends
        document = {"study": store.study.study_name, "article": ARTICLE, "ours": figures(new)}
        cli.print_json({**document, "trials": [trial_json(trial, ends) for trial in new]})
    elif new:
        cli.out.print(comparison(figures(new)))
        cli.out.print(
            f"{len(new)} runs, {len(ranking(store.study))} in the study {store.study.study_name!r}; runs differ in "
            "their initial weights and share the order of batches. The article's figures after training are those of a "
            "last batch; ours are of whole sets. Its seconds are of one run alone on an RTX 2080, tests included; "
            "ours are a run's share, by units, of the time in which all trained side by side.",
            markup=False,
        )


main = cli.entry(baseline, "search.baseline")

if __name__ == "__main__":
    main()
