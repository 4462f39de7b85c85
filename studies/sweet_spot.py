"""The search for the sweet spot: which width and learning rate does MNIST ask for?

Source of the claim and of the baseline: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.pruners import SuccessiveHalvingPruner

from model.data import split_fingerprint
from model.fleet import ARTICLE_BATCH
from model.training import rungs
from studies.live_tpe import LiveTPESampler
from studies.spec import StudySpec

BASELINE = {"hidden_units": 25, "lr": 0.02}
ARTICLE_EPOCHS = 100
FIRST_RUNG, FACTOR = 3, 3  # successive halving judges at 3, 9, 27, ... epochs, and promotes a third
GATHERED = 6  # trials judged together, the best first; ARCHITECTURE.md says what that saves
SPACE = {
    "hidden_units": IntDistribution(4, 256, log=True),
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
}


def sampler(seed: int) -> LiveTPESampler:
    """Return TPE that learns from trials that still train, and keeps away from those that have not reported yet."""
    return LiveTPESampler(seed=seed, constant_liar=True)


def pruner() -> SuccessiveHalvingPruner:
    """Return asynchronous successive halving with rungs at 3, 9, 27 and 81 epochs, a third promoted at each.

    Reports come at epochs 1, 3, 10, 20, ..., so the upper rungs decide at 10, 30 and 90. Not at 1: after one epoch
    the learning rate decides almost alone, and wide networks with a low one, among the best in the end, would go.
    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020).
    """
    return SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=FACTOR, min_early_stopping_rate=0)


def judged(epochs: int) -> list[int]:
    """Return the reports at which the pruner decides, before a full trial's last: the first at or after each rung."""
    reports, rung, found = rungs(epochs), FIRST_RUNG, []
    while rung < epochs:
        found.append(next(report for report in reports if report >= rung))
        rung *= FACTOR
    return [report for report in found if report < epochs]


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
        gathers=judged(epochs),
        gathered=GATHERED,
    )
