"""Studies, built in or one's own, beside a tuned Optuna script of the same network, on the same data, in turn.

    python -m benchmarks.own_study examples/digits_dropout.py --trials 30 --rounds 3
    python -m benchmarks.own_study dropout architectures --trials 30 --epochs 20 --section built-in

The script is what a careful user of Optuna writes: tensors that lie in memory, convolutions channels-last, PyTorch's
fused Adam, TPE, successive halving, two trials at once in two threads, the same fixed trials. It augments by our
operation: one of torchvision's own changes all pictures of a minibatch alike. Both search only: nothing is confirmed.
Every run is a process of its own.

How long, and which, trials are trained is for sampler and pruner to say. So beside the time stands the work: the
floating-point operations of the products and convolutions in all that was trained, zeros counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import Tensor

from benchmarks import results
from model.data.dataset import Dataset
from model.errors import SweetspotError
from model.fleet.family import Family
from model.general.augment import Augmentation
from search.workers.catalogue import Catalogue
from studies.search_spec import family_of
from studies.spec import report_epochs
from studies.study import Study


def script(question: str, trials: int, epochs: int | None, seed: int) -> dict[str, Any]:
    """Search by Optuna's own means."""
    torch.set_num_threads(1)
    study, data, family = opened(question)
    inputs = data.train.inputs
    length = epochs or study.epochs

    def objective(trial: optuna.Trial) -> float:
        params = study.searched.suggest(trial)
        network = family.build(params, seed + trial.number).to(memory_format=torch.channels_last)
        augment = changes(family, params, seed + trial.number)
        optimizer = study.optimizer.over(network.parameters(), params)
        value = 0.0
        for epoch in range(1, length + 1):
            for index in torch.randperm(len(data.train)).split(study.batch):
                loss = family.criterion(network(augment(inputs[index])), data.train.targets[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch in report_epochs(length):
                value = family.score(network, data.validation).value
                trial.report(value, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return value

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.create_study(
        direction=family.measure.direction,
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        pruner=optuna.pruners.SuccessiveHalvingPruner(3, 3),
    )
    for settings in ({}, *study.fixed):
        found.enqueue_trial(study.searched.belonging({**study.baseline, **settings}))
    start = time.perf_counter()
    found.optimize(objective, trials, n_jobs=2)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "best": found.best_value, "trained": trained(found)}


def opened(question: str) -> tuple[Study, Dataset, Family]:
    """Return a study, its data, and how its networks are built and scored."""
    catalogue = Catalogue(torch.device("cpu"), None, None, print)
    stated = catalogue.read(question, check=False)
    data = catalogue.data_of(stated)
    return stated.study, data, family_of(stated, data)


def trained(study: optuna.Study) -> list[tuple[dict[str, Any], int]]:
    """Return the parameters and epochs of all trials that were trained."""
    seen = [(trial.params, trial.intermediate_values) for trial in study.trials]
    return [(params, max(values)) for params, values in seen if values]


def changes(family: Family, params: Mapping[str, Any], seed: int) -> Callable[[Tensor], Tensor]:
    """Return what changes a trial's minibatches."""
    if family.augment is None:
        return lambda inputs: inputs
    return Augmentation(family.augment.strengths(params), family.shape, torch.Generator().manual_seed(seed))


def ours(question: str, trials: int, epochs: int | None, seed: int) -> dict[str, Any]:
    """Search by `search.run`, whose start is not counted: nor is the script's."""
    with tempfile.TemporaryDirectory() as directory:
        options = [f"--trials={trials}", f"--seed={seed}", f"--storage=sqlite:///{directory}/study.db"]
        options += [f"--epochs={epochs}"] if epochs else []
        command = [sys.executable, "-m", "search.run", question, *options, "--confirm-seeds=0", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = trained(optuna.load_study(study_name=None, storage=f"sqlite:///{directory}/study.db"))
    last = [line for line in done.stderr.splitlines() if f"{trials}/{trials} trial" in line][-1]
    best = json.loads(done.stdout)["best"]
    return {"seconds": float(last.split("s]")[0].strip(" [")), "best": best["value"], "trained": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", help="names of built-in studies, or files")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, help="of a full trial, instead of the study's")
    parser.add_argument("--section", default="own-study", help="of RESULTS.md")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--script", type=int, help=argparse.SUPPRESS)  # a seed: run the script in this process
    asked = parser.parse_args()
    if asked.script is not None:
        print(json.dumps(script(asked.studies[0], asked.trials, asked.epochs, asked.script)))
        return
    try:
        for question in asked.studies:
            opened(question)
    except SweetspotError as error:  # told before anything is measured
        parser.error(str(error))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = [row for question in asked.studies for row in _compared(question, asked)]
    head = ("study", "who", "s", "10^9 operations", "10^9 a second", "ours against it", "best")
    length = f" of {asked.epochs} epochs" if asked.epochs else ""
    told = f"{asked.trials} trials{length}, medians of {asked.rounds} seeds, in turn."
    text = f"{results.machine('optuna')}\n\n{told}\n\n"
    results.write(asked.section, text + results.table(head, rows))


def _compared(question: str, asked: argparse.Namespace) -> list[list[str]]:
    mine, theirs = [], []
    for seed in range(asked.rounds):
        mine.append(ours(question, asked.trials, asked.epochs, seed))
        command = [sys.executable, "-m", "benchmarks.own_study", question, f"--trials={asked.trials}"]
        command += [f"--script={seed}", *([f"--epochs={asked.epochs}"] if asked.epochs else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs.append(json.loads(done.stdout.splitlines()[-1]))
    _, data, family = opened(question)
    for side in (mine, theirs):
        for each in side:
            flops = (epochs * family.epoch_flops(params, len(data.train)) for params, epochs in each["trained"])
            each["work"] = sum(flops) / 1e9
            each["rate"] = each["work"] / each["seconds"]
    against = results.ratio([a["rate"] / b["rate"] for a, b in zip(mine, theirs, strict=True)])
    return [_row(Path(question).name, "ours", mine, ""), _row("", "script", theirs, against)]


def _row(study: str, who: str, side: Sequence[Mapping[str, Any]], against: str) -> list[str]:
    middle = {name: statistics.median(each[name] for each in side) for name in ("seconds", "work", "rate", "best")}
    cells = [f"{middle['seconds']:.1f}", f"{middle['work']:.0f}", f"{middle['rate']:.1f}", against]
    return [study, who, *cells, f"{middle['best']:.4f}"]


if __name__ == "__main__":
    main()
