"""Compiles every kernel for some cards, none of which need be here; prints the shared memory that each takes.

A program of its own: where tests interpret the kernels, they cannot be compiled.
"""

import sys
from itertools import product
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from model.gpu import kernels
from model.gpu.fused import DEPTH, KNOWN_STEPS, TILE

CARDS = {"sm_80": 80, "sm_90": 90, "sm_120": 120}
NAMES = ("gather", "first", "hidden", "head", "back", "grow_first", "grow_hidden", "grow_output")
CONSTANTS = {"TILE": TILE, "DEPTH": DEPTH, "LAST": KNOWN_STEPS - 1, "BLOCK": 1024}
IN_BF16 = {"batch", "first_out", "second_out", "d_first", "d_second"}
INTEGERS = {"images", "members", "cells", "units", "stride", "plane"}
SIXTEENS = {"units", "stride", "plane"}  # multiples of 16, as are addresses
IN_INT32 = {"tiles", "starts", "widths", "cursor", "batch_labels"}


def kind(kernel: str, name: str) -> str:
    """Return an argument's type as Triton names it."""
    if name in CONSTANTS or name == "SPLIT":
        return "constexpr"
    if name in INTEGERS:
        return "i32"
    if name in IN_INT32 or (kernel, name) == ("head", "labels"):
        return "*i32"
    return {"order": "*i64", "labels": "*i64", "pixels": "*u8"}.get(name, "*bf16" if name in IN_BF16 else "*fp32")


def compiled(name: str, card: int, split: int) -> Any:
    """Compile one kernel; split: see model/gpu/kernels.py."""
    known = {**CONSTANTS, "SPLIT": split}
    kernel = getattr(kernels, name)
    kinds = {argument: kind(name, argument) for argument in kernel.arg_names}
    constants = {(i,): known[argument] for i, argument in enumerate(kernel.arg_names) if kinds[argument] == "constexpr"}
    sixteens = {
        (i,): [["tt.divisibility", 16]]
        for i, argument in enumerate(kernel.arg_names)
        if kinds[argument].startswith("*") or argument in SIXTEENS
    }
    source = ASTSource(kernel, signature=kinds, constexprs=constants, attrs=sixteens)
    return triton.compile(source, target=GPUTarget("cuda", card, 32))


if __name__ == "__main__":
    for card, number in CARDS.items():
        for name, split in product(NAMES, (3, 1)):
            print(card, name, compiled(name, number, split).metadata.shared, flush=True)
    sys.exit(0)
