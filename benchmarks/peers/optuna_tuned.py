"""The job as a careful user of Optuna writes it: tensors on the device, fused Adam, successive halving, SQLite.

    python -m benchmarks.peers.optuna_tuned --trials 50 --epochs 100

On 2 cores two trials at a time with a thread each were the fastest split (`benchmarks.peers.splits`). torch is imported
before `model`, so its threads wait as PyTorch lets them by default: for one network alone that is faster.
"""

import tempfile
import threading
import time
from typing import Any

import optuna
import torch
from optuna.storages import RDBStorage

from benchmarks.peers.job import Begun, asked, optunas_pruner, optunas_sampler, ran, tell
from benchmarks.peers.resident import resident, train
from studies.sweet_spot import BASELINE


class OneClaimAtATime(RDBStorage):
    """An RDBStorage that hands a waiting trial to one thread.

    Without it Optuna 5.0 on SQLite often gives the enqueued baseline to both threads, and the study ends with "Cannot
    tell a COMPLETE trial".
    """

    _claiming = threading.Lock()

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> bool:
        """Change a trial's state while no other thread does."""
        with self._claiming:
            return super().set_trial_state_values(*args, **kwargs)


def main() -> None:
    """Run the job and print how it went."""
    options = asked("Optuna, tuned.", jobs=2, threads=1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = resident()

    def objective(trial: optuna.Trial) -> float:
        width = trial.suggest_int("hidden_units", 4, 256, log=True)
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        for epoch, accuracy in train(width, lr, options.epochs, data):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    with tempfile.TemporaryDirectory() as directory:
        start, begun = time.perf_counter(), Begun()
        study = optuna.create_study(
            storage=OneClaimAtATime(f"sqlite:///{directory}/study.db"),
            direction="maximize",
            sampler=optunas_sampler(options.seed),
            pruner=optunas_pruner(),
        )
        study.enqueue_trial(BASELINE)
        study.optimize(objective, n_trials=options.trials, n_jobs=options.jobs)
        tell("optuna_tuned", options, time.perf_counter() - start, ran(study.trials), begun)


if __name__ == "__main__":
    main()
