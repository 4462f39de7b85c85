"""Any network trains in a fleet as PyTorch's plain loop trains it alone, to the bit, whoever else is there."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.utils.checkpoint import checkpoint

from model.data.samples import Samples
from model.errors import NetworkError
from model.fleet.family import Family, Trainer
from model.fleet.fleet import Fleet, epoch_order
from model.fleet.fleets import Fleets
from model.general.choices import Loss, Metric, Optimizer
from model.general.look import ELEMENTS, FLOPS, look
from model.general.member import GeneralMember
from model.general.sequential import minibatches
from model.network.arithmetic import Precision
from model.network.member import BaseMember, Segment
from model.network.weights import encode, read, write
from model.seeds import derive

CPU = torch.device("cpu")
ORDER_SEED, INPUTS, CLASSES, N, BATCH, EPOCHS = 5, 64, 4, 150, 32, 3
Params = Mapping[str, Any]
Function = Callable[..., nn.Module]
pytestmark = pytest.mark.usefixtures("one_thread")


def made_up(n: int = N, inputs: int = INPUTS, *, numbers: bool = False) -> Samples:
    generator = torch.Generator().manual_seed(n)
    x = torch.rand(n, inputs, generator=generator)
    if numbers:
        return Samples(x, x[:, :1] * 2 - x[:, 1:2] + 0.1 * torch.randn(n, 1, generator=generator))
    return Samples(x, (x[:, : inputs // 2].sum(1) - x[:, inputs // 2 :].sum(1)).argsort().argsort() * CLASSES // n)


# The networks


def mlp(units: int, dropout: float, inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, classes))


def cnn(units: int, classes: int) -> nn.Module:
    picture, conv = nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, units, 3)
    return nn.Sequential(picture, conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(classes))


def deep_cnn(units: int, dropout: float, classes: int) -> nn.Module:
    one = (nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, units, 3, padding=1), nn.BatchNorm2d(units), nn.ReLU())
    two = (nn.Dropout2d(dropout), nn.Conv2d(units, 2 * units, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(*one, *two, nn.Linear(8 * units, classes))


def normed(units: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Linear(units, classes))


class Attention(nn.Module):
    """Draws inside of PyTorch's own layers."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.mix = nn.TransformerEncoderLayer(16, 2, 32, dropout, batch_first=True)
        self.read = nn.LSTM(16, 8, 2, dropout=dropout, batch_first=True)
        self.name = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.name(self.read(self.mix(x.view(-1, 4, 16)))[0][:, -1])


