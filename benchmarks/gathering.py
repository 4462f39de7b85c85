"""What is gained by judging a rung's trials together, and by a sampler that learns from those under way?

    python -m benchmarks.gathering --searches 40

The real engine, ledger, pruner and sampler search, in the fleets' own order; only the training is made up: a trial
shows what `benchmarks.learning_curves` draws for it. So dozens of searches can be compared where each would take
minutes, and a winner's setting be judged by what it reaches in the mean, which no search can see.
"""

import argparse
import heapq
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from benchmarks import results
from benchmarks.faults import PROCESSES, Pace, made_up_mnist
from benchmarks.learning_curves import EPOCHS, Curve, Surrogate, curves, of_jobs
from benchmarks.peers.job import optunas_sampler
from benchmarks.rounds import measured
from model.fleet import Fleet
from model.fleets import Fleets
from model.training import Score
from search.engine import ROOM, Engine, Run
from search.ledger import open_ledger
from search.storage import open_storage
from studies.spec import StudySpec
from studies.sweet_spot import BASELINE, GATHERED, SPACE, pruner, sweet_spot

CURVES = Path("build/curves.jsonl")
JOBS = Path("build/whole_job.jsonl")  # full trials of real jobs, if there were any: where searches go, they say more
TRIALS = 50
OVERHEAD = 25  # units: what an epoch of the script's costs beside its network's


@dataclass(frozen=True)
class Found:
    """What a search did and found."""

    work: int  # units times epochs
    best: float  # validation accuracy of its best trial
    expected: float  # what that trial's setting reaches in the mean
    complete: int


class Untrained(Fleet):
    """A fleet that lets time pass."""

    def train_epoch(self) -> None:
        """Grow older by an epoch."""
        for lane in self.lanes:
            lane.loss = 0.0
            lane.grow_older(self.number, self.clock, 1)
        self.clock += 1


class UntrainedFleets(Fleets):
    """Fleets of that kind."""

    def fleet(self, number: int, clock: int = 0) -> Fleet:
        """Make one of them."""
        return Untrained(self.images, self.order_seed, self.batch, clock, number)


class Simulated(Engine):
    """An engine whose trials show what a surrogate draws for them."""

    def __init__(self, *args: Any, surrogate: Surrogate, **options: Any) -> None:
        super().__init__(*args, **options)
        self.surrogate = surrogate
        self.fleets = UntrainedFleets(self.train_set, self.fleets.order_seed, after=self._score_all)

    def _score(self, run: Run) -> Score:
        chance = np.random.default_rng((self.ledger.seed, run.trial.number))
        return Score(
            self.surrogate.draw(run.trial.params["hidden_units"], run.trial.params["lr"], chance)[run.lane.age], 0
        )

    def _figures(self, run: Run) -> dict[str, Any]:
        return {"epochs": run.lane.age}


