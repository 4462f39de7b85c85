"""Are two hidden layers of 25 units, with ReLU, as good as any other shape of at most as many parameters?

The article ends with "trying other architectures". Its network has 20,535 parameters. It is compared with shapes of one
to four layers that have at most as many, with the best of that size that the search finds, and with other activations.

Margin: half a point of accuracy, as in the study of the article's widths.
"""

from itertools import pairwise

from torch import nn

from studies import Study, claims

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
MARGIN = 0.005


def space(trial):
    layers = trial.suggest_int("layers", 1, 4)
    for layer in range(1, layers + 1):
        trial.suggest_int(f"units{layer}", 4, 256, log=True)
    trial.suggest_categorical("activation", list(ACTIVATIONS))
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)


def network(layers, activation, units1, units2=0, units3=0, units4=0):
    widths = [784, *(units1, units2, units3, units4)[:layers]]
    hidden = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), ACTIVATIONS[activation]())]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 10))


def shape(*widths):
    return {"layers": len(widths), **{f"units{layer}": width for layer, width in enumerate(widths, 1)}}


others = [shape(25), shape(24, 48), shape(25, 12), shape(24, 24, 24), shape(23, 23, 23, 23)]  # 19,885 to 20,530
activations = [{"activation": name} for name in ACTIVATIONS if name != "relu"]

study = Study(
    data="mnist",
    network=network,
    space=space,
    baseline={**shape(25, 25), "activation": "relu", "lr": 0.02},
    fixed=[*others, *activations],
    claims=[
        claims.as_good_as_any({}, others, within=MARGIN, no_larger=True, id="two-layers-of-25"),
        claims.as_good_as_any({"activation": "relu"}, activations, within=MARGIN, id="relu"),
    ],
    batch=1028,
    epochs=100,
    tuned=["lr"],
)
