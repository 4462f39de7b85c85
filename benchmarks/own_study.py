"""A study of one's own beside a tuned Optuna script of the same network, on the same data, in turn.

    python -m benchmarks.own_study examples/digits_dropout.py --trials 30 --rounds 3

The script is what a careful user of Optuna writes: tensors that lie in memory, PyTorch's fused Adam, TPE, successive
halving, two trials at once in two threads. Both search only: nothing is confirmed. Every run is a process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import torch

from benchmarks import results
from search.workers.catalogue import Catalogue
from studies.file import read_study
from studies.search_spec import family_of
from studies.spec import report_epochs


def script(file: str, trials: int, seed: int) -> dict[str, Any]:
    """Search by Optuna's own means."""
    torch.set_num_threads(1)
    stated = read_study(Path(file))
    data = Catalogue(torch.device("cpu"), None, None, print).data_of(stated)
    family, study = family_of(stated, data), stated.study

    def objective(trial: optuna.Trial) -> float:
        params = study.searched.suggest(trial)
        network = family.build(params, seed + trial.number)
        optimizer = study.optimizer.over(network.parameters(), params)
        value = 0.0
        for epoch in range(1, study.epochs + 1):
            for index in torch.randperm(len(data.train)).split(study.batch):
                loss = family.criterion(network(data.train.inputs[index]), data.train.targets[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if epoch in report_epochs(study.epochs):
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
    found.enqueue_trial(dict(study.baseline))
    start = time.perf_counter()
    found.optimize(objective, trials, n_jobs=2)
    return {"seconds": time.perf_counter() - start, "best": found.best_value}


def ours(file: str, trials: int, seed: int) -> dict[str, Any]:
    """Search by `search.run`, whose start is not counted: nor is the script's."""
    with tempfile.TemporaryDirectory() as directory:
        options = [f"--trials={trials}", f"--seed={seed}", f"--storage=sqlite:///{directory}/study.db"]
        command = [sys.executable, "-m", "search.run", file, *options, "--confirm-seeds=0", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = [line for line in done.stderr.splitlines() if f"{trials}/{trials} trial" in line][-1]
    best = json.loads(done.stdout)["best"]
    return {"seconds": float(last.split("s]")[0].strip(" [")), "best": best["value"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of studies")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--script", type=int, help=argparse.SUPPRESS)  # a seed: run the script in this process
    asked = parser.parse_args()
    if asked.script is not None:
        print(json.dumps(script(asked.files[0], asked.trials, asked.script)))
        return
    rows = [row for file in asked.files for row in _compared(file, asked.trials, asked.rounds)]
    head = ("study", "s, ours", "s, script", "times as long", "best, ours", "best, script")
    text = f"{results.machine('optuna')}\n\n{asked.trials} trials, medians of {asked.rounds} seeds, in turn.\n\n"
    print(text + results.table(head, rows))
    results.write("own-study", text + results.table(head, rows))


def _compared(file: str, trials: int, rounds: int) -> list[list[str]]:
    mine, theirs = [], []
    for seed in range(rounds):
        mine.append(ours(file, trials, seed))
        command = [sys.executable, "-m", "benchmarks.own_study", file, f"--trials={trials}", f"--script={seed}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs.append(json.loads(done.stdout.splitlines()[-1]))
    ratio = [b["seconds"] / a["seconds"] for a, b in zip(mine, theirs, strict=True)]
    middle = statistics.median
    cells = [middle(each["seconds"] for each in side) for side in (mine, theirs)]
    best = [middle(each["best"] for each in side) for side in (mine, theirs)]
    spread = f"{middle(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})"
    return [[Path(file).name, f"{cells[0]:.1f}", f"{cells[1]:.1f}", spread, f"{best[0]:.4f}", f"{best[1]:.4f}"]]


if __name__ == "__main__":
    main()
