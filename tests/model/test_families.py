"""What holds for a network of any family that a study may name, whichever way it trains: each is listed, and enters
every test."""

import copy
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.data.samples import Samples
from model.errors import NetworkError
from model.fleet.family import Family
from model.fleet.fleet import Fleet, epoch_order
from model.general.choices import Loss, Optimizer
from model.general.sequential import minibatches
from model.network.arithmetic import Precision
from model.network.dropout import Noise, threshold
from model.network.member import BaseMember, Member, Segment
from model.network.way import LISTED_FROM, WAYS
from model.seeds import derive
from studies.sweet_spot import sweet_spot
from tests.model.test_general import CLASSES, INPUTS, Attention, cnn, deep_cnn, normed
from tests.support.rounded import Rounded

CPU = torch.device("cpu")
ORDER_SEED, N, BATCH, EPOCHS = 5, 150, 32, 3
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
Params = Mapping[str, Any]


def mlp(
    widths: tuple[int, ...],
    inputs: int,
    classes: int = 1,
    activation: str = "relu",
    dropout: tuple[float, ...] = (),
) -> nn.Module:
    """A plain MLP as somebody may write it, with a block for each layer."""
    blocks: list[nn.Module] = [nn.Flatten()]
    for number, width in enumerate(widths):
        block = [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
        blocks.append(nn.Sequential(*block, *(nn.Dropout(rate) for rate in dropout[number : number + 1])))
        inputs = width
    return nn.Sequential(*blocks, nn.Linear(inputs, classes))


@dataclass(frozen=True)
class Kind:
    """Networks of a family."""

    function: Callable[..., nn.Module]
    params: Params
    trainer: str = "fleet"
    choices: Mapping[str, Any] = field(default_factory=dict)
    numbers: bool = False
    precision: Precision = "float32"
    way: str = ""  # by name; else that of this machine

    @property
    def family(self) -> Family:
        classes = None if self.numbers else CLASSES
        return Family(self.function, INPUTS, classes, precision=self.precision, **self.choices)


def plain(widths: tuple[int, ...], lr: float = 0.01, **given: Any) -> Kind:
    choices = {name: given.pop(name) for name in ("optimizer", "loss") if name in given}
    numbers = given.pop("numbers", False)
    return Kind(mlp, {"widths": widths, "lr": lr, **given}, choices=choices, numbers=numbers)


KINDS = {
    "one hidden layer": plain((12,)),
    "one wide": plain((70,)),
    "two alike": plain((16, 16)),
    "three of other widths": plain((24, 7, 13)),
    "a wide one above": plain((9, 130)),
    "four": plain((20, 20, 5, 20)),
    "gelu": plain((17, 17), activation="gelu"),
    "silu": plain((17, 11), activation="silu"),
    "tanh": plain((17, 17), activation="tanh"),
    "wide gelu": plain((129, 33), activation="gelu"),
    "dropout": plain((25, 25), dropout=(0.2, 0.5)),
    "dropout of another rate": plain((25, 25), dropout=(0.6, 0.1)),
    "dropout after the first": plain((25, 25), dropout=(0.3,)),
    "dropout after the second": plain((25, 25), dropout=(0.0, 0.3)),
    "wide, dropout": plain((100,), dropout=(0.5,)),
    "gelu, dropout": plain((19, 8), activation="gelu", dropout=(0.2, 0.4)),
    "tanh, dropout": plain((19, 8, 8), activation="tanh", dropout=(0.2, 0.4, 0.1)),
    "adam's settings": plain((16,), optimizer=Optimizer("adam", betas=(0.8, 0.99), weight_decay=0.01)),
    "adamw": plain((16,), optimizer=Optimizer("adamw", weight_decay=0.1)),
    "sgd": plain((16, 16), 0.1, optimizer=Optimizer("sgd", momentum=0.8, weight_decay=0.01)),
    "sgd without momentum": plain((16, 16), 0.1, optimizer=Optimizer("sgd", momentum=0.0)),
    "convolutions": Kind(cnn, {"units": 4, "lr": 0.01}, "general"),
    "batch norm, dropout": Kind(deep_cnn, {"units": 4, "dropout": 0.2, "lr": 0.01}, "general"),
    "batch norm": Kind(normed, {"units": 16, "lr": 0.01}, "general"),
    "attention": Kind(Attention, {"dropout": 0.2, "lr": 0.003}, "general"),
}
NUMBERS = {
    "mse": plain((16, 16), numbers=True),
    "l1": plain((16,), numbers=True, loss=Loss("l1")),
    "mse, dropout": plain((16,), numbers=True, activation="tanh", dropout=(0.2,)),
}
IN_BFLOAT16 = ("two alike", "a wide one above", "wide gelu", "dropout", "wide, dropout", "convolutions", "attention")
BFLOAT16 = {f"{name}, bfloat16": replace(KINDS[name], precision="bfloat16") for name in IN_BFLOAT16}
NUMBERS_BFLOAT16 = {"mse, bfloat16": replace(NUMBERS["mse"], precision="bfloat16")}
EVERY = {**KINDS, **NUMBERS, **BFLOAT16, **NUMBERS_BFLOAT16}
in_float32 = pytest.mark.parametrize("kind", [*KINDS.values(), *NUMBERS.values()], ids=[*KINDS, *NUMBERS])
every_kind = pytest.mark.parametrize("kind", EVERY.values(), ids=EVERY)
as_bytes = pytest.mark.parametrize("as_bytes", [False, True], ids=["numbers", "bytes"])
threads = pytest.mark.parametrize("threads", [1, 2, 8], indirect=True)


def sized(as_bytes: bool) -> tuple[int, int]:
    """Return samples and a batch; of bytes so many that what is lit is listed, as `LISTED_FROM` has it."""
    return (2 * LISTED_FROM + 30, LISTED_FROM) if as_bytes else (N, BATCH)


def made_up(kind: Kind, n: int = N, *, as_bytes: bool = False) -> Samples:
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, INPUTS, generator=generator)
    if as_bytes:
        lit = torch.tensor([0.2, 0.6]).repeat(INPUTS // 2)  # seldom and often
        x = x.mul_(255).mul_(torch.rand(n, INPUTS, generator=generator) < lit).to(torch.uint8)
    shade = x.float() / (255 if as_bytes else 1)
    if kind.numbers:
        return Samples(x, shade[:, :1] * 2 - shade[:, 1:2] + 0.1 * torch.randn(n, 1, generator=generator))
    ranks = (shade[:, : INPUTS // 2].sum(1) - shade[:, INPUTS // 2 :].sum(1)).argsort().argsort()
    return Samples(x, ranks * CLASSES // n)


def join(fleet: Fleet, kind: Kind, seed: int = 1, **other: Any) -> BaseMember:
    of, params = kind.family, {**kind.params, **other}
    member = of.member(of.build(params, seed), params, seed, CPU)
    member.way = kind.way
    fleet.attach(member)
    return member


COMPANY = ("one hidden layer", "two alike", "gelu", "dropout", "dropout of another rate", "wide, dropout")


def company(fleet: Fleet, kind: Kind) -> None:
    """Some others, a network of this kind, and one that diverges."""
    others = [kind, *(NUMBERS.values() if kind.numbers else (KINDS[name] for name in COMPANY))]
    others += [replace(other, precision="bfloat16") for other in others[1:3]]
    for other in others:
        join(fleet, other, seed=9)
    join(fleet, kind, seed=8, lr=1e38)


def everything(member: BaseMember) -> dict[str, Tensor]:
    """All that a member is made of, by name."""
    if isinstance(member, Member):
        groups = {name: getattr(member, name) for name in ("values", "moments", "squares")}
        tensors = {f"{name} {n}": value for name, group in groups.items() for n, value in enumerate(group)}
        return {**tensors, "steps": member.steps}
    optimizer = member.steps.optimizer.state_dict()["state"]
    states = {f"{key} {name}": value for key, state in optimizer.items() for name, value in state.items()}
    return {**member.module.state_dict(), **{name: value for name, value in states.items() if value is not None}}


def assert_identical(one: BaseMember, other: BaseMember) -> None:
    assert (one.loss, repr(one.last_batch)) == (other.loss, repr(other.last_batch))  # nan is nan
    ours, theirs = everything(one), everything(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# The oracle


def drawn_masks(member: Member, network: nn.Module, generator: torch.Generator) -> Callable[[int], None]:
    """Give a plain network's dropout layers, minibatch by minibatch, the masks that its place in a fleet draws."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    rates = member.config.dropout
    widths = [width if rate else 0 for width, rate in zip(member.config.hidden, rates, strict=True)]
    noise = Noise(generator, widths)

    def draw(count: int) -> None:
        first, *others = (bits.clone() for bits in noise.draw(count))
        masks = [~(bits <= threshold(rate)) for bits, rate in zip((first, *(o.T for o in others)), rates, strict=True)]
        for layer, mask, rate in zip(layers, masks, rates, strict=False):
            layer.forward = lambda x, mask=mask, rate=rate: x * mask / (1 - rate) if rate else x  # type: ignore

    return draw


def plain_loop(kind: Kind, member: BaseMember, samples: Samples, batch: int, seed: int = 1) -> tuple[nn.Module, float]:
    """Train by PyTorch's loop, modules and optimizers; return the network and the last epoch's mean loss."""
    of = kind.family
    network, generator = of.build(kind.params, seed), torch.Generator().manual_seed(derive(seed, "draws"))
    optimizer, total = of.optimizer.over(network.parameters(), kind.params), 0.0
    draw = drawn_masks(member, network, generator) if isinstance(member, Member) else lambda _: None
    torch.default_generator.manual_seed(derive(seed, "draws"))
    for clock in range(EPOCHS):
        total, order = 0.0, epoch_order(len(samples), ORDER_SEED, clock)
        for rows in minibatches(order, batch):
            draw(len(rows))
            loss = of.criterion(network(samples.inputs[rows]), samples.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return network, total / len(samples)


@in_float32
@as_bytes
def test_it_trains_as_a_plain_loop(kind: Kind, as_bytes: bool) -> None:
    n, batch = sized(as_bytes)
    samples = made_up(kind, n, as_bytes=as_bytes)
    fleet = Fleet(samples, ORDER_SEED, batch)
    member = join(fleet, kind)
    for _ in range(EPOCHS):
        fleet.train_epoch()
    with torch.random.fork_rng(devices=[]):
        network, loss = plain_loop(kind, member, samples, batch)
    assert member.trainer == kind.trainer
    assert member.loss == pytest.approx(loss, rel=1e-4)
    ours, theirs = member.network().state_dict(), network.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert (value - theirs[name]).double().norm() <= 1e-3 * theirs[name].double().norm(), name


def gone(network: nn.Module, start: nn.Module) -> Tensor:
    """The way of all weights from the start."""
    pairs = zip(network.parameters(), start.parameters(), strict=True)
    return torch.cat([(weight - before).flatten() for weight, before in pairs]).double()


@pytest.mark.parametrize("way", [*WAYS, "autocast"])
@pytest.mark.parametrize("name", [*IN_BFLOAT16, "mse"])
def test_every_way_to_multiply_is_that_of_a_plain_loop_with_rounded_factors(name: str, way: str) -> None:
    """Factors of 8 bits are off by 2^-8 at most, what a product returns by as much again, in sums that cancel by more:
    a few percent of a whole way, where a wrong gradient is all of it. By SGD, since Adam makes a whole step of the
    smallest gradient, and with it of rounding."""
    kind = {**KINDS, **NUMBERS}[name]
    if (way == "autocast") != (kind.trainer == "general"):
        pytest.skip("not a way of these")
    rounds = not way.startswith("float32")
    sgd = Optimizer("sgd", momentum=0.8)
    kind = replace(kind, params={**kind.params, "lr": 0.03}, choices={**kind.choices, "optimizer": sgd})
    kind = replace(kind, precision="bfloat16" if rounds else "float32", way="" if way == "autocast" else way)
    n, batch = sized(as_bytes=True)
    samples = made_up(kind, n, as_bytes=True)
    fleet = Fleet(samples, ORDER_SEED, batch)
    member = join(fleet, kind)
    for _ in range(EPOCHS):
        fleet.train_epoch()
    with torch.random.fork_rng(devices=[]), Rounded() if rounds else nullcontext() as oracle:
        network, loss = plain_loop(kind, member, samples, batch)
    assert oracle is None or oracle.products
    start = kind.family.build(kind.params, 1)
    ours, theirs = gone(member.network(), start), gone(network, start)
    assert (ours - theirs).norm() <= (0.05 if rounds else 1e-4) * theirs.norm()
    assert member.loss == pytest.approx(loss, rel=2e-3 if rounds else 1e-5)


# Company


@every_kind
@as_bytes
@threads
def test_no_bit_depends_on_the_company_nor_on_when_it_was_away(kind: Kind, as_bytes: bool, threads: int) -> None:
    if threads > 1 and kind.trainer == "general":
        pytest.skip("tests/model/test_general.py says what holds with two fleets")
    n, batch = sized(as_bytes)
    samples = made_up(kind, n, as_bytes=as_bytes)
    first, second = Fleet(samples, ORDER_SEED, batch), Fleet(samples, ORDER_SEED, batch, clock=7, number=1)
    company(first, kind)
    first.train_epoch()
    member = join(first, kind)
    first.train_epoch()
    first.detach(member)
    held = copy.deepcopy(everything(member))
    first.train_epoch()
    company(second, kind)
    second.attach(member)
    assert all(torch.equal(value, held[name]) for name, value in everything(member).items())
    second.train_epoch()
    second.train_epoch()
    assert member.segments == [Segment(0, 1, 1, threads), Segment(1, 7, 2, threads)]

    alone = Fleet(samples, ORDER_SEED, batch)  # replayed from what is stored of it
    again = join(alone, kind)
    for alone.clock in (1, 7, 8):
        alone.train_epoch()
    assert_identical(member, again)


@pytest.mark.parametrize("kind", [KINDS["dropout"], KINDS["gelu, dropout"]], ids=["relu", "gelu"])
def test_masks_do_not_depend_on_the_number_of_threads(kind: Kind) -> None:
    samples, members = made_up(kind), []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        fleet = Fleet(samples, ORDER_SEED, BATCH)
        members.append(join(fleet, kind))
        for _ in range(EPOCHS):
            fleet.train_epoch()
    torch.set_num_threads(before)
    one, two = members
    assert one.loss == pytest.approx(two.loss, rel=1e-4)
    for ours, theirs in zip(one.network().parameters(), two.network().parameters(), strict=True):
        assert (ours - theirs).norm() <= 1e-3 * theirs.norm()


@every_kind
def test_trials_of_other_seeds_draw_other_masks_and_the_global_generator_stays(kind: Kind) -> None:
    before = torch.get_rng_state()
    fleet, of = Fleet(made_up(kind), ORDER_SEED, BATCH), kind.family
    network = of.build(kind.params, 1)
    members = [of.member(network, kind.params, seed, CPU) for seed in (1, 2, 1)]
    for member in members:
        fleet.attach(member)
    fleet.train_epoch()
    assert_identical(members[0], members[2])
    assert (members[0].loss != members[1].loss) == ("dropout" in kind.params)
    assert torch.equal(torch.get_rng_state(), before)


@every_kind
def test_it_is_left_as_it_was_built_and_taken_out_as_a_copy(kind: Kind) -> None:
    of = kind.family
    network = of.build(kind.params, 1)
    before = copy.deepcopy(network.state_dict())
    fleet = Fleet(made_up(kind), ORDER_SEED, BATCH)
    member = of.member(network, kind.params, 1, CPU)
    fleet.attach(member)
    fleet.train_epoch()
    taken = member.network()
    state = copy.deepcopy(taken.state_dict())
    fleet.train_epoch()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(torch.equal(value, state[name]) for name, value in taken.state_dict().items())
    assert not taken.training
    assert member.parameters == sum(weight.numel() for weight in network.parameters())
    assert member.units >= 1


# Scores


@every_kind
@as_bytes
def test_a_score_is_that_of_the_plain_module_on_the_whole_set(kind: Kind, as_bytes: bool) -> None:
    samples, of = made_up(kind, 2_100, as_bytes=as_bytes), kind.family
    network = of.build(kind.params, 1).eval()
    with torch.no_grad():
        outputs = network(samples.inputs)
    found = of.score(network, samples)
    assert found == of.score(copy.deepcopy(network).train(), samples)
    assert found.loss == pytest.approx(of.criterion(outputs, samples.targets).item(), rel=1e-5)
    assert found.value == pytest.approx(of.measure(outputs, samples.targets), rel=1e-5)
    assert of.score(of.restored(kind.params, network.state_dict()), samples) == found


# Which way


@every_kind
def test_a_rerun_is_told_the_way_that_a_trial_trained(kind: Kind) -> None:
    of = kind.family
    network = of.build(kind.params, 1)
    general = of.member(network, kind.params, 1, CPU, "general")
    assert general.trainer == "general"
    assert of.member(network, kind.params, 1, CPU, kind.trainer).trainer == kind.trainer
    if kind.trainer == "general":
        with pytest.raises(NetworkError, match="is no plain MLP"):
            of.member(network, kind.params, 1, CPU, "fleet")
    else:
        assert abs(general.units - of.member(network, kind.params, 1, CPU).units) <= 1
        assert of.epoch_flops(kind.params, 1) == of.member(network, kind.params, 1, CPU).config.flops


def test_the_articles_network_is_as_wide_as_it_is_and_any_other_by_its_arithmetic() -> None:
    def units(of: Family, params: Params) -> int:
        return of.member(of.build(params, 0), params, 0, CPU).units

    assert [units(sweet_spot().family, {"hidden_units": width, "lr": 0.1}) for width in (1, 25, 256)] == [1, 25, 256]
    own = Family(mlp, 784, 10)
    assert units(own, {"widths": (25, 25), "lr": 0.1}) == 25
    assert units(own, {"widths": (25, 25), "dropout": (0.1,), "lr": 0.1}) == 27
    assert units(own, {"widths": (100, 100, 100), "lr": 0.1}) == round(100 + 1.5 * (2 * 100**2 + 1000) / 784)


def test_what_is_no_way_to_train_is_told_in_a_line() -> None:
    kind = KINDS["dropout"]
    with pytest.raises(NetworkError, match="'quick' is no way to train; choose one of fleet, general"):
        kind.family.member(kind.family.build(kind.params, 0), kind.params, 0, CPU, "quick")  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=r"refuses {'lr': -1.0}"):
        join(Fleet(made_up(kind), 0), kind, lr=-1.0)


# Memory

STARVED = """
import resource, sys
import torch
from torch import nn
from model.data.samples import Samples
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from studies.sweet_spot import sweet_spot

torch.set_num_threads(1)
samples = Samples(torch.rand(40_000, 64), torch.zeros(40_000, dtype=torch.int64))
network = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 4))
family = Family(lambda: network, 64, 4)
fleet = Fleet(samples, 0, 40_000)
fleet.attach(family.member(family.build({}, 0), {"lr": 0.01}, 0, torch.device("cpu"), sys.argv[1]))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000, resource.RLIM_INFINITY))
try:
    fleet.train_epoch()
except torch.OutOfMemoryError:
    print("out of memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("trainer", ["fleet", "general"])
def test_memory_at_an_end_is_the_error_by_which_a_search_shrinks(trainer: str) -> None:
    child = subprocess.run([sys.executable, "-c", STARVED, trainer], capture_output=True, text=True, check=False)
    assert (child.stdout, child.returncode) == ("out of memory\n", 0), child.stderr
