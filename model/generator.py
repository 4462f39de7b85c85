"""PyTorch's global generator, which all threads of a process share: seeded under a lock, and left as it was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_LOCK = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from the CPU's global generator as `seed` has it; then it is as it was before."""
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed CUDA too, which is not restored
        yield


def global_state(device: torch.device) -> Tensor:
    """Return the state of the CPU's global generator and of the device's, while no thread is inside `seeded`."""
    with _LOCK:
        states = [torch.default_generator.get_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)
