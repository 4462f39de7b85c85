"""A fleet trains every network as a plain loop would, and none of them can tell who else is there."""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model.data.samples import Samples
from model.fleet.fleet import Fleet, epoch_order
from model.network.member import Member, Segment
from studies.sweet_spot import article_network

ORDER_SEED = 5
WIDTHS = [1, 7, 16, 17, 25, 25, 32, 48, 64, 65, 100, 128, 256]
RAGGED = [(300, 64), (300, 300), (300, 1000), (300, 299), (30, 1)]
few = settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
widths = st.one_of(st.integers(1, 48), st.sampled_from([64, 65, 100, 256]))


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    return str(request.param)


def made_up_images(n: int, device: str) -> Samples:
    """Noise, brighter in a band of rows that tells the label: hard enough to keep a network busy for some epochs.

    A quarter is lit, a fifth of MNIST is. With all of it lit sums have four times as many terms, and their rounding now
    and then moves a unit across ReLU's bend: two of twelve networks of 256 units then left the plain loop's path.
    """
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(0, 10, (n,), generator=generator)
    pixels = torch.randint(0, 200, (n, 10, 78), generator=generator)
    pixels[torch.arange(n), labels] += 55
    pixels *= torch.rand(pixels.shape, generator=generator) < 0.25
    return Samples(nn.functional.pad(pixels.flatten(1), (0, 4)).to(torch.uint8), labels).to(device)


