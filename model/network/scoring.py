"""Where a network trains, when it reports, and how it is scored."""

from dataclasses import dataclass

import torch
from torch import nn

from model.data.mnist import Images
from model.errors import DeviceError
from model.network.first_layer import outputs
from model.network.member import CLASSES
from model.network.mlp import MLP

CHUNK = 2_000  # images scored at once: a fixed shape, so that a score never depends on how it was asked for
BEFORE_SAMPLES = 30  # the article looks at 30 training samples before it trains


@dataclass(frozen=True)
class Score:
    """How a network does on a whole set."""

    accuracy: float  # share of right answers, 0..1
    loss: float  # mean cross-entropy in nats


def choose_device(name: str = "auto") -> torch.device:
    """Return the device asked for, or with "auto" the first there is of CUDA, MPS and the CPU.

    Raises `DeviceError` for a device that torch does not know or that is not here.
    """
    here = _devices()
    if name == "auto":
        return torch.device(here[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    # An index wraps around in torch: to it, cuda:256 is cuda:0.
    wrapped = device is not None and str(device) != name
    if device is None or wrapped or device.type not in here or (device.index or 0) >= _count(device.type):
        raise DeviceError(f"no device {name!r} here; choose from: auto, {', '.join(here)}")
    return device


def describe(device: torch.device) -> str:
    """Return the device in words, with the card's name where it has one."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)


def report_epochs(epochs: int) -> list[int]:
    """Return the epochs at which a trial reports: 1, 3, every tenth as the article prints, and the last."""
    return sorted({step for step in (1, 3, *range(10, epochs, 10)) if step < epochs} | {epochs})


@torch.no_grad()
def evaluate(model: MLP, images: Images) -> Score:
    """Score a network on every image; never a mean of batch accuracies, which a ragged last batch would skew."""
    from torchmetrics.classification import MulticlassAccuracy  # noqa: PLC0415  # see model/__init__.py

    accuracy = MulticlassAccuracy(num_classes=CLASSES, average="micro").to(images.pixels.device)
    loss = torch.zeros((), dtype=torch.float64 if images.pixels.device.type != "mps" else None)
    loss = loss.to(images.pixels.device)
    for start, first in zip(range(0, len(images), CHUNK), outputs(model.input, images, CHUNK), strict=True):
        labels, logits = images.labels[start : start + CHUNK], model.above(first)
        accuracy.update(logits, labels)
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum")
    right = round(accuracy.compute().item() * len(images))  # torchmetrics divides in float32
    return Score(right / len(images), loss.item() / len(images))


def before_training(model: MLP, images: Images) -> Score:
    """Score an untrained network on the first 30 training samples, as the article did."""
    return evaluate(model, Images(images.pixels[:BEFORE_SAMPLES], images.labels[:BEFORE_SAMPLES]))


def _devices() -> list[str]:
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _count(device_type: str) -> int:
    return torch.cuda.device_count() if device_type == "cuda" else 1
