"""The built-in studies in `studies/built_in` can be trained, and are about the networks that they say."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.data.dataset import Dataset, open_dataset
from studies.check import check_study_file
from studies.file import StudyFile, read_study
from studies.search_spec import family_of, search_spec

DIRECTORY = Path(__file__).parents[2] / "studies" / "built_in"
NAMES = ("architectures", "augmentation", "cnn", "dropout")
ARTICLE = 20_535  # parameters of the article's network


@pytest.fixture(scope="module")
def data(mnist_dir: Path) -> Dataset:
    return open_dataset("mnist", "cpu", mnist_dir)


def read(name: str) -> StudyFile:
    return read_study(DIRECTORY / f"{name}.py")


def size(file: StudyFile, data: Dataset, params: Any) -> int:
    family = family_of(file, data)
    return family.parameters(family.build(params, 0))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_trained_and_has_the_articles_network_for_a_baseline(name: str, data: Dataset) -> None:
    file = read(name)
    check_study_file(file, data, torch.device("cpu"))
    assert size(file, data, file.study.baseline) == ARTICLE
    assert file.study.baseline["lr"] == 0.02
    assert (file.study.batch, file.study.data, file.study.question[-1]) == (1028, "mnist", "?")
    stated = search_spec(file, data, name)
    assert stated.asked is not None
    assert len(stated.asked.claims) == len(file.study.claims)
    assert "test" not in vars(data)


def test_the_other_shapes_have_at_most_as_many_parameters(data: Dataset) -> None:
    file = read("architectures")
    sizes = [size(file, data, file.study.baseline | dict(other)) for other in file.study.claims[0].others]  # type: ignore[attr-defined, operator]
    assert all(ARTICLE - 700 < each <= ARTICLE for each in sizes)


def test_the_small_cnn_has_at_most_as_many_parameters_as_the_articles_network(data: Dataset) -> None:
    file = read("cnn")
    same_time = next(claim for claim in file.study.claims if claim.id == "same-time")
    small, wide = (dict(setting) for setting in same_time.settings())
    assert size(file, data, small) == 19_146 <= ARTICLE < size(file, data, {"convolutions": 0, **wide})
