"""How long an epoch of one network takes by itself, and how much arithmetic it is.

Not by the fleet: what it shares among many networks it would charge to one here, whatever its width. This is the
article's own loop, less its DataLoader, whose cost is the same at every width: a plain module, PyTorch's Adam, images
that already lie on the device.
"""

import time

import torch
from torch import nn

from model.data.samples import Samples
from model.network.mlp import MLPConfig, initialised
from model.seeds import derive


def epoch_seconds(width: int, images: Samples, batch: int, seed: int = 0) -> float:
    """Train a fresh network of this width for one epoch, and return the seconds it took."""
    device = images.device
    model = initialised(MLPConfig(width), derive(seed, "timing", width)).to(device)
    adam = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    _wait(device)
    start = time.perf_counter()
    for first in range(0, len(images), batch):
        pixels, labels = images.pixels[first : first + batch], images.targets[first : first + batch]
        adam.zero_grad()
        nn.functional.cross_entropy(model(pixels.float().div_(255)), labels).backward()  # type: ignore[no-untyped-call]
        adam.step()
    _wait(device)
    return time.perf_counter() - start


def epoch_flops(width: int, images: int) -> int:
    """Return the floating-point operations of the matrix products in one epoch: 2 for a multiplication and addition.

    Forward once; backward once for the weights and, where there is a layer below, once for its activations.
    """
    config = MLPConfig(width)
    first, rest = config.inputs * width, width * width + width * config.classes
    return 2 * images * (2 * first + 3 * rest)


def _wait(device: torch.device) -> None:
    """Let a device that works behind our back finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
