"""The article's baseline, run to the letter: all 60,000 images, the test set after every epoch, nothing chosen.

Source: "MNIST Digit Classification using PyTorch" (2024-11-21).
"""

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler

from model.data.mnist import split_fingerprint
from model.fleet.fleet import ARTICLE_BATCH
from studies.spec import StudySpec
from studies.sweet_spot import ARTICLE_EPOCHS, BASELINE

# What the article prints, to stand beside what we measure.
ARTICLE = {
    "before_accuracy": 0.1333,  # on 30 training samples
    "before_loss": 2.29,
    "train_accuracy": 0.98,  # of the last batch
    "test_accuracy": 0.95,  # of the last batch; 94 to 97 % over the run
    "seconds": 300,  # "about 5 minutes" on an RTX 2080
}


def baseline(search: str, epochs: int = ARTICLE_EPOCHS) -> StudySpec:
    """State the baseline's own study, beside the search of this name; its trials differ in their seeds only."""
    width, lr = BASELINE["hidden_units"], BASELINE["lr"]
    return StudySpec(
        name=f"{search}/baseline",
        question="What does the article's baseline reach?",
        metric="test accuracy",
        direction="maximize",
        space={"hidden_units": IntDistribution(int(width), int(width)), "lr": FloatDistribution(lr, lr)},
        baseline=BASELINE,
        sampler=RandomSampler,
        pruner=NopPruner(),
        epochs=epochs,
        report_epochs=range(1, epochs + 1),
        batch=ARTICLE_BATCH,
        split=split_fingerprint(),
        train_on="full",
        score_on="test",
    )
