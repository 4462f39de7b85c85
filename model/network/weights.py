"""A trained network as one safetensors file: its weights, and all that is needed to use them.

The file carries text beside the tensors: `format`, the network's `config`, the `normalisation` its pixels need, and
whatever the caller adds. Reading it runs no code, unlike a pickle.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from model.errors import WeightsError, first_line
from model.network.mlp import MLP, MLPConfig

FORMAT = "sweetspot-mlp-1"
GENERAL = "sweetspot-general-1"  # of any network: tensors by the names of its state_dict
NORMALISATION = {"pixels": "0 is background, 255 is ink", "divide_by": 255}
"""What a network expects: the article scales to 0..1 and does nothing else."""


def encode(model: MLP, **notes: str) -> bytes:
    """Return a network as the bytes of a safetensors file, with `notes` beside what is always there."""
    always = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "normalisation": json.dumps(NORMALISATION),
    }
    return to_bytes(_tensors(model), {**notes, **always})


def encode_state(network: nn.Module, **notes: str) -> bytes:
    """Return the weights and buffers of any network as the bytes of a safetensors file, with `notes` beside them."""
    return to_bytes(_tensors(network), {**notes, "format": GENERAL})


def save(model: MLP, path: Path, **notes: str) -> None:
    """Write a network to a file. Raises `OSError`."""
    write(path, encode(model, **notes))


def save_state(network: nn.Module, path: Path, **notes: str) -> None:
    """Write the weights and buffers of any network to a file. Raises `OSError`."""
    write(path, encode_state(network, **notes))


def load(path: Path) -> tuple[MLP, dict[str, str]]:
    """Return the network in a file, on the CPU, and the text that lies beside it.

    Raises `WeightsError` for a file that is missing, cut short, or not one of ours.
    """
    tensors, notes = read(path)
    with _refused(path):
        return _network(notes, tensors), notes


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, on the CPU, and the text that lies beside them. Raises `WeightsError`."""
    with _refused(path), safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
        return tensors, dict(file.metadata() or {})


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whenever the process is killed. Raises `OSError`."""
    scratch = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with open(scratch, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path} holds no weights of ours ({first_line(error)}); train them again") from error


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return copies, since a file holds no two that share memory, as tied weights do."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }


def _network(notes: Mapping[str, str], tensors: Mapping[str, Tensor]) -> MLP:
    if notes.get("format") != FORMAT:
        raise ValueError(f"its format is {notes.get('format')!r}, not {FORMAT!r}")
    if json.loads(notes["normalisation"]) != NORMALISATION:
        raise ValueError("it wants another normalisation")
    with torch.device("meta"):  # no draw from the global generator, and no memory before the shapes are checked
        model = MLP(MLPConfig(**json.loads(notes["config"])))
    model.load_state_dict(dict(tensors), assign=True)
    return model.requires_grad_(False)
