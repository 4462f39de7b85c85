"""Problems whose learning curves are recorded: data, network, grid. None is the one that the sampler was made on.

`TUNED` are those by which constants of sampler and pruner may be chosen, on seeds below 1,000; all others, and other
seeds, are for the report.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from optuna.distributions import FloatDistribution, IntDistribution
from torch import nn

from model.data.dataset import open_dataset
from model.data.samples import Samples
from model.general.choices import Optimizer
from studies import Float, Int

Axis = tuple[IntDistribution | FloatDistribution, int]
"""A parameter and how many of its values are on the grid, from the lowest to the highest, evenly on its own scale."""
LR: Axis = Float(1e-4, 1e-1, log=True), 13


@dataclass(frozen=True)
class Problem:
    """What is trained at every setting of a grid."""

    name: str
    about: str
    parts: Callable[[], tuple[Samples, Samples]]  # to train on, and to score
    rows: int  # to train on
    classes: int
    network: Callable[..., nn.Module]
    axes: Mapping[str, Axis]
    epochs: int = 30
    batch: int = 128
    seeds: int = 2
    optimizer: Optimizer = field(default_factory=Optimizer)

    @property
    def space(self) -> dict[str, IntDistribution | FloatDistribution]:
        """What is searched."""
        return {name: distribution for name, (distribution, _) in self.axes.items()}


def mlp(inputs: int, classes: int, units: int, layers: int = 1, dropout: float = 0.0) -> nn.Module:
    """Return a plain MLP."""
    widths = [inputs, *[units] * layers]
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Dropout(dropout), nn.Linear(units, classes))


def cnn(channels: int) -> nn.Module:
    """Return a small convolutional network for digits of 8 x 8."""
    convolution = nn.Conv2d(1, channels, 3, padding=1)
    after = (nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * channels, 10))
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), convolution, *after)


def named(name: str, train: int, validation: int) -> tuple[Samples, Samples]:
    """Return the first rows of both parts of a data set's split."""
    data = open_dataset(name)
    return data.train.first(train), data.validation.first(validation)


def cancer() -> tuple[Samples, Samples]:
    """Return scikit-learn's table of breast cancer: 569 rows, of which a sixth is to score."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415  # a second that only this needs

    inputs, labels = load_breast_cancer(return_X_y=True)
    return _split(inputs, labels, validation=95)


def made_up() -> tuple[Samples, Samples]:
    """Return scikit-learn's made-up classes: 20 columns, half of them noise, and each tenth label drawn at random."""
    from sklearn.datasets import make_classification  # noqa: PLC0415  # as above

    shape = {"n_samples": 3000, "n_features": 20, "n_informative": 10, "n_classes": 4}
    inputs, labels = make_classification(**shape, flip_y=0.1, random_state=0)
    return _split(inputs, labels, validation=1000)


def _split(inputs: np.ndarray, labels: np.ndarray, validation: int) -> tuple[Samples, Samples]:
    order = np.random.default_rng(0).permutation(len(labels))
    kept, held = order[validation:], order[:validation]
    scaled = (inputs - inputs[kept].mean(0)) / inputs[kept].std(0)
    tensors = torch.tensor(scaled, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    train, score = (Samples(*(tensor[rows] for tensor in tensors)) for rows in (kept, held))
    return train, score


PROBLEMS = {
    each.name: each
    for each in (
        Problem(
            "digits-dropout",
            "digits, an MLP with dropout",
            partial(named, "digits", 1198, 240),
            1198,
            10,
            partial(mlp, 64, 10),
            {
                "units": (Int(8, 256, log=True), 8),
                "dropout": (Float(0, 0.6), 5),
                "lr": (Float(1e-4, 1e-1, log=True), 16),
            },
        ),
        Problem(
            "mnist-5000",
            "MNIST, 5,000 rows, the article's network",
            partial(named, "mnist", 5000, 2000),
            10000,
            10,
            partial(mlp, 784, 10, layers=2),
            {"units": (Int(4, 256, log=True), 7), "lr": LR},
        ),
        Problem(
            "fashion-5000",
            "Fashion-MNIST, 5,000 rows, an MLP",
            partial(named, "fashion-mnist", 5000, 2000),
            10000,
            10,
            partial(mlp, 784, 10, layers=2),
            {"units": (Int(8, 256, log=True), 6), "lr": LR},
        ),
        Problem(
            "digits-cnn",
            "digits, a small CNN",
            partial(named, "digits", 1198, 240),
            1198,
            10,
            cnn,
            {"channels": (Int(2, 16, log=True), 7), "lr": LR},
        ),
        Problem(
            "cancer-sgd",
            "breast cancer, an MLP by SGD",
            cancer,
            474,
            2,
            partial(mlp, 30, 2),
            {"units": (Int(4, 64, log=True), 4), "momentum": (Float(0, 0.99), 5), "lr": (Float(1e-4, 1, log=True), 12)},
            batch=32,
            optimizer=Optimizer("sgd", momentum="momentum"),
        ),
        Problem(
            "made-up-decay",
            "made-up classes, an MLP with weight decay",
            made_up,
            2000,
            4,
            partial(mlp, 20, 4),
            {
                "units": (Int(8, 256, log=True), 5),
                "decay": (Float(1e-4, 1, log=True), 5),
                "lr": (Float(1e-4, 1e-1, log=True), 12),
            },
            optimizer=Optimizer("adamw", weight_decay="decay"),
        ),
    )
}
TUNED = ("mnist-5000", "digits-dropout", "made-up-decay")
