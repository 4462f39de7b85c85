"""What a CPU's bits depend on, beside the number of threads and torch's version.

Intel's MKL promises, in its strict mode (`model/__init__.py`), that a product's bits do not depend on where its
matrices lie. Other instructions, another CPU or another mode may round otherwise. PyTorch for Arm and macOS brings no
MKL: there nothing is documented, and `tests/model/test_fleet.py` says what holds.
"""

import os
import platform
from functools import cache
from pathlib import Path

import torch

STRICT_WITH = ("AVX2", "AVX512")  # instructions, as MKL's settings name them


@cache
def rounding() -> dict[str, str]:
    """Return the names under which a trial stores what its bits depend on: CPU, instruction set, and MKL's mode."""
    held = os.environ.get("MKL_ENABLE_INSTRUCTIONS")
    mode = os.environ.get("MKL_CBWR", "none") + (f" held to {held}" if held else "")
    return {
        "cpu": _cpu(),
        "instructions": torch.backends.cpu.get_cpu_capability() + (" AMX" if has_amx() else ""),
        "mkl": mode if _has_mkl() else "no MKL",
    }


def has_amx() -> bool:
    """Return whether the CPU has units that multiply tiles of bfloat16."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def broken_promise() -> str | None:
    """Return a line that says why bits may depend on what else trains, None if they do not.

    MKL is strict with AVX2 and AVX-512 alone (Intel's oneMKL Developer Guide, "Reproducibility Conditions").
    """
    if not _has_mkl():
        return None
    depends = "a trial's last digits may depend on what trains beside it"
    mode, held = os.environ.get("MKL_CBWR", ""), os.environ.get("MKL_ENABLE_INSTRUCTIONS", "")
    branch, *flags = mode.upper().replace("BRANCH=", "").split(",")
    if "STRICT" not in flags or not branch.startswith(("AUTO", *STRICT_WITH)):
        return f"MKL_CBWR={mode} is not strict: {depends}; unset it, or set MKL_CBWR=AUTO,STRICT"
    if held and not held.upper().startswith(STRICT_WITH):
        return f"MKL_ENABLE_INSTRUCTIONS={held} is not strict: {depends}; unset it, or set it to AVX2"
    if not torch.cpu.get_capabilities().get("avx2"):
        return f"MKL is not strict on this CPU, which has no AVX2: {depends}"
    return None


def _has_mkl() -> bool:
    return bool(torch.backends.mkl.is_available())  # type: ignore[no-untyped-call]


def _cpu() -> str:
    """Return the CPU's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