class Noisy(nn.Module):
    """Draws by all sorts of calls."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, units), nn.Linear(units, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = nn.functional.rrelu(self.first(x), training=self.training)
        if self.training:
            hidden = hidden * torch.distributions.Normal(1.0, 0.1).sample(hidden.shape) + 0.1 * torch.randn_like(hidden)
            hidden = hidden * torch.empty_like(hidden).uniform_(0.9, 1.1) * torch.rand(len(x), 1)
            hidden = hidden * torch.bernoulli(torch.full_like(hidden, 0.9)) + torch.randint(2, (len(x), 1))
            hidden = nn.functional.gumbel_softmax(hidden)[torch.randperm(len(x)).argsort().argsort()]
        return self.second(hidden)


PARAMS: dict[Function, Params] = {
    mlp: {"units": 16, "dropout": 0.3, "lr": 0.01},
    cnn: {"units": 4, "lr": 0.01},
    deep_cnn: {"units": 4, "dropout": 0.2, "lr": 0.01},
    normed: {"units": 16, "lr": 0.01},
    Attention: {"dropout": 0.2, "lr": 0.003},
    Noisy: {"units": 16, "lr": 0.01},
}
each_network = pytest.mark.parametrize("function", PARAMS, ids=lambda function: function.__name__)


def family(function: Function, **choices: Any) -> Family:
    return Family(function, INPUTS, CLASSES, **choices)


def join(fleet: Fleet, of: Family, params: Params, seed: int = 1) -> GeneralMember:
    member = of.member(of.build(params, seed), params, seed, CPU, "general")
    fleet.attach(member)
    return member


# The oracle


class Plain:
    """One network in a plain loop, which draws from the global generator as PyTorch does."""

    def __init__(self, of: Family, params: Params, optimizer: Callable[..., Any], seed: int = 1) -> None:
        self.model, self.criterion = of.build(params, seed), of.criterion
        self.optimizer, self.loss = optimizer(self.model.parameters()), math.nan
        torch.manual_seed(derive(seed, "draws"))

    def train_epoch(self, samples: Samples, clock: int, batch: int = BATCH) -> None:
        total = 0.0
        for rows in minibatches(epoch_order(len(samples), ORDER_SEED, clock), batch):
            loss = self.criterion(self.model(samples.inputs[rows]), samples.targets[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(rows)
        self.loss = total / len(samples)


def adam(weights: Iterator[nn.Parameter], lr: float = 0.01) -> torch.optim.Optimizer:
    return Adam(weights, lr, fused=True)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def assert_identical(one: GeneralMember, other: GeneralMember | Plain) -> None:
    theirs = other.model if isinstance(other, Plain) else other.module
    assert one.loss == other.loss
    assert same(state(one.module), state(theirs))
    optimizer = other.optimizer if isinstance(other, Plain) else other.steps.optimizer
    moments, others = one.steps.optimizer.state_dict()["state"], optimizer.state_dict()["state"]
    assert moments.keys() == others.keys()
    assert all(same(moments[key], others[key]) for key in moments)


def company(fleet: Fleet) -> list[GeneralMember]:
    """Somebody of each kind, and one that diverges at once."""
    members = [join(fleet, family(other), params, seed=9) for other, params in PARAMS.items()]
    return [*members, join(fleet, family(mlp), {**PARAMS[mlp], "lr": 1e38}, seed=9)]


@each_network
def test_a_network_in_company_is_to_the_bit_that_of_a_plain_loop_alone(function: Function) -> None:
    samples, params = made_up(), PARAMS[function]
    fleet = Fleet(samples, ORDER_SEED, BATCH)
    company(fleet)
    member = join(fleet, family(function), params)
    company(fleet)
    with torch.random.fork_rng(devices=[]):
        plain = Plain(family(function), params, lambda weights: adam(weights, params["lr"]))
        for clock in range(EPOCHS):
            plain.train_epoch(samples, clock)
    for _ in range(EPOCHS):
        fleet.train_epoch()
    assert member.epochs_trained == EPOCHS
    assert_identical(member, plain)


@pytest.mark.parametrize(
    ("ours", "settings", "plain"),
    [
        (Optimizer("adam", 0.02, betas=("b", 0.99)), {"b": 0.8}, partial(Adam, lr=0.02, betas=(0.8, 0.99))),
        (Optimizer("adamw", weight_decay="d"), {"lr": 0.01, "d": 0.1}, partial(AdamW, lr=0.01, weight_decay=0.1)),
        (Optimizer("adamw"), {"lr": 0.01}, partial(AdamW, lr=0.01)),
        (Optimizer("sgd", "rate"), {"rate": 0.1}, partial(SGD, lr=0.1, momentum=0.9)),
        (Optimizer("sgd", 0.1, momentum="m"), {"m": 0.5}, partial(SGD, lr=0.1, momentum=0.5)),
    ],
    ids=["adam", "adamw with decay", "adamw", "sgd", "sgd with momentum"],
)
def test_each_optimizer_has_the_settings_that_are_fixed_or_the_trials(
    ours: Optimizer, settings: Params, plain: Callable[..., Any]
) -> None:
    of, params, samples = family(mlp, optimizer=ours), {"units": 8, "dropout": 0.1, **settings}, made_up()
    fleet = Fleet(samples, ORDER_SEED, BATCH)
    company(fleet)
    member = join(fleet, of, params)
    with torch.random.fork_rng(devices=[]):
        loop = Plain(of, params, partial(plain, fused=True))
        loop.train_epoch(samples, 0)
    fleet.train_epoch()
    assert_identical(member, loop)
    assert of.names == {"units", "dropout", *(name for name in settings)}


@pytest.mark.parametrize(
    ("loss", "metric"), [("mse", "r2"), ("l1", "mean_absolute_error"), ("mse", "mean_squared_error")]
)
def test_numbers_are_learnt(loss: str, metric: str) -> None:
    samples = made_up(numbers=True)

    def network(units: int, inputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, units), nn.ReLU(), nn.Linear(units, 1))

    of, params = Family(network, INPUTS, None, loss=Loss(loss), metric=Metric(metric)), {"units": 16, "lr": 0.01}
    fleet = Fleet(samples, ORDER_SEED, BATCH)
    member = join(fleet, of, params)
    before = of.score(member.network(), samples)
    plain = Plain(of, params, adam)
    for clock in range(20):
        plain.train_epoch(samples, clock)
        fleet.train_epoch()
    assert_identical(member, plain)
    assert math.isnan(member.last_batch[0])
    after, outputs = of.score(member.network(), samples), member.network()(samples.inputs)
    assert after.loss == pytest.approx(of.criterion(outputs, samples.targets).item(), rel=1e-5)
    assert after.loss < before.loss / 2
    assert (after.value > before.value) == (of.measure.direction == "maximize")


# Company, and when it is joined


@each_network
def test_no_bit_depends_on_when_a_network_joined_or_was_away(function: Function) -> None:
    samples, params = made_up(), PARAMS[function]
    first, second = Fleet(samples, ORDER_SEED, BATCH), Fleet(samples, ORDER_SEED, BATCH, clock=7, number=1)
    company(first)
    first.train_epoch()
    member = join(first, family(function), params)
    first.train_epoch()
    first.detach(member)
    held = state(member.network())
    first.train_epoch()
    company(second)
    second.attach(member)
    assert same(held, state(member.module))
    for _ in range(2):
        second.train_epoch()
    assert member.segments == [Segment(0, 1, 1, 1), Segment(1, 7, 2, 1)]

    alone = Fleet(samples, ORDER_SEED, BATCH)  # replayed from what is stored of it
    again = join(alone, family(function), params)
    for segment in member.segments:
        alone.clock = segment.clock
        for _ in range(segment.epochs):
            alone.train_epoch()
    assert_identical(member, again)


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_two_fleets_at_once_change_no_bit_and_share_no_random_number(threads: int) -> None:
    samples, kinds = made_up(), [mlp, Attention, Noisy, deep_cnn]
    with Fleets(samples, ORDER_SEED, BATCH) as fleets:
        members = [join(fleet, family(kind), PARAMS[kind], seed) for seed, fleet in enumerate(fleets) for kind in kinds]
        while min(member.epochs_trained for member in members) < EPOCHS:
            fleets.train_next()
            family(normed).build(PARAMS[normed], 3)  # seeds the global generator meanwhile
    torch.set_num_threads(1)
    for number, member in enumerate(members):
        alone, kind = Fleet(samples, ORDER_SEED, BATCH), kinds[number % len(kinds)]
        again = join(alone, family(kind), PARAMS[kind], seed=number // len(kinds))
        for _ in range(member.epochs_trained):
            alone.train_epoch()
        assert_identical(member, again)


def test_trials_of_other_seeds_have_other_masks_and_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    fleet = Fleet(made_up(), ORDER_SEED, BATCH)
    of, params = family(mlp), PARAMS[mlp]
    network = of.build(params, 1)
    members = [of.member(network, params, seed, CPU, "general") for seed in (1, 2, 1)]
    for member in members:
        fleet.attach(member)
    fleet.train_epoch()
    assert members[0].loss == members[2].loss != members[1].loss
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
    assert same(state(network), state(of.build(params, 1)))


def test_a_network_that_diverges_takes_no_more_steps_even_where_its_draws_would_fail() -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.only = nn.Linear(INPUTS, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            outputs = self.only(x)
            return outputs * torch.bernoulli(outputs.sigmoid()) if self.training else outputs  # raises on nan

    fleet = Fleet(made_up(), ORDER_SEED, BATCH)
    lost = join(fleet, family(Fragile, optimizer=Optimizer("sgd", lr=1e38)), {})
    other = join(fleet, family(mlp), PARAMS[mlp])
    fleet.train_epoch()
    assert not math.isfinite(lost.loss)
    assert math.isfinite(other.loss)


# What is drawn where it must not be


class Later(nn.Module):
    """Draws from its third step on."""

    def __init__(self) -> None:
        super().__init__()
        self.only, self.steps = nn.Linear(INPUTS, CLASSES), 0

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return self.only(x) * (torch.rand(()) if self.steps > 2 else 1)


def test_a_draw_that_escapes_is_an_error() -> None:
    fleet = Fleet(made_up(), ORDER_SEED, BATCH)
    join(fleet, family(Later), {"lr": 0.01})
    with pytest.raises(NetworkError, match="a network drew random numbers that were not given the trial's own seed"):
        fleet.train_epoch()


class Recomputed(nn.Module):
    """Draws in its backward pass, too."""

    def __init__(self) -> None:
        super().__init__()
        self.only, self.drop = nn.Linear(INPUTS, CLASSES), nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(lambda y: self.drop(self.only(y)), x, use_reentrant=False)


def test_draws_in_the_backward_pass_are_refused() -> None:
    with pytest.raises(NetworkError, match="where they cannot be given the trial's own seed"):
        join(Fleet(made_up(), ORDER_SEED), family(Recomputed), {"lr": 0.01})


def test_the_draws_of_a_gpus_kernel_are_a_bernoullis_from_the_own_generator() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.only = nn.Linear(INPUTS, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return torch.native_dropout(self.only(x), 0.25, self.training)[0]

    samples, fleet = made_up(), Fleet(made_up(), ORDER_SEED, BATCH)
    member = join(fleet, family(Fused), {"lr": 0.01})
    plain = Plain(family(lambda: nn.Sequential(nn.Linear(INPUTS, CLASSES), nn.Dropout(0.25))), {}, adam)
    plain.train_epoch(samples, 0)
    fleet.train_epoch()
    for ours, theirs in zip(member.module.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


# Minibatches, memory, capacity


@pytest.mark.parametrize(("n", "batch", "sizes"), [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (3, 1, [1, 1, 1]), (1, 4, [1])])
def test_a_last_sample_left_over_joins_the_minibatch_before(n: int, batch: int, sizes: list[int]) -> None:
    assert [len(each) for each in minibatches(torch.arange(n), batch)] == sizes
    assert torch.cat(minibatches(torch.arange(n), batch)).tolist() == list(range(n))


def test_batch_norm_trains_on_a_set_that_leaves_one_sample_over() -> None:
    samples = made_up(2 * BATCH + 1)
    fleet, plain = Fleet(samples, ORDER_SEED, BATCH), Plain(family(normed), PARAMS[normed], adam)
    member = join(fleet, family(normed), PARAMS[normed])
    fleet.train_epoch()
    plain.train_epoch(samples, 0)
    assert_identical(member, plain)
    assert member.module[1].num_batches_tracked == 2


class Hungry(nn.Module):
    """Asks in training for more memory than there is."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Linear(INPUTS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            torch.empty(2**60, dtype=torch.uint8)
        return self.only(x)


