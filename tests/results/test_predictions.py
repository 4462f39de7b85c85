"""What a picture of predictions, mistakes or filters shows, as the text and the images in it tell."""

from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from torch import nn

from benchmarks.faults import as_mnist
from model.data.samples import Parts, Samples
from search.results.predictions import filters_grid, mistakes_grid, prediction_grid


@pytest.fixture(autouse=True)
def readable() -> None:
    """Let SVG keep text as text."""
    mpl.rcParams["svg.fonttype"] = "none"


def says(digit: int) -> nn.Module:
    network = nn.Linear(784, 10)
    with torch.no_grad():
        network.weight.zero_()
        network.bias.copy_(torch.eye(10)[digit])
    return network


def data(labels: list[int]) -> Parts:
    samples = Samples(torch.zeros(len(labels), 784, dtype=torch.uint8), torch.tensor(labels))
    return as_mnist(Parts(samples, samples, lambda: samples, lambda: samples))


def test_the_first_six_are_shown_with_what_was_said_and_what_is_true(tmp_path: Path) -> None:
    path = tmp_path / "grid.svg"
    prediction_grid(says(3), data([3, 1, 4, 1, 5, 9, 2]), "test", path)
    text = path.read_text(encoding="utf-8")
    assert [text.count(f"Pred: 3 / True: {digit}") for digit in range(10)] == [0, 2, 0, 1, 1, 1, 0, 0, 0, 1]


def test_the_first_twelve_mistakes_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    path, labels = tmp_path / "mistakes.svg", [3, *[1] * 11, 3, 4, *[5] * 2500]
    assert mistakes_grid(says(3), data(labels), "test", path, "trial 7")
    text = path.read_text(encoding="utf-8")
    assert "trial 7: wrong on 2512 of 2,514" in text
    assert [text.count(f"Pred: 3 / True: {digit}") for digit in (1, 3, 4, 5)] == [11, 0, 1, 0]


def test_of_a_network_without_mistakes_there_is_no_picture(tmp_path: Path) -> None:
    assert not mistakes_grid(says(3), data([3, 3, 3]), "validation", tmp_path / "none.svg", "trial 7")
    assert not (tmp_path / "none.svg").exists()


@pytest.mark.parametrize("filters", [1, 8, 11])
def test_a_filter_of_the_first_convolution_is_a_picture(filters: int, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, filters, 3), nn.Conv2d(filters, 2, 5))
    assert filters_grid(network, tmp_path / "filters.svg", "trial 7")
    assert (tmp_path / "filters.svg").read_text(encoding="utf-8").count("<image") == filters


def test_a_network_without_a_convolution_has_none(tmp_path: Path) -> None:
    assert not filters_grid(says(3), tmp_path / "filters.svg", "trial 7")
