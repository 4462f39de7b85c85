"""A training step as a CUDA graph: what takes some hundred launches by hand is one launch when it is played back.

Source: "CUDA Graphs" in PyTorch's notes on CUDA semantics.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
"""Trains the minibatch at these indices (batch,), on buffers that stay where they are; returns losses (slots,)."""
Play = Callable[[], Tensor]
Record = Callable[[Play], Play]


def cuda_graph(program: Play) -> Play:
    """Record what a program launches, without running it; return what runs it again, with the same result tensor."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = program()

    def play() -> Tensor:
        graph.replay()
        return result

    return play


@dataclass(eq=False)
class Replay:
    """A step for minibatches of one size: run as it is the first time, recorded then, and played back ever after.

    The first time cannot be recorded, since buffers are allocated then and cuBLAS sets itself up.
    """

    step: Step
    record: Record
    _index: Tensor | None = field(default=None, init=False)  # where a recorded step looks for its minibatch
    _play: Play | None = field(default=None, init=False)

    def __call__(self, index: Tensor) -> Tensor:
        """Train the minibatch; the losses are overwritten by the next call."""
        if self._index is None:
            self._index = index.clone()
            return self.step(self._index)
        own = self._index.copy_(index)
        if self._play is None:
            self._play = self.record(lambda: self.step(own))
        return self._play()
