"""How small can a network be that reads handwritten digits?"""

from torch import nn

from studies import Float, Int, Study, claims


def network(units):
    return nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Linear(units, 10))


study = Study(
    data="digits",
    network=network,
    space={"units": Int(2, 256, log=True), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"units": 25, "lr": 0.02},
    claims=[claims.as_good_as({"units": 25}, than={"units": 100}, within=0.01)],
    against="parameters",
)
