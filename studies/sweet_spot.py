"""The search for the sweet spot: which width and learning rate does MNIST ask for?

Source of the claim and of the baseline: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution

from model.data.mnist import split_fingerprint
from model.fleet.fleet import ARTICLE_BATCH
from studies.asked import Asked, Layout, Protocols
from studies.claims import ACCURACY, Called, Claim, Words, completed, memorizes, slower, worse
from studies.claims import sweet_spot as one_sweet_spot
from studies.curve_model import LATEST
from studies.pruner import CurvePruner
from studies.sampler import CurveSampler
from studies.settings import Setting
from studies.spec import StudySpec, report_epochs

NAME = "sweet-spot"  # of its study, unless another is given
BASELINE = {"hidden_units": 25, "lr": 0.02}
ARTICLE_EPOCHS = 100
RUNGS = {3: 4, 9: 4, 27: 2, 50: 2}  # epochs at which the pruner decides: of so many, one goes on
HORIZON = 15  # epochs: what is expected of trials then is what sampler and pruner go by
RUNG_SIZE = 8  # trials judged together; docs/decisions.md says what that saves
SPACE = {
    "hidden_units": IntDistribution(4, 256, log=True),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}
# The article's three widths and steps of a factor 1.6 between; the winner's joins them.
GRID = (10, 16, 25, 40, 64, 100)
WIDTHS = Called("hidden_units", unit="units", one="width", many="widths", axis="hidden units")


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
    claims = (
        worse(few, than=right, by=accuracy, id="too-few-struggles", words=struggles),
        slower(many, than=right, by=time_ratio, id="too-many-slower", words=longer),
        memorizes(many, than=right, gap=gap, by=accuracy, id="too-many-memorizes", words=instead),
        one_sweet_spot("hidden_units", 25, among=GRID, within=accuracy, id="25-just-right", words=just_right),
    )
    return completed(claims, BASELINE)


# The names under which all of it has always been stored and printed. The article tuned no learning rate, so its claims
# are judged again with each width at the best one found for it.
ARTICLE = Asked(
    claims=article_claims(),
    baseline=Setting.of(BASELINE),
    metric=ACCURACY,
    protocols=Protocols(free=("lr",), stated="article-lr", tuned="best-lr"),
    layout=Layout("widths", (("hidden_units", "width"), ("lr", "lr"))),
)


def sampler(seed: int) -> CurveSampler:
    """Return a Gaussian process that learns from all that has been reported, and keeps away from what has not yet."""
    return CurveSampler(seed, HORIZON, SPACE)


def pruner() -> CurvePruner:
    """Return successive halving that compares with as many trials as a rung has."""
    return CurvePruner(RUNGS, RUNG_SIZE, HORIZON)


def reports(epochs: int) -> list[int]:
    """Return the epochs at which a trial reports: as everywhere, and at each rung and some before it, since a single
    score says too little of a trial's luck."""
    latest = {rung - k for rung in RUNGS for k in range(LATEST) if rung - k < epochs}
    return sorted(latest.union(report_epochs(epochs)))


def sweet_spot(name: str = NAME, epochs: int = ARTICLE_EPOCHS) -> StudySpec:
    """State the study; `epochs` is a full trial's length."""
    return StudySpec(
        name=name,
        question="Is 25 hidden units the sweet spot?",
        metric="validation accuracy",
        direction="maximize",
        space=SPACE,
        baseline=BASELINE,
        sampler=sampler,
        pruner=pruner(),
        epochs=epochs,
        report_epochs=reports(epochs),
        batch=ARTICLE_BATCH,
        split=split_fingerprint(),
        rungs=[rung for rung in RUNGS if rung < epochs],
        rung_size=RUNG_SIZE,
    )
