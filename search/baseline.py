"""The article's baseline, rerun to the letter and set beside what the article prints: `python -m search.baseline`."""

from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

import typer
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table

from model.data.mnist import Images, Mnist, default_data_dir, load
from model.network.mlp import MLP
from model.network.scoring import choose_device, describe, evaluate
from search import cli
from search.errors import UsageError
from search.results.predictions import prediction_grid
from search.results.summary import ranking, trial_json
from search.signals import Stop
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.store.url import parse_url, redacted
from search.training.engine import CAPACITY, Engine, Run
from studies.baseline import ARTICLE
from studies.baseline import baseline as baseline_study
from studies.sweet_spot import ARTICLE_EPOCHS, BASELINE

EVERY = 10  # epochs between two lines, as in the article


class Printer:
    """Prints the first seed's progress as the article did: its last-batch figures, and the whole set's beside them."""

    def __init__(self, data: Mnist, console: Console, batch: int) -> None:
        self.data, self.console = data, console
        last = len(data.test) % batch or batch
        self.last_test = Images(data.test.pixels[-last:], data.test.labels[-last:])
        self.leader: Run | None = None
        self.network: MLP | None = None

    def started(self, run: Run) -> None:
        """Print the picture before training and the head of the table, for the first seed only."""
        if self.leader is not None:
            return
        self.leader = run
        before = run.before
        self.console.print(
            f"before training, 30 samples: accuracy {before.accuracy:.2%}, loss {before.loss:.2f} "
            f"(article: {ARTICLE['before_accuracy']:.2%}, {ARTICLE['before_loss']:.2f})"
        )
        self.console.print("          last batch, as the article prints       whole set")
        self.console.print("epoch     train  loss    test   loss              train  loss    test   loss")

    def trained(self, runs: list[Run]) -> None:
        """Print a line every tenth epoch."""
        if self.leader in runs and self.network is None and self.leader.member.epochs_trained % EVERY == 0:
            self._line(self.leader)

    def ended(self, run: Run, state: str) -> None:
        """Print the last line and keep the first seed's network for the picture."""
        if run is self.leader and state == "complete":
            self._line(run)
            self.network = run.member.network()

    def _line(self, run: Run) -> None:
        model, test = run.member.network(), run.last
        assert test is not None
        accuracy, loss = run.member.last_batch
        last, train = evaluate(model, self.last_test), evaluate(model, self.data.full)
        self.console.print(
            f"{run.member.epochs_trained:>5}   {accuracy:>7.2%} {loss:.3f} {last.accuracy:>7.2%}  {last.loss:.3f}            "
            f"{train.accuracy:>7.2%} {train.loss:.3f} {test.accuracy:>7.2%}  {test.loss:.3f}"
        )


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
    data = load(directory, torch_device, cli.err.print)
    store = open_study(open_storage(storage, create=True), baseline_study(name, epochs))
    printer = Printer(data, console, store.spec.batch)
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


def _report(store: StudyStore, new: list[FrozenTrial], printer: Printer, plot: Path | None, as_json: bool) -> None:
    if plot is not None and printer.network is not None:
        prediction_grid(printer.network, printer.data.test, plot)
        printer.console.print(f"saved {plot}", markup=False)
    if as_json:
        ends = store.ends()
        document = {"study": store.study.study_name, "article": ARTICLE, "ours": figures(new)}
        cli.print_json({**document, "trials": [trial_json(trial, ends) for trial in new]})
    elif new:
        cli.out.print(_comparison(figures(new)))
        cli.out.print(
            f"{len(new)} runs, {len(ranking(store.study))} in the study {store.study.study_name!r}; runs differ in "
            "their initial weights and share the order of batches. The article's figures after training are those of a "
            "last batch; ours are of whole sets. Its seconds are of one run alone on an RTX 2080, tests included; "
            "ours are a run's share, by units, of the time in which all trained side by side.",
            markup=False,
        )


def figures(trials: list[FrozenTrial]) -> dict[str, dict[str, float | None]]:
    """Return mean and standard deviation over runs of what the article prints; None where there are too few."""
    names = ("before_accuracy", "before_loss", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds")
    return {name: _spread([trial.user_attrs[name] for trial in trials]) for name in names}


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"mean": fmean(values) if values else None, "sd": stdev(values) if len(values) > 1 else None}


def _comparison(ours: dict[str, dict[str, float | None]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", "article", "ours", "sd over runs"):
        table.add_column(title, justify="left" if not title else "right")
    for name, spread in ours.items():
        as_text = _percent if "accuracy" in name else _number
        article: Any = ARTICLE.get(name)
        label = "seconds, a share of the fleet's" if name == "seconds" else name.replace("_", " ")
        table.add_row(label, *(as_text(value) for value in (article, spread["mean"], spread["sd"])))
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


main = cli.entry(baseline, "search.baseline")

if __name__ == "__main__":
    main()
