"""Which pixels a minibatch lights: the others add nothing to the first layer, and their weights get no gradient.

Of MNIST's 784 pixels 600 or so are lit somewhere in 1,028 images. So the wide products leave the dark ones out, a
fifth of the arithmetic of a fleet, and lose nothing: what is left out are products with zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.lane import INPUTS

BIAS, DARK = INPUTS, INPUTS + 1  # columns of a minibatch's inputs beside the pixels: constant one, constant zero
COLUMNS = 16  # floats: rows of so many columns, or a multiple, start on 64 bytes
MOST = -(-(INPUTS + 2) // COLUMNS) * COLUMNS  # columns when every pixel is lit


@dataclass(frozen=True)
class Lit:
    """The K columns that a minibatch needs: lit pixels in order, the bias, and dark ones up to a multiple of 16."""

    of_inputs: Tensor  # (K,) columns of the inputs, (batch, 786)
    of_weights: Tensor  # (K,) columns of the weights, (units, 785); beside a dark input any will do
    back: Tensor  # (785,) where among the K each column's gradient is; that of a dark pixel is a dark column's, zero


def lit(pixels: Tensor) -> Lit:
    """Return the columns that these images `(n, 784)` need; on a GPU this waits for it."""
    found = pixels.any(0).nonzero().squeeze(1)
    n = len(found)
    k = -(-(n + 2) // COLUMNS) * COLUMNS  # at least one is dark
    of_inputs = torch.full((k,), DARK, device=pixels.device)
    of_inputs[:n], of_inputs[n] = found, BIAS
    back = torch.full((INPUTS + 1,), k - 1, device=pixels.device)
    back[of_inputs[: n + 1]] = torch.arange(n + 1, device=pixels.device)
    return Lit(of_inputs, of_inputs.clamp(max=BIAS), back)
