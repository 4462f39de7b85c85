"""The precision of any network's products, by PyTorch's automatic mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch

from model.network.arithmetic import Precision


def products_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a network multiplies in this precision; gradients follow what the network did.

    In bfloat16 PyTorch decides which operations are: products and convolutions are, sums and losses are not.
    """
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)
