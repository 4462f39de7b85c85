"""What products are in each arithmetic, and which way a fleet is given."""

import itertools

import pytest
import torch

from model.data.samples import Samples
from model.network.arithmetic import BFLOAT16, FLOAT32, ROUNDED, Arithmetic, Precision
from model.network.way import LISTED_FROM, WAYS, choose_way, has_units
from model.rounding import has_amx
from tests.support.rounded import rounded

CPU = torch.device("cpu")
NUMBERS = Samples(torch.rand(4, 3), torch.zeros(4, dtype=torch.int64))
PICTURES = Samples(torch.zeros(4, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("arithmetic", [FLOAT32, BFLOAT16, ROUNDED], ids=["float32", "bfloat16", "rounded"])
def test_a_product_is_that_of_its_factors_in_float64(arithmetic: Arithmetic) -> None:
    """Rounded to 8 bits, all is within 2^-8 of what it should be, and sums in float32 are far nearer."""
    generator = torch.Generator().manual_seed(0)
    left, right, bias = (torch.randn(3, 40, 40, generator=generator) for _ in range(3))
    kept = left.clone(), right.clone()
    rounds = arithmetic is not FLOAT32
    exact = torch.bmm(*(rounded(each).double() if rounds else each.double() for each in (left, right)))
    off = exact.abs() * (2**-8 if rounds else 0) + 1e-4
    out, sums = torch.empty(3, 40, 40), bias[0].clone()
    assert arithmetic.bmm(left, right, out) is out
    assert ((out - exact).abs() <= off).all()
    arithmetic.baddbmm(bias, left, right, out)
    assert ((out - exact - bias).abs() <= off).all()
    found = arithmetic.mm(left[0], right[0])
    assert found.dtype == torch.float32
    assert ((found - exact[0]).abs() <= off[0]).all()
    assert arithmetic.add_mm(sums, left[0], right[0]) is sums
    assert ((sums - exact[0] - bias[0]).abs() <= off[0]).all()
    assert torch.equal(left, kept[0])
    assert torch.equal(right, kept[1])


@pytest.mark.parametrize("arithmetic", [FLOAT32, BFLOAT16], ids=["float32", "bfloat16"])
def test_no_bit_of_a_stack_depends_on_how_many_there_are(arithmetic: Arithmetic, one_thread: None) -> None:
    """Not even where a layer has one output, or a single unit below it: then a product is that of a vector."""
    generator = torch.Generator().manual_seed(1)
    for shape in itertools.product((25, 10, 256, 16, 7, 3, 2, 1), (25, 256, 24, 16, 1), (514, 188, 33, 2)):
        count, inner, columns = shape
        left, bias = torch.randn(9, count, inner, generator=generator), torch.randn(9, count, 1, generator=generator)
        lies = (
            torch.randn(9, inner, columns, generator=generator),
            torch.randn(9, columns, inner, generator=generator).mT,
        )
        for right in lies:
            whole, added = torch.empty(9, count, columns), torch.empty(9, count, columns)
            arithmetic.bmm(left, right, whole)
            arithmetic.baddbmm(bias, left, right, added)
            for part in (slice(0, 1), slice(3, 4), slice(2, 7), slice(8, 9)):
                out = torch.empty_like(whole[part])
                arithmetic.bmm(left[part].clone(), right[part].clone(), out)
                assert torch.equal(out, whole[part]), shape
                arithmetic.baddbmm(bias[part].clone(), left[part].clone(), right[part].clone(), out)
                assert torch.equal(out, added[part]), shape


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_way_follows_the_precision_the_machine_and_the_samples_alone(precision: Precision) -> None:
    name = precision if precision == "float32" or has_units(CPU) else "rounded"
    ways = [choose_way(precision, samples, batch) for samples in (PICTURES, NUMBERS) for batch in (LISTED_FROM, 32)]
    without_the_dark = "all" if precision == "bfloat16" and has_amx() else "lit"
    assert ways == [f"{name} {without_the_dark}", f"{name} all", f"{name} all", f"{name} all"]
    assert set(ways) <= WAYS.keys()


@pytest.mark.parametrize(
    ("has", "ways"),
    [
        ((), ("float32 lit", "rounded lit", "rounded all")),
        (("avx512_bf16",), ("float32 lit", "bfloat16 lit", "bfloat16 all")),
        (("avx512_bf16", "amx_bf16"), ("float32 lit", "bfloat16 all", "bfloat16 all")),
    ],
    ids=["no units", "AVX512_BF16", "AMX"],
)
def test_each_machine_has_its_way(has: tuple[str, ...], ways: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pictures in float32 and in bfloat16, and of numbers in bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(has, True))
    asked: list[tuple[Precision, Samples]] = [("float32", PICTURES), ("bfloat16", PICTURES), ("bfloat16", NUMBERS)]
    assert tuple(choose_way(precision, samples, LISTED_FROM) for precision, samples in asked) == ways