def test_memory_at_an_end_is_the_error_by_which_a_search_shrinks() -> None:
    fleet = Fleet(made_up(), ORDER_SEED, BATCH)
    member = join(fleet, family(Hungry), {"lr": 0.01})
    with pytest.raises(torch.OutOfMemoryError):
        fleet.train_epoch()
    with pytest.raises(torch.OutOfMemoryError):
        family(Hungry).score(member.network(), made_up())


def test_memory_at_an_end_when_a_network_is_built_is_no_fault_of_the_networks() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        family(lambda units: nn.Linear(INPUTS, units)).build({"units": 2**50}, 0)


def wide(units: int) -> nn.Module:
    """The article's network."""
    return nn.Sequential(nn.Linear(784, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 10))


def wide_member(units: int, trainer: Trainer) -> BaseMember:
    of = Family(wide, 784, 10)
    return of.member(of.build({"units": units}, 0), {"lr": 0.1}, 0, CPU, trainer)


def test_capacity_is_counted_in_units_of_as_much_arithmetic() -> None:
    found = [wide_member(units, "general") for units in (1, 25, 100)]
    assert [member.units for member in found] == [1, 27, 121]  # the upper layers of 100 units count, too
    assert [member.parameters for member in found] == [785 + 2 + 20, 20_535, 78_500 + 10_100 + 1_010]


