"""The search for the sweet spot: which width and learning rate does MNIST ask for?

Source of the claim and of the baseline: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution

from model.data import split_fingerprint
from model.fleet import ARTICLE_BATCH
from model.training import rungs
from studies.halving import RecentHalvingPruner
from studies.live_gp import LiveGPSampler
from studies.spec import StudySpec

BASELINE = {"hidden_units": 25, "lr": 0.02}
ARTICLE_EPOCHS = 100
RUNGS, FACTOR = (3, 10, 30), 3  # epochs at which the pruner decides, and a third goes on
GATHERED = 6  # trials judged together; ARCHITECTURE.md says what that saves
SPACE = {
    "hidden_units": IntDistribution(4, 256, log=True),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}


def sampler(seed: int) -> LiveGPSampler:
    """Return a Gaussian process that learns from all that has been reported, and keeps away from what has not yet."""
    return LiveGPSampler(seed)


def pruner() -> RecentHalvingPruner:
    """Return successive halving: of the latest trials at 3, 10 and 30 epochs, as many as gather, a third goes on."""
    return RecentHalvingPruner(RUNGS, FACTOR, GATHERED)


def sweet_spot(name: str = "sweet-spot", epochs: int = ARTICLE_EPOCHS) -> StudySpec:
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
        rungs=rungs(epochs),
        batch=ARTICLE_BATCH,
        split=split_fingerprint(),
        gathers=[rung for rung in RUNGS if rung < epochs],
        gathered=GATHERED,
    )
