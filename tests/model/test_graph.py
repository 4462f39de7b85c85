"""A step that is recorded and played back trains as one that is run each time."""

import gc
import weakref

import pytest
import torch

from model.data.samples import Samples
from model.fleet.fleet import Fleet
from model.gpu.graph import Replay, Step
from model.network.member import Member
from studies.sweet_spot import article_network
from tests.support.cards import needs_cuda

WIDTHS = (25, 25, 4, 100)


def test_a_step_runs_once_as_it_is_then_is_recorded_then_played_back() -> None:
    did: list[str] = []

    def record(program: Step) -> Step:
        did.append("recorded")
        return lambda: did.append("played")

    replay = Replay(record)
    for _ in range(4):
        replay(lambda: did.append("ran"))
    assert did == ["ran", "recorded", "played", "played", "played"]


def test_where_nothing_records_a_step_is_run_each_time() -> None:
    ran: list[int] = []
    replay = Replay(None)
    for _ in range(3):
        replay(lambda: ran.append(1))
    assert len(ran) == 3


def images() -> Samples:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (600, 784), generator=generator, dtype=torch.uint8)
    return Samples(pixels, torch.randint(0, 10, (600,), generator=generator)).to("cuda")


def a_life() -> list[Member]:
    """Train with members that come and go; 600 images in batches of 256 are two sizes of minibatch."""
    fleet = Fleet(images(), 5, batch=256)
    members = [fleet.add(article_network(width, seed), 0.01) for seed, width in enumerate(WIDTHS)]
    for epoch in range(6):
        if epoch == 2:
            fleet.detach(members[1])
        if epoch == 4:
            members.append(fleet.add(article_network(16, 9), 0.001))
        fleet.train_epoch()
    return members


@needs_cuda
def test_on_cuda_the_graph_trains_to_the_bit_what_the_launches_do(monkeypatch: pytest.MonkeyPatch) -> None:
    played = a_life()
    monkeypatch.setattr("model.gpu.fused.cuda_graph", None)
    for ours, theirs in zip(played, a_life(), strict=True):
        assert (ours.loss, ours.last_batch, ours.epochs_trained) == (
            theirs.loss,
            theirs.last_batch,
            theirs.epochs_trained,
        )
        assert all(torch.equal(a, b) for a, b in zip(ours.values, theirs.values, strict=True))


@needs_cuda
def test_on_cuda_a_step_is_recorded_while_old_graphs_are_waiting_to_be_freed() -> None:
    def cyclic() -> None:
        fleet = Fleet(images(), 5, batch=256)
        fleet.add(article_network(25, 0), 0.01)
        fleet.train_epoch()
        fleet.members.append(fleet)  # type: ignore[arg-type]  # only the garbage collector can free it and its graphs

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(5):
            gc.disable()
            cyclic()
            gc.enable()
            a_life()
    finally:
        gc.set_threshold(*thresholds)


@needs_cuda
def test_on_cuda_graphs_are_freed_when_their_fleet_has_no_use_for_them() -> None:
    fleet = Fleet(images(), 5, batch=256)
    member = fleet.add(article_network(25, 0), 0.01)
    fleet.train_epoch()
    assert fleet._programs is not None
    old = weakref.ref(fleet._programs[0][0])
    gc.disable()
    try:
        fleet.detach(member)
        assert old() is None
    finally:
        gc.enable()


@needs_cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # a prototype, it says
def test_on_cuda_a_step_waits_for_nothing() -> None:
    from model.gpu.fused import Fused

    fleet = Fleet(images(), 5, batch=256)
    fleet.add(article_network(25, 0), 0.01)
    fleet.train_epoch()
    assert fleet._programs is not None
    ((program, _),) = fleet._programs
    assert isinstance(program, Fused)
    try:
        torch.cuda.set_sync_debug_mode("error")
        for step in (program._play, program._step):
            program.cursor.zero_()
            step(256)
    finally:
        torch.cuda.set_sync_debug_mode("default")
