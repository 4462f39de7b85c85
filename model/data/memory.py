"""Is there room for the data? Asked before anything large is read or made."""

from pathlib import Path

import psutil
import torch

from model.errors import OwnDataError

CGROUPS = Path("/sys/fs/cgroup")


def refuse_too_large(what: str, needed: int, device: torch.device | str = "cpu") -> None:
    """Raise `OwnDataError` with both sizes if `needed` bytes are more than what is free on the device."""
    free = free_bytes(torch.device(device))
    if needed > free:
        sizes = f"{in_words(needed)} are needed and {in_words(free)} free on {device}"
        raise OwnDataError(
            f"{what} is too large for the memory: {sizes}; give fewer rows or columns, or smaller pictures"
        )


def free_bytes(device: torch.device) -> int:
    """Return how many bytes can be taken on the device; on a CPU without swapping, within the control group's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([int(psutil.virtual_memory().available), *_limits()])


def in_words(size: int) -> str:
    """Return a size in the largest unit that leaves a figure above 1."""
    for unit, bytes_of_it in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size >= bytes_of_it:
            return f"{size / bytes_of_it:.3g} {unit}"
    return f"{size} bytes"


def _limits() -> list[int]:
    """Return what the control groups of this process have left, as containers and Slurm set them on Linux."""
    own = _text(Path("/proc/self/cgroup")).rpartition("0::/")[2].strip()
    return [left for group in {CGROUPS, CGROUPS / own} if (left := left_in(group)) is not None]


def left_in(group: Path) -> int | None:
    """Return the bytes that a control group (version 2) has left; None where it has no limit."""
    limit, used = _text(group / "memory.max").strip(), _text(group / "memory.current").strip()
    if not limit.isdecimal() or not used.isdecimal():
        return None  # "max", or no such file
    files = next((line for line in _text(group / "memory.stat").splitlines() if line.startswith("inactive_file ")), "")
    return int(limit) - int(used) + int(files.partition(" ")[2] or 0)  # cached files give way


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
