"""Memory that is not to be had, as one kind of error on every device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model.errors import first_line


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raise `torch.OutOfMemoryError` also where a CPU's memory is at an end, which PyTorch tells by its words alone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except MemoryError as error:
        raise torch.OutOfMemoryError(first_line(error)) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator: can't allocate memory" not in str(error):
            raise
        raise torch.OutOfMemoryError(first_line(error)) from error
