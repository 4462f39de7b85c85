"""Which networks are plain MLPs, and how their masks are drawn."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from model.network.dropout import Noise, cut, threshold
from model.network.plain import PlainMLP, linear_layers, recognised
from studies.sweet_spot import article_network
from tests.support.cards import needs_cuda


def chain(*between: nn.Module, inputs: int = 8, width: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), *between, nn.Linear(width, 3))


def hooked() -> nn.Module:
    network = chain(nn.ReLU())
    network[0].register_forward_hook(lambda *_: None)
    return network


def frozen() -> nn.Module:
    network = chain(nn.ReLU())
    network[2].weight.requires_grad_(False)
    return network


def with_a_buffer() -> nn.Module:
    network = chain(nn.ReLU())
    network.register_buffer("more", torch.zeros(1))
    return network


def shared() -> nn.Module:
    layer = nn.Linear(5, 5)
    return nn.Sequential(nn.Linear(8, 5), nn.ReLU(), layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(5, 3))


class Own(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (article_network(7, 0), PlainMLP(784, (7, 7), 10, "relu", (0.0, 0.0))),
        (chain(nn.ReLU(inplace=True)), PlainMLP(8, (5,), 3, "relu", (0.0,))),
        (chain(nn.GELU()), PlainMLP(8, (5,), 3, "gelu", (0.0,))),
        (chain(nn.SiLU(), nn.Dropout(0.25)), PlainMLP(8, (5,), 3, "silu", (0.25,))),
        (nn.Sequential(nn.Flatten(), chain(nn.Identity(), nn.Tanh())), PlainMLP(8, (5,), 3, "tanh", (0.0,))),
        (
            nn.Sequential(
                nn.Sequential(nn.Linear(8, 4), nn.ReLU()),
                nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5)),
                nn.Linear(6, 2),
            ),
            PlainMLP(8, (4, 6), 2, "relu", (0.0, 0.5)),
        ),
    ],
)
def test_a_plain_mlp_is_recognised_however_it_is_nested(network: nn.Module, found: PlainMLP) -> None:
    assert recognised(network) == found
    assert found.parameters == sum(weight.numel() for weight in network.parameters())
    assert [layer.in_features for layer in linear_layers(network)] == [*found.widths[:-1]]
    assert found.flops == 2 * sum((2 + (n > 0)) * a * b for n, (a, b) in enumerate(pairwise(found.widths)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(8, 3),
        lambda: nn.Sequential(nn.Linear(8, 3)),
        chain,
        lambda: chain(nn.ReLU(), nn.ReLU()),
        lambda: chain(nn.Dropout(0.1), nn.ReLU()),
        lambda: chain(nn.ReLU(), nn.Dropout(0.1), nn.Dropout(0.1)),
        lambda: chain(nn.ReLU(), nn.Dropout(1.0)),
        lambda: chain(nn.GELU(approximate="tanh")),
        lambda: chain(nn.LeakyReLU()),
        lambda: chain(nn.BatchNorm1d(5), nn.ReLU()),
        lambda: nn.Sequential(nn.Dropout(0.1), *chain(nn.ReLU())),
        lambda: nn.Sequential(*chain(nn.ReLU()), nn.Softmax(1)),
        lambda: nn.Sequential(*chain(nn.ReLU()), nn.ReLU()),
        lambda: nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)),
        lambda: nn.Sequential(nn.Linear(8, 5, bias=False), nn.ReLU(), nn.Linear(5, 3)),
        lambda: chain(nn.ReLU()).double(),
        lambda: Own(*chain(nn.ReLU())),
        lambda: nn.Sequential(weight_norm(nn.Linear(8, 5)), nn.ReLU(), nn.Linear(5, 3)),
        hooked,
        frozen,
        with_a_buffer,
        shared,
    ],
)
def test_what_is_more_or_other_than_a_plain_mlp_is_not_taken_for_one(make: Callable[[], nn.Module]) -> None:
    assert recognised(make()) is None


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
@pytest.mark.parametrize("rate", [1e-6, 0.1, 0.25, 0.4990234375, 0.5, 0.501, 0.75, 0.99])
def test_a_mask_drops_its_share_and_keeps_all_else(rate: float, device: str) -> None:
    n = 1_000_000
    (noise,) = Noise(torch.Generator(device).manual_seed(3), [n]).draw(1)
    values, out = torch.full((n,), 2.0, device=device), torch.empty(n, device=device)
    cut(values, noise.view(-1), threshold(rate), out)
    assert set(out.unique().tolist()) <= {0.0, 2.0}
    dropped = (out == 0).double().mean().item()
    assert abs(dropped - rate) < 5 * (rate * (1 - rate) / n) ** 0.5
    assert torch.equal(out == 0, noise.view(-1) <= threshold(rate))


def test_noise_is_its_generators_and_the_same_for_any_layout_of_layers() -> None:
    one, other = (Noise(torch.Generator().manual_seed(5), widths) for widths in ([3, 0, 4], [7]))
    first, none, last = one.draw(10)
    assert (first.shape, none.shape, last.shape) == ((10, 3), (0, 10), (4, 10))
    (whole,) = other.draw(10)
    assert torch.equal(
        torch.cat([first.flatten(), last.flatten()]).view(torch.int32), whole.flatten().view(torch.int32)
    )
    before = first.clone().view(torch.int32)
    assert not torch.equal(one.draw(10)[0].view(torch.int32), before)
