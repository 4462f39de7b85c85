"""The job as a careful user of Ray Tune writes it: OptunaSearch, ASHA, the tensors shared by all trials.

    python -m benchmarks.peers.ray_tune --trials 50 --epochs 100

Needs the extra `bench`. A trial is a process with so many threads, and as many run at a time as cores allow. Tuned for
short trials: actors are used again, Ray's own log files are off, and a trial waits ready for each core (with Ray's
default of one, a single core was busy here: an actor takes longer to start than a short trial to end).
"""

import logging
import os
import tempfile
import time
import warnings
from typing import Any

import optuna
import ray
import torch
from optuna.storages import RDBStorage
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.peers.job import FACTOR, FIRST_RUNG, Begun, Ran, asked, optunas_sampler, tell
from benchmarks.peers.resident import Data, resident, train
from model import ENVIRONMENT
from studies.sweet_spot import BASELINE

CORES = os.cpu_count() or 1
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",  # it listens on this machine only
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": str(CORES),
}


def trainable(config: dict[str, Any], data: dict[str, Any]) -> None:
    """Train one trial; ASHA ends it from outside."""
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # shared with the other trials
    tensors = Data(**{name: torch.from_numpy(array) for name, array in data.items()})
    for epoch, accuracy in train(config["hidden_units"], config["lr"], config["epochs"], tensors):
        tune.report({"accuracy": accuracy, "epoch": epoch})


def main() -> None:
    """Run the job and print how it went."""
    options = asked("Ray Tune.", threads=1)
    data = {name: tensor.numpy() for name, tensor in vars(resident()).items()}
    os.environ.update(SETTINGS)
    for name in ENVIRONMENT:  # set by `model` for fleets; alone, PyTorch's default is faster
        os.environ.pop(name, None)
    ray.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # it misses the log files
    with tempfile.TemporaryDirectory() as directory:
        start, begun = time.perf_counter(), Begun()
        search = OptunaSearch(
            sampler=optunas_sampler(options.seed),
            storage=RDBStorage(f"sqlite:///{directory}/study.db"),
            points_to_evaluate=[BASELINE],
        )
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trainable, data=data), {"cpu": options.threads}),
            param_space={
                "hidden_units": tune.lograndint(4, 257),
                "lr": tune.loguniform(1e-4, 1e-1),
                "epochs": options.epochs,
            },
            tune_config=tune.TuneConfig(
                metric="accuracy",
                mode="max",
                search_alg=search,
                scheduler=ASHAScheduler(
                    "epoch", grace_period=FIRST_RUNG, reduction_factor=FACTOR, max_t=options.epochs
                ),
                num_samples=options.trials,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=directory, verbose=0),
        )
        results = tuner.fit()
        seconds, trials = time.perf_counter() - start, [_ran(results[k], options.epochs) for k in range(len(results))]
        # Ray's workers have ended and nobody waited for them: what they took is in no account.
        tell("ray_tune", options, seconds, trials, begun, cpu_seconds=None)
    ray.shutdown()


def _ran(result: tune.Result, epochs: int) -> Ran:
    end, config = result.metrics or {}, result.config or {}
    epoch = end.get("epoch", 0)
    state = "failed" if result.error else "complete" if epoch == epochs else "pruned"
    return Ran(config["hidden_units"], config["lr"], epoch, end.get("accuracy", 0.0), state, ended=end.get("timestamp"))


if __name__ == "__main__":
    main()
