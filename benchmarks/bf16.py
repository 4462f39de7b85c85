"""Would bf16 arithmetic pay? Its accuracy, by rounding, and its speed on the device at hand.

    python -m benchmarks.bf16                  writes its section of benchmarks/RESULTS.md

Weights, gradients and Adam stay fp32; the operands of every product are rounded to bf16 and summed up in fp32, which is
what matrix units for bf16 do. So accuracy can be measured where there are none: the same seeds are trained both ways.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag
from torch.overrides import TorchFunctionMode

from benchmarks import results
from benchmarks.fleets import fleet_of
from model.cpu.panel import SHARED_UP_TO
from model.data.dataset import open_dataset
from model.data.samples import Parts
from model.fleet.fleet import ARTICLE_BATCH
from model.network.scoring import evaluate

POINTS = ((25, 0.02), (100, 0.02), (250, 0.004))  # widths and learning rates: the article's, and the search's favourite
FACTORS: Mapping[Callable[..., Any], tuple[int | str, ...]] = {
    torch.mm: (0, 1),
    torch.bmm: (0, 1),
    torch.baddbmm: (1, 2),
    Tensor.addmm_: (1, 2),
    embedding_bag: (1, "per_sample_weights"),
}
"""Which of a product's arguments are its factors, by position or by name."""


class Rounded(TorchFunctionMode):
    """While it is on, the factors of every matrix product are rounded to bf16."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        factors = FACTORS.get(func, ())
        args = [_rounded(value) if place in factors else value for place, value in enumerate(args)]
        named = {name: _rounded(value) if name in factors else value for name, value in (kwargs or {}).items()}
        return func(*args, **named)


def _rounded(factor: Tensor) -> Tensor:
    return factor.bfloat16().float()


def accuracies(data: Parts, width: int, lr: float, seeds: int, epochs: int) -> list[float]:
    """Return the validation accuracy of each seed."""
    fleet = fleet_of(data.train, [width] * seeds, lr)
    for _ in range(epochs):
        fleet.train_epoch()
    return [evaluate(member.network(), data.validation).accuracy for member in fleet.members]


def compared(data: Parts, seeds: int, epochs: int) -> list[list[object]]:
    """Return a row for each width and learning rate: both means, and the paired difference with its 95 % interval."""
    rows: list[list[object]] = []
    for width, lr in POINTS:
        plain = accuracies(data, width, lr, seeds, epochs)
        with Rounded():
            rounded = accuracies(data, width, lr, seeds, epochs)
        means = (f"{100 * fmean(found):.2f} %" for found in (plain, rounded))
        rows.append([f"{width} units, lr {lr}", *means, results.difference(rounded, plain)])
    return rows


def rate(kind: torch.dtype, inputs: int, rounds: int) -> float:
    """Return the GFLOP/s of a product as in a fleet's first layer, of a minibatch and a panel; the median."""
    images, weights = torch.rand(ARTICLE_BATCH, inputs).to(kind), torch.rand(inputs, SHARED_UP_TO).to(kind)
    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        torch.mm(images, weights)
        found.append(2e-9 * ARTICLE_BATCH * inputs * SHARED_UP_TO / (time.perf_counter() - start))
    return median(found[1:])


def report(rows: list[list[object]], rates: tuple[float, float], seeds: int, epochs: int) -> str:
    """Return the section."""
    fp32, bf16 = rates
    head = ["", "fp32", "bf16 products", "difference, points (95 % interval)"]
    return "\n\n".join(
        [
            f"Validation accuracy after {epochs} epochs, {seeds} seeds, the same both ways; paired t intervals.",
            results.machine(),
            results.table(head, rows),
            f"A product of the first layer runs at {fp32:.1f} GFLOP/s in fp32 and at {bf16:.1f} in bf16 here:"
            f" {bf16 / fp32:.2f} x.",
        ]
    )


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5)
    asked = parser.parse_args()
    data = open_dataset("mnist")
    inputs = len(data.train.lit.where)  # those that a product takes
    rates = rate(torch.float32, inputs, 20), rate(torch.bfloat16, inputs, 20)
    results.write("bf16", report(compared(data, asked.seeds, asked.epochs), rates, asked.seeds, asked.epochs))


if __name__ == "__main__":
    main()
