"""The first layer's products are those of plain matrices, and a column of them depends on nothing but itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model.data.samples import OFTEN, PART, Parts, Samples
from model.network.first_layer import NARROWEST, Dense, Sparse, outputs, products
from model.network.member import INPUTS
from model.network.way import WAYS
from tests.support.rounded import rounded

some = settings(max_examples=25, deadline=None, derandomize=True)
WIDEST = 512  # columns: on a CPU, of a single network or of those that share a panel, far more than there are
LIT_ALONE = WAYS["float32 lit"]
LIT = st.sampled_from([0.0, 0.001, 0.2, 0.5, 1.0])


def images(n: int, share: float, seed: int) -> Samples:
    generator = torch.Generator().manual_seed(seed)
    bright = torch.randint(1, 256, (n, INPUTS), generator=generator, dtype=torch.uint8)
    return Samples(bright * (torch.rand(n, INPUTS, generator=generator) < share), torch.zeros(n, dtype=torch.int64))


def inputs(some_images: Samples, index: Tensor) -> Tensor:
    """The same in plain words: brightness in 0..1, and a one for the bias."""
    return torch.cat([some_images.pixels[index].double() / 255, torch.ones(len(index), 1)], 1)


@some
@given(st.integers(1, 40), LIT, st.integers(1, 200), st.integers(0, 10), st.sampled_from(sorted(WAYS)))
def test_the_products_are_those_of_plain_matrices(n: int, share: float, width: int, seed: int, name: str) -> None:
    """In bfloat16 of rounded factors, and what is a product and not a sum of rows may be a last digit of 8 bits off."""
    found, generator = images(n, share, seed), torch.Generator().manual_seed(seed)
    index = torch.randperm(n, generator=generator)[: max(1, n // 2)]
    way, rounds = WAYS[name], not name.startswith("float32")
    ours = products(found, index, way)
    assert isinstance(ours, Sparse if way.lit_alone else Dense)
    weights = torch.randn(INPUTS + 1, width, generator=generator)
    gradient = torch.randn(len(index), width, generator=generator)
    plain = inputs(found, index).float()
    x, w, g = (rounded(each).double() if rounds else each.double() for each in (plain, weights, gradient))
    multiplied = torch.zeros(INPUTS + 1, 1, dtype=torch.float64)
    multiplied[found.lit.where if way.lit_alone else slice(None)] = 2**-8 if rounds else 1e-4
    close(ours.of_weights(weights), x @ w, (x @ (w * multiplied)).abs())
    close(ours.of_gradient(gradient), x.T @ g, (x.T @ g * multiplied).abs())


def close(found: Tensor, wanted: Tensor, off: Tensor) -> None:
    assert found.dtype == torch.float32
    assert (found - wanted).abs().sub(off).max() < 1e-4


@some
@given(st.integers(1, 40), LIT, st.integers(1, 260), st.integers(1, 45), st.integers(0, 10))
def test_a_first_layers_outputs_are_those_of_the_layer(n: int, share: float, width: int, chunk: int, seed: int) -> None:
    found = images(n, share, seed)
    layer = nn.Linear(INPUTS, width)
    with torch.no_grad():
        parts = list(outputs(layer, found, chunk))
        assert [len(part) for part in parts[:-1]] == [chunk] * (len(parts) - 1)
        plain = layer.double()(found.pixels.double() / 255)
    torch.testing.assert_close(torch.cat(parts).double(), plain, atol=1e-4, rtol=1e-4)


@some
@given(st.integers(1, 40), LIT, st.integers(0, 10))
def test_images_are_whole_in_what_is_often_lit_and_what_seldom_is(n: int, share: float, seed: int) -> None:
    found = images(n, share, seed)
    lit, whole = found.lit, torch.from_numpy(found.lit.seldom.toarray())
    assert not whole[:, lit.where].any()
    whole[:, lit.where] = lit.often
    assert torch.equal(whole[:, :INPUTS], found.pixels)
    assert whole[:, INPUTS].eq(255).all()
    shares = (whole > 0).double().mean(0)
    assert torch.equal((shares > OFTEN).nonzero().flatten(), lit.where)


def test_rounded_inputs_are_those_of_each_sample_and_a_one() -> None:
    found = images(PART + 3, 0.2, 0)  # more than are made at once
    made = found.rounded
    assert made.dtype == torch.bfloat16
    assert torch.equal(made.float(), rounded(inputs(found, torch.arange(len(found))).float()))
    assert found.rounded is made


@pytest.mark.parametrize("name", WAYS)
def test_no_bit_of_a_column_depends_on_the_others_or_on_its_place(mnist: Parts, one_thread: None, name: str) -> None:
    ours = products(mnist.train, torch.arange(1028), WAYS[name])
    generator = torch.Generator().manual_seed(1)
    for table, product in (
        (torch.randn(INPUTS + 1, WIDEST, generator=generator), ours.of_weights),
        (torch.randn(1028, WIDEST, generator=generator), ours.of_gradient),
    ):
        whole = product(table)
        for start, stop in ((0, NARROWEST), (4, 32), (8, 92), (28, 156), (76, 96), (20, 272), (108, WIDEST)):
            assert torch.equal(product(table[:, start:stop].contiguous()), whole[:, start:stop])


def test_a_column_that_diverged_touches_no_other() -> None:
    found = images(40, 0.2, 0)
    table = torch.randn(INPUTS + 1, 8)
    before = products(found, torch.arange(40), LIT_ALONE).of_weights(table)
    table[:, 3] = float("nan")
    after = products(found, torch.arange(40), LIT_ALONE).of_weights(table)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert torch.equal(after[:, others], before[:, others])
    assert after[:, 3].isnan().all()
