"""The precision of any network's products, by PyTorch's automatic mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch

from model.network.arithmetic import Precision


def products_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a network multiplies in this precision; gradients follow what the network did.

    In bfloat16 PyTorch decides which operations are: products and convolutions are, sums and losses are not. Rounded
    weights are not kept from one use to the next: threads share what is kept, and one that leaves its context drops it
    for all, so how the gradients of a weight that is used twice are added up would depend on who else trains.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