def search(spec: StudySpec, surrogate: Surrogate, seed: int) -> Found:
    """Search with our engine."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = open_ledger(open_storage(f"sqlite:///{directory}/study.db", create=True), spec, seed)
        ledger.aim(TRIALS)
        Simulated(ledger, made_up_mnist(), ROOM["cpu"], Pace(), surrogate=surrogate).search(lambda: False)
        return _found(ledger.study.trials, surrogate)


def script(surrogate: Surrogate, seed: int) -> Found:
    """Search as a script does that trains two at a time in its objective (`benchmarks.peers.optuna_tuned`)."""
    study = optuna.create_study(direction="maximize", sampler=optunas_sampler(seed), pruner=pruner())
    study.enqueue_trial(BASELINE)
    training = [(0, k, _objective(study, surrogate, seed)) for k in range(2)]
    started = len(training)
    while training:
        now, k, trial = heapq.heappop(training)
        cost = next(trial, None)
        if cost is not None:
            heapq.heappush(training, (now + cost, k, trial))
        elif started < TRIALS:
            heapq.heappush(training, (now, started, _objective(study, surrogate, seed)))
            started += 1
    return _found(study.trials, surrogate)


def _objective(study: optuna.Study, surrogate: Surrogate, seed: int) -> Iterator[int]:
    """Train a trial; yield what it costs to get to each report."""
    trial = study.ask(SPACE)
    width, lr = trial.params["hidden_units"], trial.params["lr"]
    shown = surrogate.draw(width, lr, np.random.default_rng((seed, trial.number)))
    for before, epoch in zip((0, *EPOCHS), EPOCHS, strict=False):
        yield (epoch - before) * (width + OVERHEAD)
        trial.report(shown[epoch], epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, shown[EPOCHS[-1]])


def _found(trials: list[FrozenTrial], surrogate: Surrogate) -> Found:
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = max(complete, key=lambda trial: trial.value or 0.0)
    work = sum(trial.params["hidden_units"] * (trial.last_step or 0) for trial in trials)
    expected = surrogate.expected(best.params["hidden_units"], best.params["lr"])
    return Found(work, best.value or 0.0, expected, len(complete))


def rules() -> Mapping[str, Callable[[Surrogate, int], Found]]:
    """Return what is compared, by name."""
    spec = replace(sweet_spot(), rungs=EPOCHS)
    once, lower, second = (replace(spec, gathers=those) for those in ((), spec.gathers[:2], spec.gathers[1:2]))
    return {
        "a script, two at a time": script,
        "at once, Optuna's TPE": partial(search, replace(once, sampler=optunas_sampler)),
        "at once": partial(search, once),
        f"{GATHERED} together, Optuna's TPE": partial(search, replace(spec, sampler=optunas_sampler)),
        **{f"{n} together": partial(search, replace(spec, gathered=n)) for n in (3, GATHERED, 12)},
        f"{GATHERED} together, at the first two rungs": partial(search, lower),
        "12 together, at the second rung": partial(search, replace(second, gathered=12)),
    }


@cache
def _surrogate() -> Surrogate:
    torch.set_num_threads(2)  # two fleets, as where it counts
    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return Surrogate(_known())


def _known() -> list[Curve]:
    return [*curves(CURVES), *of_jobs(measured(JOBS))]


def one(job: tuple[str, int]) -> Found:
    """Run one search, in a process of its own."""
    rule, seed = job
    return rules()[rule](_surrogate(), seed)


def report(found: Mapping[str, list[Found]], known: int) -> str:
    """Return the section; so many curves were known."""
    n = len(next(iter(found.values())))
    return "\n\n".join(
        [
            f"{n} simulated searches of {TRIALS} trials each, on {known} curves measured on MNIST; means with their"
            " standard errors, the work's median with a tenth and nine tenths. The best validation accuracy is a"
            " maximum over the noise of all full trials: what the winner's setting reaches in the mean is the better"
            " measure.",
            results.machine("optuna"),
            results.table(
                (
                    "a rung's trials are judged",
                    "thousand units x epochs",
                    "mean",
                    "full trials",
                    "best",
                    "winner's mean",
                ),
                [_row(rule, searches) for rule, searches in found.items()],
            ),
        ]
    )


def _row(rule: str, searches: list[Found]) -> list[object]:
    work = sorted(found.work / 1e3 for found in searches)
    tenth = len(work) // 10
    return [
        rule,
        f"{median(work):.0f} ({work[tenth]:.0f} to {work[-1 - tenth]:.0f})",
        _mean(work, 0, ""),
        f"{fmean(found.complete for found in searches):.1f}",
        _mean([100 * found.best for found in searches], 2, " %"),
        _mean([100 * found.expected for found in searches], 2, " %"),
    ]


def _mean(values: list[float], digits: int, unit: str) -> str:
    return f"{fmean(values):.{digits}f} ± {stdev(values) / len(values) ** 0.5:.{digits}f}{unit}"


def main() -> None:
    """Measure the curves if need be, simulate, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=40, help="for each rule, at least two")
    searches = parser.parse_args().searches
    if searches < 2:
        parser.error("--searches: at least 2, for a standard error")
    curves(CURVES)
    with ProcessPoolExecutor(2, PROCESSES) as pool:
        found = {rule: list(pool.map(one, [(rule, seed) for seed in range(searches)])) for rule in rules()}
    results.write("gathering", report(found, len(_known())))


if __name__ == "__main__":
    main()
