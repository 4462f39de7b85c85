"""The GPU's kernels, without one: Triton interprets them, float32 as it is, and compiles them for cards that are not
here. On a GPU `tests/model/test_fleet.py` holds them to the plain loop, and the products to float64 here."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import model.fleet.fleet
from model.cpu.panels import Panels
from model.data.samples import Samples
from model.fleet.fleet import Fleet, epoch_order, mlp_member
from tests.model.test_fleet import (
    ORDER_SEED,
    assert_agree,
    made_up_images,
    network,
    pair,
    train,
)
from tests.support.cards import needs_cuda
from tests.support.rounded import rounded

fused = pytest.importorskip("model.gpu.fused", reason="no Triton here")
KERNELS = pytest.importorskip("tests.support.compiled_kernels", reason="no Triton here").NAMES
SMALLEST_SHARED_MEMORY = 99 * 1024  # bytes a block may have on cards of compute capability 8.6, 8.9 and 12.0


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fleets on the CPU train by kernels."""
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("the kernels are compiled here")
    monkeypatch.setattr(model.fleet.fleet, "program_on", lambda _: fused.Fused)


def assert_padding_is_zero(program: Any) -> None:
    """A unit that only fills a network up to a tile stays at zero, and so do its moments."""
    pairs = zip(program.members, program.widths, strict=True)
    own = torch.cat([torch.arange(width) < member.units for member, width in pairs])
    for tensors in (program.values, program.moments, program.squares):
        assert all(value.eq(0).all() for value in (tensors.w1[:, ~own], tensors.w2[~own], tensors.w3[:, ~own]))


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("n", "batch"), [(40, 24), (20, 20), (10, 16), (66, 65)])
def test_networks_train_as_in_a_plain_loop(n: int, batch: int) -> None:
    fleet = Fleet(made_up_images(n, "cpu"), ORDER_SEED, batch)
    pairs = [pair(fleet, 25, 5e-3), pair(fleet, 4), pair(fleet, 65, 1e-4)]
    train(fleet, pairs, epochs=2)
    for member, plain in pairs:
        assert_agree(member, plain)
    ((program, _),) = fleet._programs
    assert_padding_is_zero(program)


