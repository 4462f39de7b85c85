"""A network's bits are its own under every instruction set that MKL is strict with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import model
from model.rounding import broken_promise, rounding

ROOT = Path(__file__).parents[2]
SETS = {"AVX2": "avx2", "AVX512": "avx512"}  # those that MKL is strict with: its names, and PyTorch's
BEST = {"AVX2": 0, "AVX512": 1}.get(torch.backends.cpu.get_cpu_capability(), 0)
BITS = (
    "-k",
    "no_bit or replayed or goes_on or same_network_twice",
    "tests/model/test_fleet.py",
    "tests/model/test_first_layer.py",
)
needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch has no MKL here")


@pytest.mark.slow
@needs_mkl
@pytest.mark.parametrize("instructions", list(SETS)[:BEST])  # the whole suite runs with the best of them
def test_bits_are_a_networks_own_under_other_instructions(instructions: str) -> None:
    held = {"MKL_ENABLE_INSTRUCTIONS": instructions, "ATEN_CPU_CAPABILITY": SETS[instructions]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *BITS]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | held, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@needs_mkl
def test_mkl_is_strict_and_what_is_set_stays() -> None:
    asked = [sys.executable, "-c", "import model, os; print(os.environ['MKL_CBWR'])"]
    for given, found in (({}, model.ENVIRONMENT["MKL_CBWR"]), ({"MKL_CBWR": "AVX2"}, "AVX2")):
        environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"} | given
        done = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found


@needs_mkl
@pytest.mark.parametrize(
    ("mode", "held", "said"),
    [
        ("AUTO,STRICT", "", None),
        ("BRANCH=AVX512_E1,STRICT", "", None),
        ("avx2,strict", "avx2", None),
        ("AUTO,STRICT", "AVX512_E4", None),
        ("AVX2", "", "MKL_CBWR=AVX2 is not strict"),
        ("", "", "MKL_CBWR= is not strict"),
        ("SSE4_2,STRICT", "", "MKL_CBWR=SSE4_2,STRICT is not strict"),
        ("COMPATIBLE,STRICT", "", "MKL_CBWR=COMPATIBLE,STRICT is not strict"),
        ("AUTO,STRICT", "SSE4_2", "MKL_ENABLE_INSTRUCTIONS=SSE4_2 is not strict"),
        ("AUTO,STRICT", "AVX", "MKL_ENABLE_INSTRUCTIONS=AVX is not strict"),
    ],
)
def test_a_mode_that_gives_the_promise_away_is_said(
    mode: str, held: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", mode)
    monkeypatch.setenv("MKL_ENABLE_INSTRUCTIONS", held)
    found = broken_promise()
    assert found is None if said is None else found is not None and found.startswith(said)


@needs_mkl
def test_a_cpu_that_mkl_is_not_strict_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"sse4_2": True})
    assert (broken_promise() or "").startswith("MKL is not strict on this CPU, which has no AVX2")


def test_what_bits_depend_on_has_a_name_each() -> None:
    assert set(rounding()) == {"cpu", "instructions", "mkl"}
    assert all(rounding().values())
