"""Weights survive a file to the bit, and a file that is not right is refused in one line."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from model.errors import WeightsError
from model.network.mlp import MLPConfig, initialised
from model.network.weights import FORMAT, encode, load, save, write


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save(initialised(MLPConfig(25), 7), path, trial="12")
    return path


@given(width=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_round_trip_keeps_every_bit(tmp_path_factory, width, seed):
    path = tmp_path_factory.mktemp("round") / "w.safetensors"
    model = initialised(MLPConfig(width), seed)
    save(model, path)
    loaded, _ = load(path)
    assert loaded.config == model.config
    for own, other in zip(model.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(own, other)
        assert own.dtype == other.dtype


def test_the_text_beside_the_weights_says_how_to_use_them(saved):
    _, notes = load(saved)
    assert notes["format"] == FORMAT
    assert notes["trial"] == "12"
    assert '"divide_by": 255' in notes["normalisation"]
    assert '"hidden_units": 25' in notes["config"]


def test_notes_cannot_overwrite_what_is_always_there():
    assert encode(initialised(MLPConfig(4), 0), format="mine").count(FORMAT.encode()) == 1


def test_loading_draws_nothing_from_the_global_generator(saved):
    before = torch.random.get_rng_state()
    load(saved)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match=r"holds no weights of ours \(.+\); train them again") as caught:
        load(saved)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        load(tmp_path / "none.safetensors")


def test_somebody_elses_weights_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"input.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsError, match="its format is None"):
        load(path)


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        ('{"hidden_units": 26, "inputs": 784, "classes": 10}', None),  # other shapes than the tensors'
        ('{"width": 25}', None),
        ("not JSON", None),
        ('{"hidden_units": 25, "inputs": 784, "classes": 10}', {"input.weight": torch.zeros(25, 784)}),
    ],
)
def test_a_config_that_does_not_fit_is_refused(tmp_path, config, tensors):
    path = tmp_path / "w.safetensors"
    state = tensors or dict(initialised(MLPConfig(25), 0).state_dict())
    normalisation = '{"pixels": "0 is background, 255 is ink", "divide_by": 255}'
    save_file(state, path, {"format": FORMAT, "normalisation": normalisation, "config": config})
    with pytest.raises(WeightsError):
        load(path)


def test_another_normalisation_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    state = dict(initialised(MLPConfig(4), 0).state_dict())
    save_file(state, path, {"format": FORMAT, "normalisation": '{"mean": 0.1307}', "config": '{"hidden_units": 4}'})
    with pytest.raises(WeightsError, match="another normalisation"):
        load(path)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "w"
    target.mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(OSError, match="w"):
        write(target, b"new")
    assert os.listdir(tmp_path) == ["w"]
