"""How many trials of a study are in which state."""

from collections import Counter
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # what counts towards the budget


@dataclass(frozen=True)
class Counts:
    """How many trials of a study are in which state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that count towards the budget."""
        return self.complete + self.pruned

    def line(self, budget: int) -> str:
        """Say it in a line."""
        return (
            f"{self.finished:>3}/{budget} trials: {self.complete} complete, {self.pruned} pruned, "
            f"{self.failed} failed; {self.running} running"
        )


def count(study: optuna.Study) -> Counts:
    """Count a study's trials by state."""
    by_state = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    return Counts(*(by_state[state] for state in (*FINISHED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)))
