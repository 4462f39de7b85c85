"""Masks of dropout, drawn from a network's own generator for a whole minibatch at once.

A mask costs 32 random bits. They are compared as the float32 that they happen to be, of which a share that is known to
the last one lies below a threshold: `threshold_backward` does that, and cuts, in one pass over memory. To make numbers
in 0..1 of them first takes three, and PyTorch's `bernoulli_` four times as long as all of this.
"""

import struct
from collections.abc import Sequence

import torch
from torch import Tensor

_NEGATIVE = 0x7F800001  # patterns of a float32 that are a negative number or minus infinity, both zeros apart


class Noise:
    """A network's random bits."""

    def __init__(self, generator: torch.Generator, widths: Sequence[int]) -> None:
        """widths: units of each hidden layer, 0 for one without dropout."""
        self.generator, self.widths = generator, widths
        self._bits = torch.empty(0, dtype=torch.int64, device=generator.device)

    def draw(self, samples: int) -> list[Tensor]:
        """Return bits for each hidden layer of a minibatch, float32: (samples, units) of the first, then (units,
        samples). They are overwritten by the next draw."""
        sizes = [width * samples for width in self.widths]
        if self._bits.numel() < (needed := (sum(sizes) + 1) // 2):
            self._bits = self._bits.new_empty(needed)
        bits = self._bits[:needed].random_(-(2**63), None, generator=self.generator).view(torch.float32)
        first, *others = torch.split(bits[: sum(sizes)], sizes)
        return [first.view(samples, -1), *(each.view(-1, samples) for each in others)]


def threshold(rate: float) -> float:
    """Return the float32 that a share `rate` of all patterns of 32 bits does not exceed; one that is no number does.

    rate: 0 to 0.99.
    """
    count = round(rate * 2**32)  # patterns, from minus infinity upward
    bits = 0x80000000 | (_NEGATIVE - count) if count <= _NEGATIVE else count - _NEGATIVE - 1
    return float(struct.unpack("=f", struct.pack("=I", bits))[0])


def cut(values: Tensor, noise: Tensor, above: float, out: Tensor) -> None:
    """Copy values, with zero where the noise does not exceed `above`; `out` may be `values`."""
    torch.ops.aten.threshold_backward.grad_input(values, noise, above, grad_input=out)
