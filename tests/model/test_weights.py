"""Weights survive a file to the bit, and a file that is not right is refused in one line."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from model.errors import NetworkError, WeightsError
from model.fleet.family import Family
from model.generator import seeded
from model.network.weights import FORMAT, OLDER, encode, read, write


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


FAMILY = Family(network, 784, 10)


def made(width: int, seed: int) -> nn.Module:
    with seeded(seed):
        return network(width)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    write(path, encode(made(25, 7), trial="12"))
    return path


@given(width=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_round_trip_keeps_every_bit(tmp_path_factory, width, seed):
    path = tmp_path_factory.mktemp("round") / "w.safetensors"
    model = made(width, seed)
    write(path, encode(model))
    loaded = FAMILY.restored({"width": width}, read(path)[0])
    for own, other in zip(model.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(own, other)
        assert own.dtype == other.dtype


def test_what_was_written_under_names_of_layers_is_read(tmp_path):
    path = tmp_path / "w.safetensors"
    model = made(4, 1)
    names = {"0": "input", "2": "hidden", "4": "output"}
    state = {f"{names[name[0]]}{name[1:]}": value for name, value in model.state_dict().items()}
    save_file(state, path, {"format": OLDER})
    loaded = FAMILY.restored({"width": 4}, read(path)[0])
    assert all(map(torch.equal, loaded.parameters(), model.parameters()))


def test_notes_lie_beside_the_weights_and_cannot_overwrite_the_format(saved):
    notes = read(saved)[1]
    assert (notes["format"], notes["trial"]) == (FORMAT, "12")
    assert encode(made(4, 0), format="mine").count(FORMAT.encode()) == 1


def test_loading_draws_nothing_from_the_global_generator(saved):
    before = torch.random.get_rng_state()
    FAMILY.restored({"width": 25}, read(saved)[0])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match=r"holds no weights of ours \(.+\); train them again") as caught:
        read(saved)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        read(tmp_path / "none.safetensors")


@pytest.mark.parametrize("notes", [None, {"format": "mine"}])
def test_somebody_elses_weights_are_refused(tmp_path, notes):
    path = tmp_path / "other.safetensors"
    save_file({"input.weight": torch.zeros(3, 3)}, path, notes)
    with pytest.raises(WeightsError, match="its format is"):
        read(path)


@pytest.mark.parametrize("format", [FORMAT, OLDER])
def test_other_tensors_than_the_networks_are_refused(tmp_path, format):
    path = tmp_path / "w.safetensors"
    save_file({"stranger.weight": torch.zeros(25, 784)}, path, {"format": format})
    with pytest.raises((WeightsError, NetworkError)):
        FAMILY.restored({"width": 25}, read(path)[0])


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "w"
    target.mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(OSError, match="w"):
        write(target, b"new")
    assert os.listdir(tmp_path) == ["w"]
