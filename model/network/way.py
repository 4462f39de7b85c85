"""The ways to multiply, and the one rule that chooses among them.

The rule asks for a study's precision, the instructions of the machine and the kind of samples, and measures nothing: a
study whose processes each measured for themselves would round otherwise in each, and never twice alike. A trial stores
its way, and a rerun restores it, whatever this machine would choose.

As measured (`python -m benchmarks.bf16`, benchmarks/RESULTS.md): of pictures on a CPU, a model-epoch is faster without
what is dark at 25, 100 and 256 units, in float32 with AVX2 and with AVX-512, and in bfloat16 with AVX512_BF16, where
what is lit often is a bfloat16 product. With AMX, whose products are several times as fast, it is faster with all of
it. So the width decides nothing here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from model.data.samples import Samples
from model.network.arithmetic import BFLOAT16, FLOAT32, ROUNDED, Arithmetic, Precision
from model.rounding import has_amx

LISTED_FROM = 256  # samples of a minibatch; in smaller ones listing what is lit takes longer than it saves
AMPERE = (8, 0)  # the first compute capability of CUDA with units for bfloat16


@dataclass(frozen=True)
class Way:
    """How a fleet multiplies."""

    arithmetic: Arithmetic
    lit_alone: bool  # whether the first layer leaves out what is dark; of pictures on a CPU only


WAYS: Mapping[str, Way] = {
    f"{name} {inputs}": Way(arithmetic, lit_alone)
    for name, arithmetic in (("float32", FLOAT32), ("bfloat16", BFLOAT16), ("rounded", ROUNDED))
    for inputs, lit_alone in (("lit", True), ("all", False))
}
"""By the name that a trial stores: the arithmetic, and the inputs that are multiplied."""


def choose_way(precision: Precision, samples: Samples, batch: int) -> str:
    """Return the way for a fleet on these samples, in minibatches of this size."""
    name = precision if precision == "float32" or has_units(samples.device) else "rounded"
    lit_alone = without_the_dark(samples, batch) and not (precision == "bfloat16" and has_amx())
    return f"{name} {'lit' if lit_alone else 'all'}"


def without_the_dark(samples: Samples, batch: int) -> bool:
    """Return whether minibatches of this size should be multiplied by what is lit alone: pictures, on a CPU."""
    return samples.are_bytes and samples.device.type == "cpu" and batch >= LISTED_FROM


def has_units(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32, by what it says of itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    if device.type != "cpu":
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16")) or has_amx()
