"""How a network is scored: as a plain module, as it is when it does not train."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.data.samples import Samples
from model.network.first_layer import outputs
from model.network.plain import layers_above_the_first, linear_layers, recognised

CHUNK = 2_000  # samples scored at once: a fixed shape, so that a score never depends on how it was asked for
BEFORE_SAMPLES = 30  # the article looks at 30 training samples before it trains
LossSum = Callable[[Tensor, Tensor], Tensor]
"""Of outputs and targets: the sum of the samples' losses, ()."""
Metric = Callable[[Tensor, Tensor], float]
"""Of all outputs and targets."""


@dataclass(frozen=True)
class Score:
    """How a network does on a whole set."""

    value: float  # of the metric; of the article's, accuracy: the share of right answers, 0..1
    loss: float  # mean cross-entropy in nats, or what else training makes small

    @property
    def accuracy(self) -> float:
        """The value, where the metric is accuracy."""
        return self.value


@torch.no_grad()
def score(network: nn.Module, samples: Samples, loss: LossSum, metric: Metric) -> Score:
    """Score a network on every sample; never a mean over batches, which a ragged last one would skew."""
    if network.training:
        network = copy.deepcopy(network).eval()
    targets, total = samples.targets.split(CHUNK), 0.0  # type: ignore[no-untyped-call]
    found = []
    for answers, right in zip(outputs_of(network, samples), targets, strict=True):
        found.append(answers)
        total += loss(answers, right).item()
    return Score(metric(torch.cat(found), samples.targets), total / len(samples))


def evaluate(network: nn.Module, samples: Samples) -> Score:
    """Return the accuracy and the mean cross-entropy."""
    return score(network, samples, _summed_cross_entropy, accuracy)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of right answers."""
    # torchmetrics, to which a test holds it, divides in float32 and takes 2.5 s to be imported, while nothing trains.
    return int((outputs.argmax(1) == targets).sum()) / len(targets)


def _summed_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, targets, reduction="sum")


def outputs_of(network: nn.Module, samples: Samples) -> Iterator[Tensor]:
    """Yield what a network answers, `CHUNK` samples at a time; of bytes a plain MLP's first layer as in training."""
    if samples.are_bytes and recognised(network) is not None:
        above = layers_above_the_first(network)
        for first in outputs(linear_layers(network)[0], samples, CHUNK):
            yield above(first)
    else:
        yield from map(network, samples.inputs_in_parts(CHUNK))
