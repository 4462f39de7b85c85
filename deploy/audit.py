"""Asks whether the locked versions have known vulnerabilities, and reports; `make check` goes on whatever it says.

The database is PyPI's. Where it cannot be reached nothing is known, which is not the same as nothing found.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SECONDS = 40  # for all; a machine without a network is to wait no longer
COMMAND = ("pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off", "--timeout=5", "--format=json")


def answers(command: Sequence[str], seconds: float) -> list[Mapping[str, Any]]:
    """Return what pip-audit says of each package, nothing if it says nothing in time."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)
        found: list[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return []
    return found


def report(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how many packages are known to the database, and what is known against them."""
    known = [package for package in found if "vulns" in package]
    if not known:
        return ["pip-audit: its database cannot be reached; nothing is known"]
    bad = [package for package in known if package["vulns"]]
    return [f"pip-audit: {len(bad)} of {len(known)} packages have known vulnerabilities"] + [
        f"  {package['name']} {package['version']}: {', '.join(vuln['id'] for vuln in package['vulns'])}"
        for package in bad
    ]


if __name__ == "__main__":
    locked = [sys.executable, "-m", *COMMAND, "--requirement", "constraints.txt"]
    print("\n".join(report(answers(locked, SECONDS))))
