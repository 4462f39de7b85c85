"""A step that is recorded and played back trains as one that is run each time. Recorded for real on CUDA only.

Elsewhere a stand-in for the graph: like a graph it holds on to the buffers that it was recorded on, runs nothing while
it records, and knows no minibatch but the one that lies where the first lay.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.data import Images
from model.fleet import Fleet
from model.lane import Lane
from model.mlp import MLPConfig, initialised
from model.replay import Replay

WIDTHS = (25, 25, 4, 100)


class Recorder:
    """Stands in for CUDA graphs; fails where a recording is played back though its fleet's weights have moved."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None
        self.recorded = self.played = 0

    def __call__(self, program: Callable[[], Tensor]) -> Callable[[], Tensor]:
        assert self.fleet is not None
        fleet, weights = self.fleet, self.fleet._panels[0].weights.data_ptr()
        buffers = {batch: id(found) for batch, found in fleet._buffers.items()}
        self.recorded += 1
        result: list[Tensor] = []

        def play() -> Tensor:
            assert fleet._panels[0].weights.data_ptr() == weights
            assert buffers.items() <= {batch: id(found) for batch, found in fleet._buffers.items()}.items()
            self.played += 1
            losses = program()
            result[:] = result or [losses.clone()]
            return result[0].copy_(losses)  # always in the same place

        return play


def images(device: str = "cpu") -> Images:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (600, 784), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.randint(0, 10, (600,), generator=generator)).to(device)


def a_life(fleet: Fleet) -> list[Lane]:
    """Train with lanes that come and go; 600 images in batches of 256 are two sizes of minibatch."""
    lanes = [fleet.join(initialised(MLPConfig(width), seed), 0.01) for seed, width in enumerate(WIDTHS)]
    for epoch in range(6):
        if epoch == 2:
            fleet.leave(lanes[1])
        if epoch == 4:
            lanes.append(fleet.join(initialised(MLPConfig(16), 9), 0.001))
        fleet.train_epoch()
    return lanes


def assert_alike(ours: list[Lane], theirs: list[Lane]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert (one.loss, one.last_batch, one.age) == (other.loss, other.last_batch, other.age)
        assert all(torch.equal(a, b) for a, b in zip(one.values, other.values, strict=True))


def test_a_step_runs_once_as_it_is_then_is_recorded_then_played_back() -> None:
    seen: list[list[int]] = []

    def step(index: Tensor) -> Tensor:
        seen.append(index.tolist())
        return index.sum()[None]

    recorded: list[Callable[[], Tensor]] = []

    def record(program: Callable[[], Tensor]) -> Callable[[], Tensor]:
        recorded.append(program)
        return program

    replay = Replay(step, record)
    losses = [replay(torch.tensor(index)).item() for index in ([1, 2], [3, 4], [5, 6])]
    assert (losses, seen, len(recorded)) == ([3, 7, 11], [[1, 2], [3, 4], [5, 6]], 1)


def test_the_callers_minibatch_is_copied_and_left_alone() -> None:
    replay = Replay(lambda index: index.mul_(2).sum()[None], lambda program: program)
    index = torch.tensor([1, 2])
    assert [replay(index).item() for _ in range(3)] == [6, 6, 6]
    assert index.tolist() == [1, 2]


def test_a_recorded_fleet_trains_to_the_bit_what_a_plain_one_does() -> None:
    recorder = Recorder()
    fleet = Fleet(images(), 5, batch=256)
    recorder.fleet, fleet.record = fleet, recorder
    assert_alike(a_life(fleet), a_life(Fleet(images(), 5, batch=256)))
    assert recorder.recorded == 3 * 2  # three line-ups, two sizes of minibatch each
    assert recorder.played == 6 * 3 - 3 * 2  # of 18 minibatches all but the first of each size and line-up


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_on_cuda_the_graph_trains_to_the_bit_what_the_launches_do() -> None:
    plain = Fleet(images("cuda"), 5, batch=256)
    plain.record = None
    assert_alike(a_life(Fleet(images("cuda"), 5, batch=256)), a_life(plain))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_on_cuda_a_step_waits_for_nothing() -> None:
    fleet = Fleet(images("cuda"), 5, batch=256)
    fleet.join(initialised(MLPConfig(25), 0), 0.01)
    fleet.train_epoch()
    fleet.train_epoch()
    index = torch.arange(256, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        fleet._trainer(256)(index)
        fleet._step(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")
