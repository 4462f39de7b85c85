"""What a search says of its precision, and how it looks which is faster here."""

import pytest
import torch

from model.data.samples import Samples
from model.fleet.family import Family
from model.fleet.speed import bfloat16_gain
from model.network.arithmetic import Precision
from search.results.precision import largest, precision_text, slower_text
from studies.sweet_spot import sweet_spot
from tests.model.test_general import CLASSES, INPUTS, cnn


@pytest.mark.parametrize(
    ("precision", "gain", "said"),
    [
        ("float32", None, ""),
        ("float32", 1.49, ""),
        ("float32", 1.72, " (a new study by --precision bfloat16 would train its largest networks 1.7 x as fast here)"),
        ("bfloat16", 0.7, ""),
        ("bfloat16", 0.5, " (a new study by --precision float32 would train its largest networks 2.0 x as fast here)"),
        ("bfloat16", 3.0, ""),
    ],
)
def test_the_other_precision_is_named_where_it_is_much_faster(precision: Precision, gain: float, said: str) -> None:
    assert precision_text(precision, gain) == precision + said


@pytest.mark.parametrize(
    ("precision", "gain", "has_units", "said"),
    [
        ("bfloat16", 0.8, True, "bfloat16 is slower than float32 here: the largest networks take 1.25 x as long"),
        ("bfloat16", None, False, "bfloat16 is no faster than float32 here: this machine has no units for it"),
        ("bfloat16", None, True, None),
        ("bfloat16", 1.2, False, None),
        ("float32", 0.8, False, None),
    ],
)
def test_who_asks_for_the_slower_one_is_told(
    precision: Precision, gain: float | None, has_units: bool, said: str | None
) -> None:
    assert slower_text(precision, gain, has_units) == said


def test_the_largest_network_is_the_baseline_with_whole_numbers_at_their_highest() -> None:
    assert largest(sweet_spot()) == {"hidden_units": 256, "lr": 0.02}


def test_a_look_trains_any_network_in_both_and_changes_nothing() -> None:
    samples, state = Samples(torch.rand(64, INPUTS), torch.arange(64) % CLASSES), torch.get_rng_state()
    gain = bfloat16_gain(Family(cnn, INPUTS, CLASSES), {"units": 4, "lr": 0.01}, samples, 32)
    assert gain is None or gain > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_is_known_of_a_network_that_takes_too_long() -> None:
    samples = Samples(torch.rand(1028, 784), torch.arange(1028) % 10)
    assert bfloat16_gain(sweet_spot().family, {"hidden_units": 2_000, "lr": 0.01}, samples, 1028) is None


def test_nothing_is_known_of_a_network_that_cannot_be_built() -> None:
    samples = Samples(torch.rand(64, INPUTS), torch.arange(64) % CLASSES)
    assert bfloat16_gain(Family(cnn, INPUTS, CLASSES), {"units": -1, "lr": 0.01}, samples, 32) is None
