"""Samples of any data set: what a network is given, and what it should say."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(eq=False)
class Samples:
    """`n` samples on one device."""

    inputs: Tensor  # float32 (n, d)
    targets: Tensor  # int64 (n,), a class each; float32 (n, 1) where the target is a number

    def __len__(self) -> int:
        return len(self.targets)
