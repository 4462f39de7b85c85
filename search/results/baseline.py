"""A baseline rerun, shown beside the figures that others have printed of it."""

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

import torch
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table
from torch import nn

from search.training.run import Run
from studies.spec import StudySpec
from studies.study import Study
from studies.terms import Terms

EVERY = 10  # epochs between two lines, as the article prints them


class BaselinePrinter:
    """Prints the first seed's progress: the last batch's figures, which is what a training loop usually prints, and the
    whole set's beside them."""

    def __init__(self, spec: StudySpec, study: Study, data: Any, console: Console, terms: Terms) -> None:
        self.spec, self.study, self.data, self.console, self.terms = spec, study, data, console, terms
        count = len(data.test)
        self.last_test = data.test.take(torch.arange(count - (count % spec.batch or spec.batch), count))
        self.leader: Run | None = None
        self.network: nn.Module | None = None

    def started(self, run: Run) -> None:
        """Print the picture before training and the head of the table, for the first seed only."""
        if self.leader is not None:
            return
        self.leader = run
        before, printed = run.before, self.study.published
        also = ""
        if {"before_accuracy", "before_loss"} <= printed.keys():
            also = f" ({self._source}: {self.terms.value(printed['before_accuracy'])}, {printed['before_loss']:.2f})"
        self.console.print(
            f"before training, 30 samples: {self.terms.plain_metric} {self.terms.value(before.value)}, "
            f"loss {before.loss:.2f}{also}",
            markup=False,
        )
        self.console.print("          last batch, as printed in training        whole set")
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

    @property
    def _source(self) -> str:
        return self.terms.words.source

    def _line(self, run: Run) -> None:
        network, test, family = run.member.network(), run.last, self.spec.family
        assert test is not None
        shown, loss = run.member.last_batch  # of accuracy, nan where targets are numbers
        last, train = family.score(network, self.last_test), family.score(network, self.data.full)
        value = self.terms.value
        self.console.print(
            f"{run.member.epochs_trained:>5}   {value(shown):>7} {loss:.3f} {value(last.value):>7}  {last.loss:.3f}"
            f"            {value(train.value):>7} {train.loss:.3f} {value(test.value):>7}  {test.loss:.3f}",
            markup=False,
        )


Spread = dict[str, float | None]


def figures(trials: list[FrozenTrial], measure: str) -> dict[str, Spread]:
    """Return mean and standard deviation over runs of what a baseline reaches; None where there are too few."""
    names = ("before_accuracy", "before_loss", *(f"{of}_{x}" for of in ("train", "test") for x in (measure, "loss")))
    return {name: _spread([trial.user_attrs[name] for trial in trials]) for name in (*names, "seconds")}


def _spread(values: list[float]) -> Spread:
    return {"mean": fmean(values) if values else None, "sd": stdev(values) if len(values) > 1 else None}


def comparison(ours: Mapping[str, Spread], published: Mapping[str, float], terms: Terms) -> Table:
    """Return a table of our figures, beside those that others have printed, if there are any."""
    table = Table(box=None, pad_edge=False)
    others = [terms.words.source] if published else []
    for title in ("", *others, "ours", "sd over runs"):
        table.add_column(title, justify="left" if not title else "right")
    for name, spread in ours.items():
        values = [*([published.get(name)] if published else []), spread["mean"], spread["sd"]]
        is_metric = name == "before_accuracy" or name.endswith(f"_{terms.key}")
        table.add_row(_label(name, terms), *(_figure(value, terms if is_metric else None) for value in values))
    return table


def _label(name: str, terms: Terms) -> str:
    if name == "seconds":
        return "seconds, a share of the fleet's"
    return name.replace("before_accuracy", f"before_{terms.plain_metric}").replace("_", " ")


def _figure(value: float | None, terms: Terms | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if terms is None else terms.value(value)
