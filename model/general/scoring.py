"""How a network is scored."""

import copy

import torch
from torch import nn

from model.data.dataset import Samples
from model.general.choices import Loss, Metric
from model.general.memory import memory_errors
from model.network.scoring import Score

CHUNK = 2_000  # samples scored at once: a fixed shape, so that a score never depends on how it was asked for


@torch.no_grad()
def score(network: nn.Module, samples: Samples, loss: Loss, metric: Metric) -> Score:
    """Score a network, as it is when it does not train, on every sample."""
    if network.training:
        network = copy.deepcopy(network).eval()
    with memory_errors():
        parts = zip(samples.inputs.split(CHUNK), samples.targets.split(CHUNK), strict=True)  # type: ignore[no-untyped-call]
        outputs, total = [], 0.0
        for inputs, targets in parts:
            outputs.append(network(inputs))
            total += loss(outputs[-1], targets, "sum").item()
        return Score(metric(torch.cat(outputs), samples.targets), total / len(samples))
