"""Does dropout help a small network on Fashion-MNIST?"""

from torch import nn

from studies import Float, Int, Study, claims


def network(units, dropout):
    return nn.Sequential(nn.Linear(784, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 10))


wide = {"units": 100, "lr": 0.005}
study = Study(
    data="fashion-mnist",
    network=network,
    space={"units": Int(8, 256, log=True), "dropout": Float(0, 0.6), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"units": 25, "dropout": 0.0, "lr": 0.02},
    claims=[claims.better(wide | {"dropout": 0.2}, than=wide | {"dropout": 0.0}, by=0.005)],
    batch=1028,
)
