"""Does augmentation help a network of 25 units, one of 256, or is 25 too small to profit?

The article ends with "data augmentation". Training pictures are shifted, turned, scaled and noised, each anew in every
minibatch; networks are selected and tested on plain pictures. The second claim about 25 units is the first one's
opposite: without augmentation they are as good as with it. "Undecided" may be said of both, "supported" of one.

Margin: half a point at 25 units, as for the article's widths; 0.2 points at 256, where only 2 are left to be gained.
"""

from torch import nn

from studies import Augment, Float, Int, Study, claims


def network(units):
    return nn.Sequential(nn.Linear(784, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 10))


none = {"shift": 0.0, "rotation": 0.0, "scale": 0.0, "noise": 0.0}
gentle = {"shift": 1.0, "rotation": 7.0, "scale": 0.1, "noise": 0.0}  # a pixel of 28 each way, 7 degrees, a tenth
wide = {"units": 256, "lr": 0.002}

study = Study(
    data="mnist",
    network=network,
    augment=Augment(shift="shift", rotation="rotation", scale="scale", noise="noise"),
    space={
        "units": Int(4, 256, log=True),
        "shift": Float(0, 4),  # pixels
        "rotation": Float(0, 25),  # degrees
        "scale": Float(0, 0.25),
        "noise": Float(0, 0.3),
        "lr": Float(1e-4, 1e-1, log=True),
    },
    baseline={"units": 25, **none, "lr": 0.02},
    fixed=[gentle, wide, wide | gentle],
    claims=[
        claims.better(gentle, than={}, by=0.005, id="helps-25"),
        claims.better(wide | gentle, than=wide, by=0.002, id="helps-256"),
        claims.as_good_as({}, than=gentle, within=0.005, id="25-too-small-to-profit"),
    ],
    batch=1028,
    epochs=100,
    tuned=["lr"],
)
