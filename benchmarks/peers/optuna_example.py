"""The job the way Optuna's own PyTorch example goes about it: torchvision's MNIST, DataLoaders, a loop over batches.

    python -m benchmarks.peers.optuna_example --trials 2 --epochs 1

The whole job takes hours like this. `--widths 8,25,80,256` trains an epoch at each of these widths instead and prints
the seconds, from which `benchmarks.whole_job` extrapolates.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from benchmarks.peers.job import asked, optunas_pruner, optunas_sampler, ran, tell
from benchmarks.peers.resident import network
from model.data.mnist import FILES, VALIDATION, provide
from model.data.split import SPLIT_SEED, stratified_split
from model.fleet.fleet import ARTICLE_BATCH
from studies.sweet_spot import BASELINE

Loaders = tuple[DataLoader, DataLoader]


def loaders(directory: Path) -> Loaders:
    """Return what to train on and what to score on: our split, torchvision's dataset."""
    raw = directory / "MNIST" / "raw"  # where torchvision looks for the files
    raw.mkdir(parents=True)
    for file in FILES:
        (raw / file).symlink_to(provide() / file)
    mnist = datasets.MNIST(str(directory), train=True, transform=transforms.ToTensor())
    parts = stratified_split(mnist.targets, VALIDATION, SPLIT_SEED)
    train, validation = (Subset(mnist, rows) for rows in parts)  # type: ignore[arg-type]
    return DataLoader(train, batch_size=ARTICLE_BATCH, shuffle=True), DataLoader(validation, batch_size=ARTICLE_BATCH)


def train(width: int, lr: float, epochs: int, data: Loaders) -> Iterator[float]:
    """Train a network; yield its validation accuracy after every epoch."""
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        model.train()
        for images, labels in data[0]:
            optimizer.zero_grad()
            functional.cross_entropy(model(images.flatten(1)), labels).backward()
            optimizer.step()
        yield accuracy(model, data[1])


@torch.no_grad()
def accuracy(model: nn.Module, data: DataLoader) -> float:
    """Return the share of images that are named rightly."""
    model.eval()
    right = sum((model(images.flatten(1)).argmax(1) == labels).sum().item() for images, labels in data)
    return right / len(data.dataset)  # type: ignore[arg-type]


def seconds_of_an_epoch(width: int, data: Loaders) -> float:
    """Return what one epoch and its scoring take."""
    start = time.perf_counter()
    list(train(width, 0.01, 1, data))
    return time.perf_counter() - start


def main() -> None:
    """Run the job and print how it went, or only what an epoch takes at some widths."""
    options = asked("Optuna, as its example.", widths="")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_int("hidden_units", 4, 256, log=True)
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        for epoch, score in enumerate(train(width, lr, options.epochs, data), 1):
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    with tempfile.TemporaryDirectory() as directory:
        data = loaders(Path(directory))
        if options.widths:
            at = {width: seconds_of_an_epoch(width, data) for width in map(int, options.widths.split(","))}
            print(json.dumps({"name": "optuna_example", **vars(options), "seconds_at": list(at.items())}))
            return
        start = time.perf_counter()
        study = optuna.create_study(
            storage=f"sqlite:///{directory}/study.db",
            direction="maximize",
            sampler=optunas_sampler(options.seed),
            pruner=optunas_pruner(),
        )
        study.enqueue_trial(BASELINE)
        study.optimize(objective, n_trials=options.trials)
        tell("optuna_example", options, time.perf_counter() - start, ran(study.trials))


if __name__ == "__main__":
    main()
