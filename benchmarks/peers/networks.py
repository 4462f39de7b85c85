"""Two trials at once of a small network, as a careful user trains them: resident tensors, fused Adam, a thread each.

    python -m benchmarks.peers.networks --kind cnn --split threads --channels_last 1

Tells what a model-epoch cost. torch is imported before `model`, and its threads and products are as PyTorch has them.
"""

import json
import os
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch
from torch import Tensor, nn

from benchmarks.peers.job import asked
from model import ENVIRONMENT
from model.data.dataset import open_dataset

IMAGES, DROPOUT, LR = 10_000, 0.2, 0.002


def mlp(units: int, dropout: float) -> nn.Module:
    """Return the article's network with dropout."""
    first = (nn.Linear(784, units), nn.ReLU(), nn.Dropout(dropout))
    second = (nn.Linear(units, units), nn.ReLU(), nn.Dropout(dropout))
    return nn.Sequential(*first, *second, nn.Linear(units, 10))


def cnn(units: int, dropout: float) -> nn.Module:
    """Return two convolutions, of `units` and twice as many channels, dropout and a linear layer."""
    first = (nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, units, 3), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(units, 2 * units, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(dropout))
    return nn.Sequential(*first, *second, nn.Linear(50 * units, 10))


KINDS = {"mlp": (mlp, 32), "cnn": (cnn, 8), "wide cnn": (cnn, 16)}  # and their units


@cache
def data() -> tuple[Tensor, Tensor]:
    """Return pixels in 0..1, float32 (10000, 784), and labels, int64 (10000,): of MNIST's training images."""
    images = open_dataset("mnist").train
    return images.pixels[:IMAGES].float().div_(255), images.targets[:IMAGES]


def train(kind: str, batch: int, epochs: int, channels_last: int) -> float:
    """Train a network with one thread; return the seconds of a processor that it took."""
    torch.set_num_threads(1)
    (pixels, labels), (function, units) = data(), KINDS[kind]
    start = time.thread_time()
    model = function(units, DROPOUT)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    for _ in range(epochs):
        for index in torch.randperm(len(labels)).split(batch):
            logits = model(pixels.index_select(0, index))
            adam.zero_grad()
            nn.functional.cross_entropy(logits, labels[index]).backward()
            adam.step()
    return time.thread_time() - start


def two(pool: Executor, kind: str, batch: int, epochs: int, channels_last: int) -> float:
    """Train two networks at once; return the seconds of processors that both took."""
    return sum(
        training.result() for training in [pool.submit(train, kind, batch, epochs, channels_last) for _ in range(2)]
    )


def main() -> None:
    """Train two networks at once, once to warm up, and tell the milliseconds of a model-epoch: passed, and computed."""
    options = asked("Two networks at once.", kind="mlp", split="threads", batch=128, channels_last=0)
    for name in ENVIRONMENT:  # set by `model`, which was imported for its data
        os.environ.pop(name, None)
    threads = options.split == "threads"
    with ThreadPoolExecutor(2) if threads else ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        two(pool, options.kind, options.batch, 1, options.channels_last)
        start = time.perf_counter()
        computed = two(pool, options.kind, options.batch, options.epochs, options.channels_last)
        passed = time.perf_counter() - start
    print(json.dumps({name: 500 * s / options.epochs for name, s in (("passed", passed), ("computed", computed))}))


if __name__ == "__main__":
    main()