@pytest.mark.parametrize("width", [1, 25, 100, 256, 1536])
def test_in_a_fleet_the_articles_network_counts_its_width_and_costs_its_arithmetic(width: int) -> None:
    member = wide_member(width, "fleet")
    assert (member.units, member.cost) == (width, wide_member(width, "general").units)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_costs_what_it_computes_and_what_it_writes(precision: Precision) -> None:
    hidden = (nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    network = nn.Sequential(*hidden, nn.Linear(3 * 16, CLASSES))
    seen = look(network, 64, CPU, torch.sum, precision)
    assert seen.flops == 2 * (2 * 9 * 3 * 64 + 3 * 48 * CLASSES)
    pooled = 2 * 48  # numbers, and where they were
    assert seen.elements == 64 + 192 + 192 + pooled + CLASSES
    assert seen.cost == round(seen.flops / FLOPS + seen.elements / ELEMENTS)


# Channels last


class Viewed(nn.Module):
    """Looks at what its convolutions return as if the channels came first."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 4, 3))
        self.only = nn.Linear(4 * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(self.convs(x.view(-1, 1, 8, 8)).view(len(x), -1))


@pytest.mark.parametrize(("function", "channels_last"), [(deep_cnn, True), (Viewed, False)])
def test_channels_come_last_where_a_network_can_do_with_it_and_it_learns_the_same(
    function: Function, channels_last: bool
) -> None:
    of, samples = family(function, optimizer=Optimizer("sgd", 0.1)), made_up()
    params = {"units": 4, "dropout": 0.0}
    fleet, plain = Fleet(samples, ORDER_SEED, BATCH), Plain(of, params, partial(SGD, lr=0.1, momentum=0.9))
    member = join(fleet, of, params)
    layouts = [weight.is_contiguous() for weight in plain.model.parameters() if weight.dim() == 4]
    assert all(layouts) != channels_last
    plain.model.to(memory_format=torch.contiguous_format)
    fleet.train_epoch()
    plain.train_epoch(samples, 0)
    assert member.loss == pytest.approx(plain.loss, rel=1e-5)
    for ours, theirs in zip(member.module.parameters(), plain.model.parameters(), strict=True):
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()


# Scores, weights, choices


def test_a_score_is_that_of_the_network_at_rest_whichever_mode_it_is_in() -> None:
    samples, of = made_up(2_100), family(mlp)
    network = of.build(PARAMS[mlp], 0)
    found = of.score(network, samples)
    outputs = network.eval()(samples.inputs)
    assert of.score(network, samples) == found
    assert found.value == (outputs.argmax(1) == samples.targets).double().mean().item()
    assert found.loss == pytest.approx(nn.functional.cross_entropy(outputs, samples.targets).item(), rel=1e-6)


def test_metrics_of_classes_are_those_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.rand(200, 2, generator=generator) / 9, torch.randint(2, (200,), generator=generator)
    score, named = (outputs[:, 1] - outputs[:, 0]), outputs.argmax(1)
    pairs = score[targets == 1][:, None] > score[targets == 0]
    assert Metric("auroc")(outputs, targets) == pytest.approx(pairs.float().mean().item(), abs=1e-6)
    hits = [((named == k) & (targets == k)).sum() / ((named == k).sum() + (targets == k).sum()) * 2 for k in (0, 1)]
    assert Metric("f1")(outputs, targets) == pytest.approx(sum(hits).item() / 2, abs=1e-6)
    assert Metric("accuracy")(outputs, targets) == (named == targets).sum().item() / 200
    assert math.isnan(Metric("auroc")(outputs * math.nan, targets))


@each_network
def test_weights_and_buffers_survive_a_file(function: Function, tmp_path: Path) -> None:
    of, params = family(function), PARAMS[function]
    fleet = Fleet(made_up(), ORDER_SEED, BATCH)
    member = join(fleet, of, params)
    fleet.train_epoch()
    write(tmp_path / "w.safetensors", encode(member.network(), trial="12"))
    tensors, notes = read(tmp_path / "w.safetensors")
    network = of.restored(params, tensors)
    assert same(state(network), state(member.module))
    assert of.score(network, made_up()) == of.score(member.network(), made_up())
    assert notes == {"format": "sweetspot-general-1", "trial": "12"}
    with safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(member.module.state_dict())
    with pytest.raises(NetworkError, match="the weights do not fit"):
        family(mlp).restored({"units": 5, "dropout": 0.0}, tensors)


class Detached(nn.Linear):
    """Has weights, and no gradients."""

    def __init__(self) -> None:
        super().__init__(INPUTS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Optimizer("lion"), "'lion' is no optimizer; choose one of adam, adamw, sgd"),
        (lambda: Optimizer("adam", momentum=0.9), "the optimizer adam has no momentum"),
        (lambda: Optimizer("sgd", betas=(0.9, 0.9)), "the optimizer sgd has no betas"),
        (lambda: Optimizer().settings({}), "needs the parameter 'lr'"),
        (lambda: join(Fleet(made_up(), 0), family(mlp), {**PARAMS[mlp], "lr": -1.0}), r"refuses {'lr': -1.0}"),
        (lambda: Loss("huber"), "'huber' is no loss"),
        (lambda: Metric("recall"), "'recall' is no metric"),
        (lambda: family(mlp, loss=Loss("mse")), "mse is not for targets that are classes"),
        (lambda: Family(mlp, 8, None, metric=Metric("f1")), "f1 is not for targets that are numbers"),
        (lambda: family(mlp).build({"units": 3}, 0), "needs 'dropout', which is no parameter"),
        (lambda: family(lambda: 3).build({}, 0), "returned int, not a torch.nn.Module"),
        (lambda: family(lambda: nn.Linear(INPUTS, 3)).build({}, 0), r"returns \(2, 3\) for two samples, not \(2, 4\)"),
        (lambda: family(lambda: nn.Linear(3, 4)).build({}, 0), "fails: mat1 and mat2"),
        (lambda: join(Fleet(made_up(), 0), Family(nn.Identity, 4, 4), {}), "has no weights to train"),
        (lambda: join(Fleet(made_up(), 0), family(Detached), {"lr": 0.1}), "fails: element 0 of tensors does not"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(make: Callable[[], object], why: str) -> None:
    with pytest.raises(NetworkError, match=why) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_function_that_takes_anything_is_given_all() -> None:
    def network(**given: Any) -> nn.Module:
        assert given == {"units": 3, "inputs": INPUTS, "classes": CLASSES}
        return nn.Linear(INPUTS, CLASSES)

    assert family(network).names is None
    family(network).build({"units": 3}, 0)
