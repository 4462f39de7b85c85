"""Does dropout help a small network on handwritten digits?"""

from torch import nn

from studies import Float, Int, Study, claims


def network(units, dropout):
    return nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 10))


study = Study(
    data="digits",
    network=network,
    space={"units": Int(8, 256, log=True), "dropout": Float(0, 0.6), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"units": 25, "dropout": 0.0, "lr": 0.02},
    claims=[claims.better({"dropout": 0.2}, than={"dropout": 0.0}, by=0.005)],
)