@dataclass
class Plain:
    """The oracle: one network in a plain loop of torch's own modules, loss and optimizer."""

    model: nn.Module
    lr: float
    loss: float = float("nan")
    last_batch: tuple[float, float] = (float("nan"), float("nan"))
    optimizer: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), self.lr, foreach=False, fused=False)

    def train_epoch(self, images: Samples, epoch: int, batch: int) -> None:
        total = 0.0
        for rows in epoch_order(len(images), ORDER_SEED, epoch).to(images.targets.device).split(batch):
            logits = self.model(images.pixels[rows].float() / 255)
            loss = nn.functional.cross_entropy(logits, images.targets[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(rows)
            correct = (logits.argmax(1) == images.targets[rows]).float().mean().item()
            self.last_batch = (correct, loss.item())
        self.loss = total / len(images)


def network(width: int, seed: int = 0) -> nn.Module:
    return article_network(width, 1000 * seed + width)


def pair(fleet: Fleet, width: int, lr: float = 1e-3) -> tuple[Member, Plain]:
    """The same network twice: in the fleet and in a plain loop."""
    return fleet.add(network(width), lr), Plain(network(width).to(fleet.images.targets.device), lr)


def train(fleet: Fleet, pairs: list[tuple[Member, Plain]], epochs: int) -> None:
    for _ in range(epochs):
        for _, plain in pairs:
            plain.train_epoch(fleet.images, fleet.clock, fleet.batch)
        fleet.train_epoch()


def assert_agree(member: Member, plain: Plain) -> None:
    assert member.loss == pytest.approx(plain.loss, rel=1e-5)
    assert member.last_batch == pytest.approx(plain.last_batch, rel=1e-5)
    for ours, theirs in zip(member.network().parameters(), plain.model.parameters(), strict=True):
        # By norm, since Adam blows a rounding error up to a whole step where a gradient happens to vanish. Seen: 5e-6.
        assert (ours - theirs).norm() < 5e-5 * theirs.norm()


def weights(member: Member) -> list[Tensor]:
    return [value.detach().clone() for value in member.network().parameters()]


def picture(member: Member) -> tuple[list[Tensor], float, tuple[float, float], int]:
    return weights(member), member.loss, member.last_batch, member.epochs_trained


def assert_identical(one: Member, other: Member) -> None:
    assert (one.loss, one.last_batch, one.epochs_trained) == (other.loss, other.last_batch, other.epochs_trained)
    for group in ("values", "moments", "squares"):
        assert all(map(torch.equal, getattr(one, group), getattr(other, group))), group
    assert torch.equal(one.steps, other.steps)


# A fleet against the oracle


def test_networks_of_all_widths_and_rates_train_as_in_a_plain_loop(device: str) -> None:
    fleet = Fleet(made_up_images(300, device), ORDER_SEED, batch=64)
    pairs = [pair(fleet, width, lr) for width, lr in zip(WIDTHS, [1e-3, 1e-4, 5e-3] * 5, strict=False)]
    train(fleet, pairs, epochs=3)
    for member, plain in pairs:
        assert_agree(member, plain)
        assert member.epochs_trained == fleet.clock == 3


def test_weights_of_pixels_that_are_dark_for_a_while_train_as_in_a_plain_loop(device: str) -> None:
    images = made_up_images(300, device)
    lights = torch.rand(images.pixels.shape, generator=torch.Generator().manual_seed(0)).to(device)
    fleet = Fleet(Samples(images.pixels * (lights < 0.02), images.targets), ORDER_SEED, batch=32)
    pairs = [pair(fleet, width) for width in (7, 25, 100)]
    train(fleet, pairs, epochs=3)
    for member, plain in pairs:
        assert_agree(member, plain)


def test_training_teaches(device: str) -> None:
    fleet = Fleet(made_up_images(300, device), ORDER_SEED, batch=64)
    member = fleet.add(network(25), 5e-3)
    for _ in range(20):
        fleet.train_epoch()
    assert member.loss < 0.5
    assert member.last_batch[0] > 0.9


@pytest.mark.parametrize("threads", [1, 2, 3], indirect=True)
@pytest.mark.parametrize(("n", "batch"), RAGGED)
def test_figures_are_those_of_a_plain_loop_however_the_set_divides(
    device: str, threads: int, n: int, batch: int
) -> None:
    fleet = Fleet(made_up_images(n, device), ORDER_SEED, batch)
    pairs = [pair(fleet, 25), pair(fleet, 65, 3e-3)]
    train(fleet, pairs, epochs=2)
    assert torch.get_num_threads() == threads
    for member, plain in pairs:
        assert_agree(member, plain)


def test_a_newcomer_has_its_own_age_and_adam_state(device: str) -> None:
    fleet = Fleet(made_up_images(300, device), ORDER_SEED, batch=64)
    first = pair(fleet, 25)
    train(fleet, [first], epochs=2)
    newcomers = [pair(fleet, 25, 2e-3), pair(fleet, 7), pair(fleet, 100)]
    train(fleet, [first, *newcomers], epochs=2)
    assert first[0].epochs_trained == 4
    assert_agree(*first)
    for member, plain in newcomers:
        assert (member.epochs_trained, member.segments) == (2, [Segment(0, 2, 2, torch.get_num_threads())])
        assert_agree(member, plain)


def test_those_who_stay_train_on_when_another_leaves(device: str) -> None:
    fleet = Fleet(made_up_images(300, device), ORDER_SEED, batch=64)
    stay, go, wide = pair(fleet, 25), pair(fleet, 17), pair(fleet, 128)
    train(fleet, [stay, go, wide], epochs=2)
    fleet.detach(go[0])
    train(fleet, [stay, wide], epochs=2)
    for member, plain in (stay, go, wide):
        assert_agree(member, plain)
    assert go[0].epochs_trained == 2


def test_a_diverging_network_diverges_alone(device: str) -> None:
    fleet = Fleet(made_up_images(300, device), ORDER_SEED, batch=64)
    pairs = [pair(fleet, 17), pair(fleet, 100)]
    lost = [fleet.add(network(width), 1e38) for width in (25, 25, 128)]
    train(fleet, pairs, epochs=2)
    assert all(member.loss != member.loss for member in lost)
    for member in lost:
        fleet.detach(member)
    pairs.append(pair(fleet, 25))  # takes the room of one that was lost
    train(fleet, pairs, epochs=2)
    for member, plain in pairs:
        assert_agree(member, plain)


# Joining and leaving


@pytest.mark.parametrize("width", WIDTHS)
def test_a_network_comes_out_of_a_fleet_as_it_went_in(device: str, width: int) -> None:
    fleet = Fleet(made_up_images(20, device), ORDER_SEED, batch=20)
    member = fleet.add(network(width), lr=0.0)
    for _ in range(2):  # before it is packed, and after
        assert all(map(torch.equal, weights(member), network(width).to(device).parameters()))
        fleet.train_epoch()
    fleet.detach(member)
    assert all(map(torch.equal, weights(member), network(width).to(device).parameters()))
    assert list(member.network().state_dict()) == list(network(width).state_dict())


def test_a_network_taken_out_is_a_copy(device: str) -> None:
    fleet = Fleet(made_up_images(20, device), ORDER_SEED, batch=20)
    model = network(25)
    member = fleet.add(model, 1e-2)
    for _ in range(2):  # before it is packed, and after
        before = weights(member)
        taken = member.network()
        fleet.train_epoch()
        assert all(map(torch.equal, before, taken.parameters()))
        assert not any(map(torch.equal, before, weights(member)))
    assert all(map(torch.equal, model.parameters(), network(25).parameters()))


def test_who_leaves_keeps_its_weights_whatever_the_fleet_does_next(device: str) -> None:
    fleet = Fleet(made_up_images(20, device), ORDER_SEED, batch=20)
    members = [fleet.add(network(width), 1e-2) for width in (25, 25, 100)]
    fleet.train_epoch()
    fleet.detach(members[0])
    before = picture(members[0])
    fleet.add(network(26), 1e-2)
    fleet.train_epoch()
    after = picture(members[0])
    assert all(map(torch.equal, before[0], after[0]))
    assert before[1:] == after[1:]


def test_room_is_counted_in_hidden_units(device: str) -> None:
    fleet = Fleet(made_up_images(20, device), ORDER_SEED)
    assert fleet.units == 0
    members = [fleet.add(network(width), 1e-3) for width in (1, 16, 17, 256)]
    assert fleet.units == 1 + 16 + 17 + 256
    fleet.detach(members[2])
    assert fleet.units == 1 + 16 + 256


# To the bit


@dataclass(frozen=True)
class Neighbour:
    """Somebody else in the fleet."""

    width: int
    lr: float
    joins: int  # epoch
    stays: int  # epochs
    ahead: bool  # whether it joins before the network that is looked at


neighbours = st.builds(
    Neighbour, widths, st.sampled_from([1e-3, 0.1, 1e38]), st.integers(0, 3), st.integers(1, 4), st.booleans()
)


def lives(images: Samples, batch: int, width: int, start: int, others: list[Neighbour]) -> Member:
    """One network's three epochs from the clock's `start` on, among others who come and go."""
    fleet = Fleet(images, ORDER_SEED, batch)
    there: list[tuple[Member, int]] = []
    subject = None
    for epoch in range(start + 3):
        for member, until in list(there):
            if until == epoch:
                fleet.detach(member)
                there.remove((member, until))
        arriving = [other for other in others if other.joins == epoch]
        for ahead in (True, False):
            there += [(fleet.add(network(o.width, 1), o.lr), epoch + o.stays) for o in arriving if o.ahead == ahead]
            if ahead and epoch == start:
                subject = fleet.add(network(width), 1e-2)
        if fleet.members:
            fleet.train_epoch()
        else:
            fleet.clock += 1
    assert subject is not None
    return subject


@few
@given(st.data())
def test_no_bit_of_a_network_depends_on_who_trains_beside_it(device: str, data: st.DataObject) -> None:
    batch, batches, left_over = (data.draw(st.integers(*bounds)) for bounds in ((16, 64), (1, 2), (1, 60)))
    images = made_up_images(batch * batches + left_over, device)
    width, start = data.draw(widths, "width"), data.draw(st.integers(0, 2), "start")
    alone = lives(images, batch, width, start, [])
    among = lives(images, batch, width, start, data.draw(st.lists(neighbours, max_size=6), "others"))
    assert_identical(alone, among)


@pytest.mark.parametrize("threads", [1, 2, 8], indirect=True)
@pytest.mark.parametrize("width", [4, 25, 64, 65, 256])
def test_no_bit_depends_on_the_company_at_the_articles_batch(device: str, threads: int, width: int) -> None:
    images = made_up_images(1028 + 376, device)
    alone = lives(images, 1028, width, 0, [])
    crowd = [Neighbour(other, 1e-2, 0, 3, ahead=other != 25) for other in (4, 25, 26, 40, 100, 128, 256)]
    shifting = [
        Neighbour(9, 1e38, 0, 1, ahead=True),
        Neighbour(60, 1e38, 1, 2, ahead=True),
        Neighbour(200, 1e-2, 2, 1, ahead=False),
    ]
    assert_identical(alone, lives(images, 1028, width, 0, crowd))
    assert_identical(alone, lives(images, 1028, width, 0, shifting))


@pytest.mark.parametrize("threads", [1, 2, 8], indirect=True)
@pytest.mark.parametrize(("batch", "left_over"), [(1028, 1), (1027, 3), (21, 1), (40, 24), (257, 167), (5, 1)])
@pytest.mark.parametrize("width", [2, 8, 23, 48])
def test_no_bit_depends_on_the_company_however_the_set_divides(  # fixtures
    device: str, threads: int, batch: int, left_over: int, width: int
) -> None:
    images = made_up_images(batch + left_over, device)
    crowd = [Neighbour(other, 1e-2, other % 2, 2, ahead=other % 3 == 0) for other in (3, 8, 23, 48, 65)]
    assert_identical(lives(images, batch, width, 0, []), lives(images, batch, width, 0, crowd))


def test_the_same_network_twice_is_the_same_to_the_bit(device: str) -> None:
    fleet = Fleet(made_up_images(100, device), ORDER_SEED, batch=32)
    members = [fleet.add(network(25), 1e-2) for _ in range(11)]
    for _ in range(3):
        fleet.train_epoch()
    for member in members[1:]:
        assert_identical(members[0], member)


# The order of an epoch


def test_stored_seeds_keep_their_order() -> None:
    assert epoch_order(10, 0, 0).tolist() == [7, 4, 2, 3, 8, 5, 6, 1, 9, 0]
    assert epoch_order(10, 0, 1).tolist() == [8, 9, 4, 1, 7, 2, 6, 0, 5, 3]


@few
@given(st.integers(0, 200), st.integers(0, 2**53), st.integers(0, 100))
def test_an_epoch_visits_every_sample_once(samples: int, seed: int, epoch: int) -> None:
    order = epoch_order(samples, seed, epoch)
    assert order.sort().values.tolist() == list(range(samples))
    assert torch.equal(order, epoch_order(samples, seed, epoch))


def test_every_epoch_and_every_seed_has_an_order_of_its_own() -> None:
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(20)}
    assert len(orders) == 100


def test_training_leaves_the_global_generator_alone(device: str) -> None:
    before = torch.get_rng_state()
    fleet = Fleet(made_up_images(20, device), ORDER_SEED, batch=20)
    fleet.add(network(25), 1e-2)
    fleet.train_epoch()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_is_replayed_alone_from_the_clock_at_which_it_joined(device: str) -> None:
    images = made_up_images(1028 + 376, device)
    member = lives(images, 1028, 25, 2, [Neighbour(25, 1e-2, 0, 4, ahead=True)])
    fleet = Fleet(images, ORDER_SEED, 1028, clock=member.segments[0].clock)
    again = fleet.add(network(25), member.rule.lr)
    for _ in range(member.epochs_trained):
        fleet.train_epoch()
    assert_identical(member, again)


@pytest.mark.parametrize("width", [7, 25, 64, 65, 256])
def test_a_network_goes_on_in_another_fleet_as_if_it_had_not_been_away(device: str, width: int) -> None:
    images = made_up_images(1028 + 376, device)
    first, second = Fleet(images, ORDER_SEED, 1028), Fleet(images, ORDER_SEED, 1028, clock=7, number=1)
    threads = torch.get_num_threads()
    member = first.add(network(width), 1e-2)
    first.add(network(17), 1e-2)
    second.add(network(100), 1e-3)
    first.train_epoch()
    first.detach(member)
    first.train_epoch()
    second.train_epoch()
    second.attach(member)
    for _ in range(2):
        second.train_epoch()
    assert member.segments == [Segment(0, 0, 1, threads), Segment(1, 8, 2, threads)]

    alone = Fleet(images, ORDER_SEED, 1028)
    stayed = alone.add(network(width), 1e-2)
    for alone.clock in (0, 8, 9):
        alone.train_epoch()
    assert_identical(member, stayed)
