"""What is shown of the article alone: its baseline beside ours, and its words in the report."""

from statistics import fmean, stdev
from typing import Any

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table

from model.data.samples import Parts, Samples
from model.network.mlp import MLP
from model.network.scoring import evaluate
from search.results.prose import Prose
from search.training.engine import Run
from studies.baseline import ARTICLE
from studies.sweet_spot import ARTICLE_EPOCHS

EVERY = 10  # epochs between two lines, as in the article

WORDS = Prose(
    last_answers=True,
    claims="the article's claims",
    heading="The four claims",
    together="all four claims together",
    intro="The article “MNIST Digit Classification using PyTorch” (2024-11-21) trains a small network on MNIST and "
    "says that 10 hidden\nunits struggle, that 100 take longer and might memorize, and that 25 is just right. "
    "Here each of these claims is a\nhypothesis",
    length=f" (the article trains {ARTICLE_EPOCHS}), lr 0.02 at every width",
    quick=f", where the article trains\n{ARTICLE_EPOCHS} epochs",
    data="images",
    baseline="the article's baseline",
    baseline_note="the article's own setting, 25 units and lr 0.02",
    protocols=("every width at the article's lr", "each width at the best lr found for it"),
    legends=("lr 0.02, as the article", "best lr found per width"),
    column="learning rate",
    each_tuned="each width at its own best lr",
    each_tuned_long="each width at its own best learning rate",
    at=("At the article's learning rate", "At the best learning rates"),
    captioned=", at the article's lr 0.02",
    diverged="widths and rates",
    diverged_short="widths",
    network="784-h-h-10 with ReLU, PyTorch's default initialisation, Adam, cross-entropy",
    split="MNIST, split ",
    tuned_row="best lr at {name}",
    labels={"hidden_units": "units"},
    axes={"lr": "learning rate"},
    formats={"lr": ".5f"},
    space="width and learning rate",
)


class ArticlePrinter:
    """Prints the first seed's progress as the article did: its last-batch figures, and the whole set's beside them."""

    def __init__(self, data: Parts, console: Console, batch: int) -> None:
        self.data, self.console = data, console
        last = len(data.test) % batch or batch
        self.last_test = Samples(data.test.pixels[-last:], data.test.targets[-last:])
        self.leader: Run | None = None
        self.network: MLP | None = None

    def started(self, run: Run) -> None:
        """Print the picture before training and the head of the table, for the first seed only."""
        if self.leader is not None:
            return
        self.leader = run
        before = run.before
        self.console.print(
            f"before training, 30 samples: accuracy {before.value:.2%}, loss {before.loss:.2f} "
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
            self.network = _mlp(run)

    def _line(self, run: Run) -> None:
        model, test = _mlp(run), run.last
        assert test is not None
        accuracy, loss = run.member.last_batch
        last, train = evaluate(model, self.last_test), evaluate(model, self.data.full)
        epoch = run.member.epochs_trained
        self.console.print(
            f"{epoch:>5}   {accuracy:>7.2%} {loss:.3f} {last.accuracy:>7.2%}  {last.loss:.3f}            "
            f"{train.accuracy:>7.2%} {train.loss:.3f} {test.value:>7.2%}  {test.loss:.3f}"
        )


def _mlp(run: Run) -> MLP:
    network = run.member.network()
    assert isinstance(network, MLP)
    return network


def figures(trials: list[FrozenTrial]) -> dict[str, dict[str, float | None]]:
    """Return mean and standard deviation over runs of what the article prints; None where there are too few."""
    names = ("before_accuracy", "before_loss", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds")
    return {name: _spread([trial.user_attrs[name] for trial in trials]) for name in names}


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"mean": fmean(values) if values else None, "sd": stdev(values) if len(values) > 1 else None}


def comparison(ours: dict[str, dict[str, float | None]]) -> Table:
    """Return a table of the article's figures and ours."""
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
