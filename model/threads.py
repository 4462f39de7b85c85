"""How many CPU threads compute: sums of more than 64 units round differently with another number."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Compute with so many threads, as far as this thread of Python's is concerned; then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
