"""Which device trains: one of CUDA's cards, MPS or the CPU; and which card each of several workers has."""

import torch

from model.errors import DeviceError


def choose_device(name: str = "auto", cards: int | None = None) -> torch.device:
    """Return the device asked for, or with "auto" the first there is of CUDA, MPS and the CPU.

    `cards` is how many of CUDA's there are, None for those of this machine. Raises `DeviceError` for several devices,
    and for one that torch does not know or that is not here.
    """
    here = _devices(_cards() if cards is None else cards)
    if name == "auto":
        return torch.device(here[0].partition(":")[0])
    if "," in name:
        raise DeviceError(
            f"one worker trains on one device, not on {name!r}: --workers auto gives each card a worker of its own, of "
            "the cards that CUDA_VISIBLE_DEVICES names"
        )
    kinds = {each.partition(":")[0] for each in here}
    if name not in {*here, *kinds, *(f"{kind}:0" for kind in kinds)}:
        raise DeviceError(f"no device {name!r} here; choose from: auto, {', '.join(here)}")
    return torch.device(name)


def devices_of(device: torch.device, workers: int | None, cards: int | None = None) -> list[str]:
    """Return the device of each of so many workers: of CUDA the cards in turn, unless one is asked for by its number.

    With `workers` None there is one for each card, or a single one where there is no choice of cards. `cards` is as in
    `choose_device`.
    """
    choice = [str(device)]
    if device.type == "cuda" and device.index is None:
        choice = [f"cuda:{index}" for index in range(_cards() if cards is None else cards)]
    count = len(choice) if workers is None else workers
    return [choice[worker % len(choice)] for worker in range(count)]


def describe(device: torch.device) -> str:
    """Return the device in words, with the card's name where it has one."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)


def _devices(cards: int) -> list[str]:
    found = [f"cuda:{index}" for index in range(cards)]
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _cards() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
