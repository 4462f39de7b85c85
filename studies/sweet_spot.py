"""The search for the sweet spot: which width and learning rate does MNIST ask for?

Source of the claim and of the baseline: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler

from model.data import split_fingerprint
from model.fleet import ARTICLE_BATCH
from model.training import rungs
from studies.spec import StudySpec

BASELINE = {"hidden_units": 25, "lr": 0.02}
ARTICLE_EPOCHS = 100
SPACE = {
    "hidden_units": IntDistribution(4, 256, log=True),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}


def sampler(seed: int) -> TPESampler:
    """Return TPE; with `constant_liar` trials still running count too, so a fleet's trials do not crowd together."""
    return TPESampler(seed=seed, constant_liar=True)


def pruner() -> SuccessiveHalvingPruner:
    """Return asynchronous successive halving with rungs at 3, 9, 27 and 81 epochs, a third promoted at each.

    Reports come at epochs 1, 3, 10, 20, ..., so the upper rungs decide at 10, 30 and 90. Not at 1: after one epoch
    the learning rate decides almost alone, and wide networks with a low one, among the best in the end, would go.
    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020).
    """
    return SuccessiveHalvingPruner(min_resource=3, reduction_factor=3, min_early_stopping_rate=0)


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
    )