@pytest.fixture
def bfloat16_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter keeps bfloat16 as integers, and multiplies those as they are: here, as the numbers."""
    builder = pytest.importorskip("triton.runtime.interpreter").InterpreterBuilder
    multiply, bfloat16, float32 = builder.create_dot, fused.triton.language.bfloat16, fused.triton.language.float32

    def create_dot(self: Any, left: Any, right: Any, *others: Any) -> Any:
        pair = [self.cast_impl(each, float32) if each.dtype.scalar == bfloat16 else each for each in (left, right)]
        return multiply(self, *pair, *others)

    monkeypatch.setattr(builder, "create_dot", create_dot)


@pytest.mark.usefixtures("interpreted", "bfloat16_factors")
def test_in_bfloat16_their_products_are_those_of_rounded_factors() -> None:
    """The interpreter cuts digits off where a GPU rounds: each factor may be 2^-7 too small."""
    images, model, n = made_up_images(66, "cpu"), network(25), 66
    fleet = Fleet(images, ORDER_SEED, n)
    exact, short = fleet.add(network(25), 0.0), mlp_member(model, 0.0, images.targets.device)
    short.precision, short.way = "bfloat16", "bfloat16 all"
    fleet.attach(short)
    fleet.train_epoch()
    programs = {members[0].precision: program for program, members in fleet._programs or ()}
    program: Any = programs["bfloat16"]
    found = [each[0, :, :25].float() for each in (program.first, program.second, program.d_second, program.d_first)]
    order = epoch_order(n, ORDER_SEED, 0)
    pixels, labels = images.pixels[order], images.targets[order]
    w1, w2, w3 = (rounded(layer.weight.detach()) for layer in (model[0], model[2], model[4]))
    first = rounded(torch.relu(pixels.float() @ w1.T / 255 + rounded(model[0].bias.detach())))
    second = rounded(torch.relu(first @ w2.T + model[2].bias.detach()))
    d_logits = (torch.softmax(second @ w3.T + model[4].bias.detach(), 1) - torch.eye(10)[labels]) / n
    d_second = rounded((rounded(d_logits) @ w3) * (second > 0))
    d_first = (d_second @ w2) * (first > 0)
    for ours, theirs in zip(found, (first, second, d_second, d_first), strict=True):
        assert (ours - theirs).norm() < 2**-4 * theirs.norm()
    assert short.loss == pytest.approx(exact.loss, rel=1e-2)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the one that is lost
def test_networks_come_and_go_with_their_adam_whoever_else_is_there() -> None:
    images = made_up_images(40, "cpu")
    fleet = Fleet(images, ORDER_SEED, 24)
    member, lost = fleet.add(network(17), 1e-2), fleet.add(network(25), 1e38)
    fleet.train_epoch()
    fleet.add(network(4), 1e-2)
    fleet.train_epoch()
    assert lost.loss != lost.loss
    fleet.detach(member)
    fleet.train_epoch()
    other = Fleet(images, ORDER_SEED, 24, clock=3, number=1)
    other.attach(member)
    other.train_epoch()

    alone = Fleet(images, ORDER_SEED, 24)
    stayed = alone.add(network(17), 1e-2)
    for alone.clock in (0, 1, 3):
        alone.train_epoch()
    assert torch.equal(member.steps, stayed.steps)
    for group in ("values", "moments", "squares"):  # not to the bit, which NumPy's products do not promise
        for ours, theirs in zip(getattr(member, group), getattr(stayed, group), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_step_launches_the_same_each_time_so_that_it_can_be_played_back(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[object] = []

    class Spy:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            def launch(*arguments: object, **options: object) -> None:
                places = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
                launched.append((self.name, grid, places, options))

            return launch

    for name in KERNELS:
        monkeypatch.setattr(f"model.gpu.kernels.{name}", Spy(name))
    fleet = Fleet(made_up_images(60, "cpu"), ORDER_SEED, 24)
    members = [fleet.add(network(width), 1e-2) for width in (17, 65)]
    program = fused.Fused(members, fleet.images, fleet.batch)
    for epoch in range(2):
        program.train(epoch_order(60, ORDER_SEED, epoch))
    steps = [launched[k : k + len(KERNELS)] for k in range(0, len(launched), len(KERNELS))]
    full, again, rest, *others = steps  # 24, 24 and 12 images
    assert full == again != rest
    assert others == [full, full, rest]


def test_adams_corrections_are_exact_for_any_number_of_steps() -> None:
    table = fused.corrections(torch.device("cpu"))
    assert table[1].tolist() == pytest.approx([0.1, 0.001**0.5], rel=1e-7)
    assert table[1000].tolist() == pytest.approx([1.0, (1 - 0.999**1000) ** 0.5], rel=1e-7)
    assert table[-1].tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_they_compile_for_cards_old_and_new_and_fit_into_small_ones() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.compiled_kernels"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 48
    assert all(int(shared) <= SMALLEST_SHARED_MEMORY for _, _, shared in lines), result.stdout


@pytest.mark.parametrize(
    ("error", "said"),
    [("Failed to find C compiler.\nPlease specify one.", "(Failed to find C compiler.)"), ("", "(RuntimeError)")],
)
def test_where_they_cannot_be_compiled_training_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: str, said: str
) -> None:
    def no_compiler() -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(fused, "ready", no_compiler)
    model.fleet.fleet._fused.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            programs = [model.fleet.fleet.program_on(torch.device("cuda")) for _ in range(2)]
    finally:
        model.fleet.fleet._fused.cache_clear()
    assert programs == [Panels, Panels]
    (message,) = [record.getMessage() for record in caplog.records]
    assert said in message


@needs_cuda
@pytest.mark.parametrize("width", [16, 25, 100, 256])
def test_products_are_as_exact_as_float32_allows(width: int) -> None:
    images = Samples(torch.randint(0, 256, (1028, 784), dtype=torch.uint8), torch.zeros(1028, dtype=torch.int64))
    images = images.to("cuda")
    fleet = Fleet(images, ORDER_SEED)
    member = fleet.add(network(width), 0.0)
    program = fused.Fused([member], images, 1028)
    program.train(torch.arange(1028))
    first, second = (part.float().sum(0)[:, :width] for part in (program.first, program.second))
    exact = network(width).double().cuda()
    with torch.no_grad():
        below = torch.relu(exact[0](images.pixels.double() / 255))
        above = torch.relu(exact[2](below))
    assert (first - below).norm() < 5e-7 * below.norm()
    assert (second - above).norm() < 5e-7 * above.norm()
