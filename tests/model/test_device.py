"""Which card a worker has, for machines with as many cards as a test says; and on real ones where there are some."""

import pytest
import torch

from model.data.samples import Samples
from model.device import choose_device, describe, devices_of
from model.errors import DeviceError
from model.fleet.fleet import Fleet
from studies.sweet_spot import article_network

several_cards = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no second card here")


@pytest.mark.parametrize(("name", "cards"), [("cuda:2", 2), ("cuda:1", 1), ("cuda:0", 0), ("cuda:01", 2), ("cuda:", 2)])
def test_a_card_that_is_not_here_is_refused_by_naming_those_there_are(name: str, cards: int) -> None:
    with pytest.raises(DeviceError) as refused:
        choose_device(name, cards)
    here = ", ".join(["auto", *(f"cuda:{index}" for index in range(cards))])
    assert str(refused.value).startswith(f"no device {name!r} here; choose from: {here}, ")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["cuda:0,cuda:1", "cuda:1,cuda:9", "cuda,cpu"])
def test_several_cards_for_one_worker_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(DeviceError, match="one worker trains on one device, not on"):
        choose_device(name, 2)


@pytest.mark.parametrize(
    ("name", "cards", "chosen"), [("auto", 2, "cuda"), ("cuda", 2, "cuda"), ("cuda:1", 2, "cuda:1")]
)
def test_a_card_that_is_here_is_chosen(name: str, cards: int, chosen: str) -> None:
    assert choose_device(name, cards) == torch.device(chosen)


@pytest.mark.parametrize(
    ("device", "workers", "cards", "devices"),
    [
        ("cuda", 1, 3, ["cuda:0"]),
        ("cuda", 3, 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 5, 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]),
        ("cuda", None, 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 2, 3, ["cuda:1", "cuda:1"]),  # as it was asked for
        ("cuda:1", None, 3, ["cuda:1"]),
        ("cpu", 2, 3, ["cpu", "cpu"]),
        ("cpu", None, 0, ["cpu"]),
    ],
)
def test_each_worker_has_a_card_of_its_own_while_there_are_any(
    device: str, workers: int | None, cards: int, devices: list[str]
) -> None:
    assert devices_of(torch.device(device), workers, cards) == devices


@several_cards
def test_a_network_has_the_same_bits_on_another_card_of_the_same_kind() -> None:
    if len({describe(torch.device(f"cuda:{index}")).partition(" ")[2] for index in range(2)}) > 1:
        pytest.skip("the first two cards are of two kinds")
    generator, losses = torch.Generator().manual_seed(0), []
    pixels = torch.randint(0, 256, (2056, 784), dtype=torch.uint8, generator=generator)
    targets = torch.randint(0, 10, (2056,), generator=generator)
    for index in range(2):
        device = choose_device(f"cuda:{index}")
        fleet = Fleet(Samples(pixels.to(device), targets.to(device)), 0)
        member = fleet.add(article_network(25, 1).to(device), 0.01)
        for _ in range(3):
            fleet.train_epoch()
        losses.append(member.loss)
    assert losses[0] == losses[1]
