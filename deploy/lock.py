"""Writes the image's locks, every file with its hashes: `make lock` calls it, in an environment that has uv.

    common.txt       all that the program needs besides PyTorch, at the versions of constraints.txt
    torch-cuda.txt   PyTorch as PyPI has it, with CUDA's packages
    torch-cpu.txt    PyTorch's own CPU build, from the index that PYTORCH_CPU names

Without PYTORCH_CPU, or where it is out of reach, torch-cpu.txt pins versions without hashes, and says so; pip asks for
hashes as soon as there is one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "deploy" / "locks"
PYTHON = "3.11"  # of the image
PYTORCH_CPU = os.environ.get("PYTORCH_CPU", "")
COMPILE = ("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--universal")
RETRY_VARIABLE = 60  # seconds for an index that may be out of reach
WITHOUT = "# WITHOUT HASHES: the index that has the CPU build was not named, or not reached, when this was written.\n"


def compiled(*arguments: str, given: str = "", seconds: float | None = None) -> str:
    """Return what uv resolves. Raises `subprocess.SubprocessError`."""
    command = [sys.executable, "-m", *COMPILE, f"--python-version={PYTHON}", *arguments]
    done = subprocess.run(
        command, input=given, text=True, stdout=subprocess.PIPE, cwd=ROOT, timeout=seconds, check=True
    )
    return done.stdout


def entries(text: str) -> list[str]:
    """Return the requirements of a lock, each with the lines of its hashes."""
    return re.findall(r"^\S.*\n(?:    .*\n)*", text, re.MULTILINE)


def is_torch(entry: str) -> bool:
    """Return whether an entry belongs to PyTorch or to the CUDA that it brings."""
    name = entry.partition("==")[0]
    return name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-"))


def on_cpu(pinned: list[str]) -> str:
    """Return the lock of the CPU build at these versions, without hashes where its index does not answer."""
    wanted = "".join(f"{pin}\n" for pin in pinned)
    if not PYTORCH_CPU:
        return WITHOUT + wanted
    try:
        return compiled(f"--default-index={PYTORCH_CPU}", "--no-deps", "-", given=wanted, seconds=RETRY_VARIABLE)
    except subprocess.SubprocessError:
        print(f"{PYTORCH_CPU} does not answer: torch-cpu.txt has no hashes", file=sys.stderr)
        return WITHOUT + wanted


def main() -> None:
    """Write all three."""
    found = entries(compiled("--constraints=constraints.txt", "pyproject.toml"))
    torch = [entry for entry in found if is_torch(entry)]
    pins = [entry.split()[0] for entry in torch if entry.startswith(("torch==", "torchvision=="))]
    texts = {
        "common.txt": "".join(entry for entry in found if not is_torch(entry)),
        "torch-cuda.txt": "".join(torch),
        "torch-cpu.txt": on_cpu(pins),
    }
    for name, text in texts.items():
        (LOCKS / name).write_text(f"# Written by 'make lock' (deploy/lock.py) for Python {PYTHON}.\n{text}", "utf-8")


if __name__ == "__main__":
    main()
