"""What a minibatch leaves out is nothing but products with zero."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.lane import INPUTS
from model.pixels import BIAS, COLUMNS, DARK, MOST, lit

some = settings(max_examples=25, deadline=None, derandomize=True)


@some
@given(st.integers(1, 40), st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0]), st.integers(0, 10))
def test_the_columns_are_the_lit_pixels_the_bias_and_dark_ones(images: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pixels = (torch.rand(images, INPUTS, generator=generator) < share).to(torch.uint8) * 255
    columns = lit(pixels)
    wanted = [pixel for pixel in range(INPUTS) if pixels[:, pixel].any()]
    n, k = len(wanted), len(columns.of_inputs)
    assert columns.of_inputs.tolist() == [*wanted, BIAS, *[DARK] * (k - n - 1)]
    assert k % COLUMNS == 0
    assert n + 2 <= k <= min(MOST, n + 1 + COLUMNS)
    assert columns.of_weights.max() <= BIAS


@some
@given(st.integers(1, 20), st.sampled_from([0.0, 0.01, 0.5]), st.integers(0, 10))
def test_products_over_these_columns_are_those_over_all(images: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pixels = (torch.rand(images, INPUTS, generator=generator) < share).to(torch.uint8)
    inputs = torch.cat([pixels.double(), torch.ones(images, 1), torch.zeros(images, 1)], 1)
    weights = torch.randn(3, INPUTS + 1, dtype=torch.float64, generator=generator)
    gradient = torch.randn(3, images, dtype=torch.float64, generator=generator)
    columns = lit(pixels)
    few = inputs[:, columns.of_inputs]
    torch.testing.assert_close(weights[:, columns.of_weights] @ few.T, weights @ inputs[:, :-1].T)
    torch.testing.assert_close((gradient @ few)[:, columns.back], gradient @ inputs[:, :-1])
