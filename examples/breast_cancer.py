"""Is one hidden layer as good as three on the breast cancer table?

This writes the table: python examples/breast_cancer.py
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from torch import nn

from studies import Categorical, Float, Int, Study, claims, data


def network(inputs, classes, units, layers, activation):
    act = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    widths = [inputs, *[units] * layers]
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), act())]
    return nn.Sequential(*hidden, nn.Linear(units, classes))


study = Study(
    data=data("cancer.csv", target="target"),
    network=network,
    space={
        "units": Int(4, 64, log=True),
        "layers": Int(1, 3),
        "activation": Categorical(["relu", "tanh"]),
        "lr": Float(1e-4, 1e-1, log=True),
    },
    baseline={"units": 16, "layers": 1, "activation": "relu", "lr": 0.01},
    claims=[
        claims.as_good_as({"layers": 1}, than={"layers": 3}, within=0.01),
        claims.slower({"layers": 3}, than={"layers": 1}, by=1.10),
    ],
    batch=64,
)

if __name__ == "__main__":
    table = load_breast_cancer()
    rows, names = np.c_[table.data, table.target], [*table.feature_names, "target"]
    np.savetxt(Path(__file__).with_name("cancer.csv"), rows, "%.10g", ",", header=",".join(names), comments="")
