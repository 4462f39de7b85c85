"""Does dropout let a small network generalise better: at the article's 25 units, at 100, at 256?

The article ends with "adding dropout for better generalization" and does not say where. Each width is compared with
itself, at the article's learning rate and, a second time, each at the best that the search finds for it.

Margin: 0.2 points, 20 of 10,000 held-out images. Networks of 100 units leave 2 or 3 points to be gained; half a point,
as in the study of the article's widths, would be a fifth of all their errors.
"""

from torch import nn

from studies import Float, Int, Study, claims

RATE, MARGIN = 0.2, 0.002


def network(units, dropout):
    first = (nn.Linear(784, units), nn.ReLU(), nn.Dropout(dropout))
    second = (nn.Linear(units, units), nn.ReLU(), nn.Dropout(dropout))
    return nn.Sequential(*first, *second, nn.Linear(units, 10))


def helps(units):
    plain, dropped = ({"units": units, "dropout": rate} for rate in (0.0, RATE))
    return claims.better(dropped, than=plain, by=MARGIN, id=f"helps-{units}")


study = Study(
    data="mnist",
    network=network,
    space={"units": Int(4, 256, log=True), "dropout": Float(0, 0.6), "lr": Float(1e-4, 1e-1, log=True)},
    baseline={"units": 25, "dropout": 0.0, "lr": 0.02},
    fixed=[
        {"dropout": RATE},
        {"units": 100, "dropout": RATE, "lr": 0.005},
        {"units": 256, "dropout": RATE, "lr": 0.002},
    ],
    claims=[helps(25), helps(100), helps(256)],
    batch=1028,
    epochs=100,
    tuned=["lr"],
)
