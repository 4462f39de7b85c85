"""Is 25 hidden units the sweet spot?

Source of the claims, the baseline and its figures: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from torch import nn

from studies import Float, Int, Study, claims
from studies.asked import Layout
from studies.claims import Called, Claim, Words
from studies.curve_model import CurveModel
from studies.halving import Halving
from studies.prose import Prose

GRID = (10, 16, 25, 40, 64, 100)  # the article's three widths and steps of a factor 1.6 between
WIDTHS = Called("hidden_units", unit="units", one="width", many="widths", axis="hidden units")


def network(hidden_units: int) -> nn.Module:
    """Return the article's network."""
    return nn.Sequential(
        nn.Linear(784, hidden_units),
        nn.ReLU(),
        nn.Linear(hidden_units, hidden_units),
        nn.ReLU(),
        nn.Linear(hidden_units, 10),
    )


def article_claims(accuracy: float = 0.005, gap: float = 0.005, time_ratio: float = 1.10) -> tuple[Claim, ...]:
    """Return the article's four claims, at its learning rate. Raises ValueError for margins that make no sense.

    Half a point of accuracy: the article prints whole percents, so less would not show in its figures. And an accuracy
    near 95 % over 10,000 images has a standard error of 0.2 points: less could be owed to which images happen to be
    held out. A gap is a difference of two accuracies, read on the same scale. 10 % of time is half a minute of the
    article's five; below that nobody would choose a smaller network for its speed.
    """
    few, right, many = ({"hidden_units": width} for width in (10, 25, 100))

    def words(headline: str, title: str) -> Words:
        return Words(headline, title, WIDTHS)

    struggles = words("10 hidden units struggle to learn", "10 “struggles to learn”")
    longer = words("100 hidden units take longer to train", "100 “takes longer to train”")
    instead = words("100 hidden units might memorize instead of learn", "100 “might memorize instead of learn”")
    just_right = words("25 hidden units are just right", "25 is “just right”")
    return (
        claims.worse(few, than=right, by=accuracy, id="too-few-struggles", words=struggles),
        claims.slower(many, than=right, by=time_ratio, id="too-many-slower", words=longer),
        claims.memorizes(many, than=right, gap=gap, by=accuracy, id="too-many-memorizes", words=instead),
        claims.sweet_spot("hidden_units", 25, among=GRID, within=accuracy, id="25-just-right", words=just_right),
    )


study = Study(
    data="mnist",
    network=network,
    space={"hidden_units": Int(4, 256, log=True), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"hidden_units": 25, "lr": 0.02},
    claims=article_claims(),
    tuned=("lr",),  # the article tuned none, so its claims are judged again with each width at the best one found
    batch=1028,
    epochs=100,
    halving=Halving(model=CurveModel()),  # its constants fit the learning curves of this study
    published={
        "before_accuracy": 0.1333,  # on 30 training samples
        "before_loss": 2.29,
        "train_accuracy": 0.98,  # of the last batch
        "test_accuracy": 0.95,  # of the last batch; 94 to 97 % over the run
        "seconds": 300,  # "about 5 minutes" on an RTX 2080
    },
    layout=Layout("widths", ("article-lr", "best-lr"), (("hidden_units", "width"), ("lr", "lr"))),
    prose=Prose(
        last_answers=True,
        source="article",
        claims="the article's claims",
        heading="The four claims",
        together="all four claims together",
        intro="The article “MNIST Digit Classification using PyTorch” (2024-11-21) trains a small network on MNIST and "
        "says that 10 hidden\nunits struggle, that 100 take longer and might memorize, and that 25 is just right. "
        "Here each of these claims is a\nhypothesis",
        length=" (the article trains 100), lr 0.02 at every width",
        quick=", where the article trains\n100 epochs",
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
    ),
)
