"""Which device trains: CUDA, MPS or the CPU."""

import torch

from model.errors import DeviceError


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


def _devices() -> list[str]:
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _count(device_type: str) -> int:
    return torch.cuda.device_count() if device_type == "cuda" else 1
