"""Trains the runs of a confirmation, a seed from its first batch on, two seeds at a time, beside a search or after it.

A *cohort* is the runs of a seed that a fleet trains. They start together and share one order of batches, named by the
seed's index: so arms are compared in pairs on initialisation and batches alike, whichever process trains them, and in
whatever order. Cohorts train in the background of a device's fleets (`model/fleet/fleets.py`), each with the same
number of threads. So a run has the same bits whether the search is still going on or not.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna import Trial
from optuna.trial import FrozenTrial, TrialState

from model.data.samples import Parts
from model.fleet.family import Scored
from model.fleet.fleet import Fleet
from model.fleet.fleets import Fleets
from model.seeds import derive
from search.store.study import StudyStore
from search.training.display import Lines
from search.training.engine import POLL_SECONDS, Engine
from search.training.run import Run
from search.verdict.boundary import boundary_of
from search.verdict.rounds import Limits, open_round, write_down
from search.verdict.runs import SEED, params_of
from studies.aims import Aim
from studies.asked import Asked
from studies.confirmation import RULE, Plan, early_arms
from studies.foreign import excluded
from studies.settings import Setting
from studies.space import Space

PLAN = "plan"  # study attribute


class ConfirmationStore(StudyStore):
    """The store of a confirmation; hands out the trials of one seed at a time."""

    def __init__(self, opened: StudyStore, asked: Asked, limits: Limits, against: Aim | None = None) -> None:
        super().__init__(opened.storage, opened.study, opened.spec, opened.seed)
        self.asked = asked
        self.limits = limits
        self.against = against  # the search's second aim
        self.seed_index = -1
        self._drawn: Plan | None = None

    @property
    def drawn(self) -> Plan:
        """The plan, once the search has ended."""
        assert self._drawn is not None
        return self._drawn

    def draw(self, drawn: Plan) -> None:
        """Confirm by this plan."""
        self._drawn = drawn

    def total(self) -> int:
        """Return the number of runs that are written down so far, without those that failed."""
        counts = self.counts()
        return counts.finished + counts.waiting + counts.running

    def write_early(self) -> None:
        """Write down what is trained of the first round whatever the search finds, unless the plan is drawn."""

        def under_lock() -> None:
            with self.storage.lock(self.study.study_name):
                if PLAN not in self.study.user_attrs:
                    seeds = min(boundary_of(RULE).first, self.limits.seeds)
                    write_down(self, early_arms(self.asked, self.spec.space), seeds)

        self.storage.retry(under_lock)

    def next_round(self) -> bool:
        """Write down the trials of the next round, if there is one, and return whether any trial is open.

        Before the plan is drawn there is none.
        """
        if self._drawn is None:
            return False

        def under_lock() -> bool:
            with self.storage.lock(self.study.study_name):
                open_round(self, self.asked, self.drawn, self.limits)
                return bool(self._waiting()) or self.counts().running > 0  # another may have taken all of it already

        return self.storage.retry(under_lock)

    def next_seed(self) -> int | None:
        """Turn to the seed of the first waiting trial and return its index; None if no trial waits."""
        self.storage.retry(self._fail_stale_at_times)
        waiting = self.storage.retry(self._waiting)
        self.seed_index = waiting[0].user_attrs[SEED] if waiting else -1
        return self.seed_index if waiting else None

    def acquire(self) -> Trial | None:
        """Take the first waiting trial of the seed, or return None if none waits."""
        return self._acquire({SEED: self.seed_index})

    def _waiting(self) -> list[FrozenTrial]:
        """Return those that are ours: others' would be waited for, and never acquired."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return [trial for trial in trials if not excluded(self.study, trial, _unplanned(trial, self.spec.space))]


def _unplanned(trial: FrozenTrial, space: Space) -> str | None:
    """Return why a waiting trial is none of a confirmation's, None if it is."""
    known = SEED in trial.user_attrs and "protocol" in trial.user_attrs and not space.wrong(params_of(trial))
    return None if known else "no arm and seed are given"


class Silent:
    """Tells nobody how runs go on."""

    def started(self, run: Run) -> None:
        """Say nothing."""

    def trained(self, runs: Sequence[Run]) -> None:
        """Say nothing."""

    def ended(self, run: Run, state: str) -> None:
        """Say nothing."""


class CohortEngine(Engine):
    """Trains what is written down, a seed after the other, and then what the next round asks for, until none does."""

    store: ConfirmationStore

    def __init__(self, store: ConfirmationStore, data: Parts, capacity: int) -> None:
        super().__init__(store, data, capacity, Silent())
        self.data = data
        self.lines: Lines | None = None
        self._before: Fleets | None = None  # in whose background it began
        self.gaps: dict[int, dict[int, float]] = {}  # by trial number, then epoch
        self.tested = store.asked.tested

    def follow(self, lines: Lines) -> None:
        """Leave the background of a search, whose fleets have ended, and show from now on what is done."""
        self.lines = self.listener = lines
        self._before, self.fleets = self.fleets, self.own_fleets()

    def _work(self, stop: Callable[[], bool]) -> None:
        if self._before:
            self.fleets.take_over(self._before)
        super()._work(stop)

    def refill(self) -> None:
        """Fill the fleets that have not begun with trials of one seed after another, as far as there is room."""
        while self.fleets.has_room_in_background(self.capacity) and time.monotonic() >= self._ask_again:
            seed_index = self.store.next_seed()
            if seed_index is None:
                self._ask_again = time.monotonic() + POLL_SECONDS
            elif not self._start_some(derive(self.store.seed, "confirm", "order", seed_index)):
                return

    def _start_some(self, order_seed: int) -> bool:
        """Start waiting trials of the seed that the store has turned to, while there is room; return if any was."""
        started = False
        while (fleet := self.fleets.in_background(order_seed, self.capacity)) is not None:
            if (trial := self.store.acquire()) is None:
                return started
            self._try_to_start(trial, fleet)
            started = True
        return started

    def _finished(self) -> bool:
        """Return whether no round is left, and nobody trains any of the last one."""
        if self.store.counts().running:
            return False
        if not self.store.next_round():
            return True
        if self.lines:
            self.lines.budget = self.store.total()
        self._ask_again = 0.0
        self.refill()
        return False

    def follow_epoch(self, fleet: Fleet, seconds: float) -> None:
        """Say how many runs are done whenever a cohort is."""
        super().follow_epoch(fleet, seconds)
        if self.lines and not fleet.members:
            self.lines.say(f"confirmed {self.store.counts().finished} of {self.lines.budget} runs")

    def _score(self, run: Run) -> Scored:
        """Scored on the training set as well, for the gap by epoch; that of the last one is among the figures."""
        score = super()._score(run)
        if run.member.epochs_trained == self.store.spec.epochs:
            return score
        gap = self.family.score(run.member.network(), self.train_set).value - score.value
        self.gaps.setdefault(run.trial.number, {})[run.member.epochs_trained] = gap
        return score

    def _figures(self, run: Run) -> dict[str, Any]:
        """Add the gap by epoch and, for the winner, the baseline and where a claim asks for it, the test set's value.

        It is of the last epoch of a setting that was chosen before, and chooses nothing.
        """
        figures = super()._figures(run)
        figures["gap_by_epoch"] = {**self.gaps.get(run.trial.number, {}), run.member.epochs_trained: figures["gap"]}
        if run.trial.user_attrs.get("role") or Setting.of(run.trial.params) in self.tested:
            test = self.family.score(run.member.network(), self.data.test)
            figures |= {f"test_{self.store.spec.measure}": test.value, "test_loss": test.loss}
        return figures
