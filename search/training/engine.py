"""The main path: acquire trials while there is capacity, train, report, prune, tell, and acquire again.

    acquire ─► add to a fleet ─► train an epoch ─► report epoch? ─► report ─► last epoch? ───────────► tell
      ▲               ▲                ▲                 │ no                      │ no                 ▲ │
      │               │                └─────────────────┘                         ▼                    │ │
      │               └────────────────────────── go on ◄── rung: wait for others, then should it stop? ┘ │
      └─────────────────────────────────── capacity is free ◄─────────────────────────────────────────────┘

Trials are acquired one at a time, whenever capacity is free, so the sampler knows all that has been learnt so far;
what it has read and fitted for one serves for the next ones, until an epoch has been trained.
Rungs are those of synchronous successive halving: a trial that reaches one leaves its fleet until enough others have,
and the pruner then judges them together. A trial that is stopped frees its capacity at once, and is told while the
next one trains.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from threading import Thread
from typing import Any, Protocol

import optuna
import torch

from model.data.samples import Parts
from model.fleet.family import Scored
from model.fleet.fleet import Fleet
from model.fleet.fleets import Fleets
from model.network.member import BaseMember
from model.network.scoring import BEFORE_SAMPLES
from model.seeds import derive
from search.errors import SearchError
from search.store.study import StudyStore, TrialLostError
from search.training.figures import figures_of
from search.training.run import Run
from studies.aims import SECONDS, TIMES
from studies.sampler import load_libraries

CAPACITY = {
    "cpu": 512,
    "cuda": 512,
    "mps": 512,
}  # hidden units trained at once; docs/decisions.md says how they were chosen
MIN_CAPACITY = 16  # units: with less than this not even one trial fits
POLL_SECONDS = 1.0  # between two looks at a study whose remaining trials other workers are training
_log = logging.getLogger(__name__)


Keep = Callable[[Run, dict[str, Any]], None]


class Listener(Protocol):
    """Told what happens, to show it; must not raise."""

    def started(self, run: Run) -> None:
        """A trial joined the fleet."""

    def trained(self, runs: list[Run]) -> None:
        """These trials, all of a fleet, trained one more epoch; some have ended by it."""

    def ended(self, run: Run, state: str) -> None:
        """A trial was completed, pruned, failed, lost or, for want of memory, given back."""


class Engine:
    """Works on one study with a device's fleets until the budget is met or it is told to stop."""

    def __init__(  # noqa: PLR0917
        self,
        store: StudyStore,
        data: Parts,
        capacity: int,
        listener: Listener,
        keep: Keep | None = None,
        beside: "Callable[[], Engine] | None" = None,
    ) -> None:
        self.store = store
        self.family = store.spec.family
        self.train_set: Any = getattr(data, store.spec.train_on)
        self.score_set: Any = getattr(data, store.spec.score_on)
        self.capacity = capacity  # units of all fleets; the last newcomers may exceed it
        self.listener = listener
        self.fleets = self.own_fleets()
        self.runs: list[Run] = []
        self.at_rung: dict[int, list[Run]] = {}  # those that wait at a rung, by its epoch
        self.promoted: list[Run] = []  # those that wait for capacity
        self.stopped: list[Run] = []  # by the pruner, and not told yet
        self.keep = keep  # called with every trial that is about to be completed, and its figures; must not raise
        self._beside = beside  # makes what trains in the fleets' background once the search leaves room
        self.beside: Engine | None = None
        self._ask_again = 0.0

    def own_fleets(self) -> Fleets:
        """Make fleets of the device that train by the study's order of batches."""
        return Fleets(self.train_set, derive(self.store.seed, "order"), self.store.spec.batch, self._score_all)

    def search(self, stop: Callable[[], bool]) -> None:
        """Work until the study has all its trials, or `stop()`; open trials are then given back."""
        if self.store.spec.rungs:  # by learning curves
            Thread(target=load_libraries).start()  # while the first trials, which are drawn at random, train
        with self.fleets:
            try:
                self._work(stop)
            finally:
                self.give_back()

    def _work(self, stop: Callable[[], bool]) -> None:
        while not stop():
            try:
                self.refill()
                if not self.runs and self._finished():
                    return
                self._refill_beside()
                if self.train_set.device.type == "cpu":  # CUDA's graphs are recorded while nobody else uses it
                    self.fleets.start()
                self._tell_stopped()  # on a CPU while they train
                if any(engine.runs for engine in self._engines):
                    self._train()
                else:
                    time.sleep(POLL_SECONDS)
            except torch.OutOfMemoryError as error:
                self._shrink(error)
        self._tell_stopped()

    def _finished(self) -> bool:
        """Return whether nothing is left to do, once this process trains nothing."""
        return self.store.counts().finished >= self.store.budget()

    def refill(self) -> None:
        """Let trials train wherever there is capacity: those that were promoted, then new ones."""
        while (fleet := self.fleets.least_loaded(self.capacity)) is not None:
            if self.promoted:
                self._go_on(self.promoted.pop(0), fleet)
            elif (trial := self._acquire()) is not None:
                self._try_to_start(trial, fleet)
            elif self.at_rung and not any(run.training and not run.kept for run in self.runs):  # nobody will come
                self._judge_rung(min(self.at_rung))
            else:
                return

    def _refill_beside(self) -> None:
        """Let others train in the background where the search has nothing to train."""
        if self._beside is not None and self.fleets.has_room_in_background(self.capacity):
            self.beside = self.beside or self._beside()
            self.beside.fleets = self.fleets
            self.beside.refill()

    def _acquire(self) -> optuna.Trial | None:
        if time.monotonic() < self._ask_again:
            return None
        trial = self.store.acquire()
        if trial is None:
            self._ask_again = time.monotonic() + POLL_SECONDS
        return trial

    def _shrink(self, error: torch.OutOfMemoryError) -> None:
        """Give all trials back and go on with half the capacity: the trials are not to blame for the memory.

        Raises `SearchError` when not even one trial fits.
        """
        if self.capacity < MIN_CAPACITY:
            raise SearchError("the device has no memory left for a single trial; try --device cpu") from error
        self.capacity //= 2
        _log.warning("out of memory: %d trials given back, going on with %d units", len(self.runs), self.capacity)
        given_back = [(engine, run) for engine in self._engines for run in engine.give_back()]
        self.fleets.renew()
        for engine, run in given_back:
            engine.listener.ended(run, "given back")

    def give_back(self) -> list[Run]:
        """Give all trials back, for this process or another to train them from their beginning; return their runs."""
        self.store.give_back(run.trial for run in self.runs)
        given_back, self.runs, self.at_rung, self.promoted, self.stopped = self.runs, [], {}, [], []
        return given_back

    @property
    def _engines(self) -> "list[Engine]":
        """Whoever trains in the fleets."""
        return [self, *([self.beside] if self.beside else [])]

    def _try_to_start(self, trial: optuna.Trial, fleet: Fleet) -> None:
        try:
            self._start(trial, fleet)
        except BaseException:
            self.store.give_back([trial])
            raise

    def _start(self, trial: optuna.Trial, fleet: Fleet) -> None:
        seed = trial.user_attrs.get("init_seed", derive(self.store.seed, "trial", trial.number))
        device, params = self.train_set.device, trial.params
        model = self.family.build(params, seed).to(device)
        before = self.family.score(model, self.train_set.first(BEFORE_SAMPLES))
        member = self.family.member(model, params, seed, device)
        fleet.attach(member)
        run = Run(trial, fleet, member, seed, before)
        self.runs.append(run)
        self.listener.started(run)

    def _go_on(self, run: Run, fleet: Fleet) -> None:
        fleet.attach(run.member)
        run.fleet = fleet

    def _train(self) -> None:
        fleet, seconds = self.fleets.train_next()
        for engine in self._engines:
            engine.follow_epoch(fleet, seconds)

    def follow_epoch(self, fleet: Fleet, seconds: float) -> None:
        """Follow up on the trials of a fleet that has trained an epoch, if they are this engine's."""
        self.store.heartbeat(run.trial for run in self.runs)
        trained = [run for run in self.runs if run.member in fleet.members]
        if not trained:
            return
        for run in trained:
            run.seconds += seconds * run.member.cost / fleet.cost
        lost = self._report(trained)
        for run in trained:
            self._follow_up(run, partial(self._go_on_or_end, lost=lost))
        for epoch in [epoch for epoch, waiting in self.at_rung.items() if len(waiting) >= self.store.spec.rung_size]:
            self._judge_rung(epoch)
        self.listener.trained(trained)

    def _judge_rung(self, epoch: int) -> None:
        """Judge those who wait at a rung; the promoted go on when there is capacity."""
        waiting = self.at_rung.pop(epoch)
        self._stop_some(waiting)
        self.promoted += (run for run in waiting if run not in self.stopped)

    def _follow_up(self, run: Run, step: Callable[[Run], str | None]) -> None:
        """Take a step that returns how a trial ended, None if it has not, and see it off if it has."""
        try:
            state = step(run)
        except TrialLostError as error:
            _log.warning("%s; its result is dropped", error)
            state = "lost"
        if state is not None:
            if run.training:
                run.fleet.detach(run.member)
            self.runs.remove(run)
            self._ask_again = 0.0
            self.listener.ended(run, state)

    def _report(self, runs: Sequence[Run]) -> dict[optuna.Trial, TrialLostError]:
        """Report those that have reached a rung; return those of them that somebody else has ended."""
        due = [run for run in runs if self._reports(run.member)]
        return self.store.report_all(
            {run.trial: (run.member.epochs_trained, run.last.value) for run in due if run.last is not None}
        )

    def _reports(self, member: BaseMember) -> bool:
        return member.epochs_trained in self.store.spec.report_epochs and math.isfinite(member.loss)

    def _go_on_or_end(self, run: Run, lost: Mapping[optuna.Trial, TrialLostError]) -> str | None:
        """Complete a trial that has trained to its end, fail one that diverged, let it wait at a rung, or judge it."""
        member, trial, store = run.member, run.trial, self.store
        if trial in lost:
            raise lost[trial]
        if not math.isfinite(member.loss):
            store.fail(trial, f"diverged in epoch {member.epochs_trained}: training loss {member.loss}, {trial.params}")
            return "failed"
        if not self._reports(member):
            return None
        assert run.last is not None
        if member.epochs_trained == store.spec.epochs:
            figures = self._figures(run) | self._timed(run)
            if self.keep is not None:
                self.keep(run, figures)
            store.complete(trial, run.last.value, figures)
            return "complete"
        if run.kept:
            return None
        if member.epochs_trained in store.spec.rungs:
            run.fleet.detach(member)
            self.at_rung.setdefault(member.epochs_trained, []).append(run)
        elif not store.spec.rungs:
            self._stop_some([run])
        return None

    def _stop_some(self, runs: Sequence[Run]) -> None:
        """Stop those the pruner would; their capacity is free at once, and they are told while the next ones train."""
        doomed = self.store.to_prune([run.trial for run in runs])
        for run in (run for run in runs if run.trial in doomed):
            if run.training:
                run.fleet.detach(run.member)
            self.stopped.append(run)

    def _tell_stopped(self) -> None:
        while self.stopped:
            self._follow_up(self.stopped.pop(0), self._tell_pruned)

    def _tell_pruned(self, run: Run) -> str:
        self.store.prune(run.trial, self._figures(run))
        return "pruned"

    def _score_all(self, fleet: Fleet) -> None:
        """Score all trials of a fleet that have reached a rung, in the fleet's thread: those of others train on."""
        for engine in self._engines:
            engine.score_runs(fleet)

    def score_runs(self, fleet: Fleet) -> None:
        """Score those of this engine."""
        for run in tuple(self.runs):  # a copy, since meanwhile trials of other fleets begin and end
            if run.member in fleet.members and self._reports(run.member):
                run.last = self._score(run)

    def _score(self, run: Run) -> Scored:
        """Score a trial that has reached a rung."""
        return self.family.score(run.member.network(), self.score_set)

    def _timed(self, run: Run) -> dict[str, float]:
        """Return the time of an epoch of a network alone, where that is an aim; all fleets rest meanwhile."""
        if self.store.spec.against != SECONDS:
            return {}
        taken = []
        with self.fleets.at_rest():
            for _ in range(1 + TIMES):
                taken.append(self.family.epoch_seconds(run.trial.params, self.train_set, run.fleet.batch))
                self.store.heartbeat(other.trial for other in self.runs)
        return {SECONDS.figure: median(taken[1:])}  # the first one pays for page faults and for choosing kernels

    def _figures(self, run: Run) -> dict[str, Any]:
        """Return what a trial that ends leaves behind."""
        return figures_of(run, self.store.spec, self.train_set)
