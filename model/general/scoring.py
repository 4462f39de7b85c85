"""How a network is scored."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from model.data.dataset import Samples
from model.general.choices import Loss, Metric
from model.general.memory import memory_errors

CHUNK = 2_000  # samples scored at once: a fixed shape, so that a score never depends on how it was asked for


@dataclass(frozen=True)
class GeneralScore:
    """How a network does on a whole set."""

    metric: float
    loss: float  # mean over the samples


@torch.no_grad()
def score(network: nn.Module, samples: Samples, loss: Loss, metric: Metric) -> GeneralScore:
    """Score a network, as it is when it does not train, on every sample."""
    if network.training:
        network = copy.deepcopy(network).eval()
    with memory_errors():
        parts = zip(samples.inputs.split(CHUNK), samples.targets.split(CHUNK), strict=True)  # type: ignore[no-untyped-call]
        outputs, total = [], 0.0
        for inputs, targets in parts:
            outputs.append(network(inputs))
            total += loss(outputs[-1], targets, "sum").item()
        return GeneralScore(metric(torch.cat(outputs), samples.targets), total / len(samples))
