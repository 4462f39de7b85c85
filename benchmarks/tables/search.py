"""A search among recorded learning curves: trials side by side as in `search/training/engine.py`, without training.

An epoch of any trial counts as one. Ours has a number of trials and ends when all have ended; a peer has the epochs
that ours took.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from benchmarks.peers.job import FACTOR, FIRST_RUNG, reports
from benchmarks.tables.table import Table
from model.seeds import derive
from studies.halving import HALVING, Halving
from studies.pruner import CurvePruner
from studies.sampler import CurveSampler

ABREAST = 6, 2  # trials at once: ours, as many as 512 units hold at first; a peer's, as its fastest split
OURS = "sweetspot"


@dataclass(frozen=True)
class Contender:
    """How trials are proposed and stopped."""

    sampler: Callable[[int, int], BaseSampler | None]  # from the search's seed and a trial's number; None: the last one
    pruner: BasePruner
    reports: frozenset[int]  # epochs
    abreast: int
    rungs: Sequence[int] = ()  # where trials wait for each other; without any they are judged at each report
    size: int = 1


@dataclass(eq=False)
class Run:
    """A trial under way."""

    trial: optuna.Trial
    place: int  # its setting, in the table
    curve: Sequence[float]
    epoch: int = 0


@dataclass
class Search:
    """A search of a table, an epoch of every trial after another."""

    table: Table
    contender: Contender
    seed: int
    epochs: int = 0  # taken by all trials
    best: tuple[bool, float, int] = (False, 0.0, 0)  # whether it is complete; what it showed last; its setting
    running: list[Run] = field(default_factory=list)
    waiting: list[Run] = field(default_factory=list)  # promoted, or judged by nobody yet: see `at_rung`
    at_rung: dict[int, list[Run]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = f"{self.table.problem.name}-{self.seed}"  # by which Hyperband deals out its brackets
        self.study = optuna.create_study(study_name=name, direction="maximize", pruner=self.contender.pruner)

    def take(self, trials: int | None = None, epochs: int | None = None) -> Iterator[None]:
        """Search until so many trials have ended or so many epochs are taken; yield after each epoch."""
        numbers = iter(range(trials) if trials is not None else count())
        while self._refill(numbers):
            for run in tuple(self.running):
                self._train(run)
                yield
                if self.epochs == epochs:
                    return
            for epoch in [each for each, runs in self.at_rung.items() if len(runs) >= self.contender.size]:
                self._judge(epoch)

    def _refill(self, numbers: Iterator[int]) -> bool:
        """Fill what room there is; return whether anything trains."""
        while len(self.running) < self.contender.abreast:
            if self.waiting:
                self.running.append(self.waiting.pop(0))
            elif (number := next(numbers, None)) is not None:
                self.running.append(self._start(number))
            elif self.at_rung and not self.running:
                self._judge(min(self.at_rung))
            else:
                break
        return bool(self.running)

    def _start(self, number: int) -> Run:
        self.study.sampler = self.contender.sampler(self.seed, number) or self.study.sampler
        trial = self.study.ask(dict(self.table.problem.space))
        place = self.table.place(trial.params)
        return Run(trial, place, self.table.curve(place, derive(self.seed, "luck", number)))

    def _train(self, run: Run) -> None:
        self.epochs += 1
        run.epoch += 1
        value, complete = run.curve[run.epoch - 1], run.epoch == self.table.problem.epochs
        if run.epoch not in self.contender.reports and not complete:
            return
        run.trial.report(value, run.epoch)
        self.best = max(self.best, (complete, value, run.place), key=lambda each: each[:2])
        if complete:
            self.study.tell(run.trial, value)
        elif run.epoch in self.contender.rungs:
            self.at_rung.setdefault(run.epoch, []).append(run)
        elif self.contender.rungs or not self._stopped(run):
            return
        self.running.remove(run)

    def _stopped(self, run: Run) -> bool:
        if run.trial.should_prune():
            self.study.tell(run.trial, state=optuna.trial.TrialState.PRUNED)
            return True
        return False

    def _judge(self, epoch: int) -> None:
        self.waiting += [run for run in self.at_rung.pop(epoch) if not self._stopped(run)]


def ours(table: Table, halving: Halving | None = None) -> Contender:
    """Return our sampler and pruner for a table."""
    problem = table.problem
    halving = halving or HALVING.stretched(problem.epochs, problem.rows, problem.batch, table.rows)

    def sampler(seed: int, number: int) -> BaseSampler:
        own = derive(seed, "sampler", number) % 2**32
        return CurveSampler(own, halving.horizon, problem.space, halving.model)

    pruner = CurvePruner(halving.rungs, halving.size, halving.horizon, halving.model)
    rungs = halving.before(problem.epochs)
    return Contender(sampler, pruner, frozenset(halving.reports(problem.epochs)), ABREAST[0], rungs, halving.size)


def peers(table: Table) -> Mapping[str, Contender]:
    """Return Optuna's own for a table, as a script runs them."""
    epochs = table.problem.epochs
    halving = SuccessiveHalvingPruner(FIRST_RUNG, FACTOR)
    pairs: Mapping[str, tuple[Any, BasePruner]] = {
        "TPE + successive halving": (lambda seed: TPESampler(seed=seed, constant_liar=True), halving),
        "TPE + Hyperband": (
            lambda seed: TPESampler(seed=seed, constant_liar=True),
            HyperbandPruner(FIRST_RUNG, epochs, FACTOR),
        ),
        "GPSampler": (lambda seed: GPSampler(seed=seed), MedianPruner()),
        "random + ASHA": (lambda seed: RandomSampler(seed=seed), halving),
    }

    def contender(make: Callable[[int], BaseSampler], pruner: BasePruner) -> Contender:
        def once(seed: int, number: int) -> BaseSampler | None:
            return None if number else make(derive(seed, "sampler") % 2**32)

        return Contender(once, pruner, frozenset(reports(epochs)), ABREAST[1])

    return {name: contender(*pair) for name, pair in pairs.items()}
