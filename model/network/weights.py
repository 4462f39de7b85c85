"""A trained network as one safetensors file: the tensors of its `state_dict`, and text beside them.

The text is `format` and whatever the caller adds. Reading a file runs no code, unlike a pickle.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from model.errors import WeightsError, first_line

FORMAT = "sweetspot-general-1"
OLDER = "sweetspot-mlp-1"  # of a class of ours, whose layers had names; now they have places in an `nn.Sequential`
PLACES = {"input": "0", "hidden": "2", "output": "4"}


def encode(network: nn.Module, **notes: str) -> bytes:
    """Return the weights and buffers of a network as the bytes of a safetensors file, with `notes` beside them."""
    return to_bytes(_tensors(network), {**notes, "format": FORMAT})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, on the CPU, and the text that lies beside them.

    Raises `WeightsError` for a file that is missing, cut short, or not one of ours.
    """
    with _refused(path), safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
        notes = dict(file.metadata() or {})
        if notes.get("format") == OLDER:
            return {_placed(name): tensor for name, tensor in tensors.items()}, notes
        if notes.get("format") != FORMAT:
            raise ValueError(f"its format is {notes.get('format')!r}, not {FORMAT!r}")
        return tensors, notes


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


def _placed(name: str) -> str:
    layer, _, kind = name.partition(".")
    return f"{PLACES[layer]}.{kind}"


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
