"""A trained network as one safetensors file: its weights, and all that is needed to use them.

The file carries text beside the tensors: `format`, the network's `config`, the `normalisation` its pixels need, and
whatever the caller adds. Reading it runs no code, unlike a pickle.
"""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from model.errors import WeightsError, first_line
from model.network.mlp import MLP, MLPConfig

FORMAT = "sweetspot-mlp-1"
NORMALISATION = {"pixels": "0 is background, 255 is ink", "divide_by": 255}
"""What a network expects: the article scales to 0..1 and does nothing else."""


def encode(model: MLP, **notes: str) -> bytes:
    """Return a network as the bytes of a safetensors file, with `notes` beside what is always there."""
    always = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config)),
        "normalisation": json.dumps(NORMALISATION),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return to_bytes(tensors, {**notes, **always})


def save(model: MLP, path: Path, **notes: str) -> None:
    """Write a network to a file. Raises `OSError`."""
    write(path, encode(model, **notes))


def load(path: Path) -> tuple[MLP, dict[str, str]]:
    """Return the network in a file, on the CPU, and the text that lies beside it.

    Raises `WeightsError` for a file that is missing, cut short, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
        return _network(notes, tensors), notes
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path} holds no weights of ours ({first_line(error)}); train them again") from error


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


def _network(notes: Mapping[str, str], tensors: Mapping[str, Tensor]) -> MLP:
    if notes.get("format") != FORMAT:
        raise ValueError(f"its format is {notes.get('format')!r}, not {FORMAT!r}")
    if json.loads(notes["normalisation"]) != NORMALISATION:
        raise ValueError("it wants another normalisation")
    with torch.device("meta"):  # no draw from the global generator, and no memory before the shapes are checked
        model = MLP(MLPConfig(**json.loads(notes["config"])))
    model.load_state_dict(dict(tensors), assign=True)
    return model.requires_grad_(False)
