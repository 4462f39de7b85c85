"""A training step as a CUDA graph: what takes some ten launches by hand is one launch when it is played back.

Source: "CUDA Graphs" in PyTorch's notes on CUDA semantics.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

Step = Callable[[], None]
Record = Callable[[Step], Step]


def cuda_graph(program: Step) -> Step:
    """Record what a program launches, without running it; return what runs it again."""
    graph = torch.cuda.CUDAGraph()
    collects = gc.isenabled()
    gc.disable()  # it may find an old graph, and CUDA gives up recording when one is freed meanwhile
    try:
        with torch.cuda.graph(graph):
            program()
    finally:
        if collects:
            gc.enable()
    return graph.replay


@dataclass(eq=False)
class Replay:
    """One step, again and again: run as it is the first time, recorded then, and played back ever after.

    The first time cannot be recorded, since kernels are compiled then. The step is handed over with each call and not
    kept: whoever owns both, and with them the graph, is freed as soon as nobody needs it.
    """

    record: Record | None  # None: run it as it is each time
    _ran: bool = field(default=False, init=False)
    _play: Step | None = field(default=None, init=False)

    def __call__(self, step: Step) -> None:
        """Take the step, which must be the same each time."""
        if self.record is None or not self._ran:
            self._ran = True
            return step()
        if self._play is None:
            self._play = self.record(step)
        return self._play()
