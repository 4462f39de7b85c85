"""The search for the sweet spot: which width and learning rate does MNIST ask for?

Source of the claim and of the baseline: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution

from model.data.mnist import split_fingerprint
from model.fleet.fleet import ARTICLE_BATCH
from studies.curve_model import LATEST
from studies.pruner import CurvePruner
from studies.sampler import CurveSampler
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
