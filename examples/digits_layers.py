"""Are two hidden layers enough for handwritten digits?"""

from itertools import pairwise

from torch import nn

from studies import Study, claims


def space(trial):
    for at in range(trial.suggest_int("layers", 1, 3)):
        trial.suggest_int(f"units{at}", 8, 64, log=True)
    trial.suggest_float("lr", 1e-3, 1e-1, log=True)


def network(inputs, classes, layers, **units):
    widths = [inputs, *(units[f"units{at}"] for at in range(layers))]
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], classes))


two, three = {"layers": 2, "units1": 25}, {"layers": 3, "units1": 25, "units2": 25}
study = Study(
    data="digits",
    network=network,
    space=space,
    baseline={"layers": 1, "units0": 25, "lr": 0.02},
    claims=[
        claims.better(two, than={"layers": 1}, by=0.005),
        claims.as_good_as(two, than=three, within=0.005),
    ],
)
