"""How many trials of a study are in which state."""

from collections import Counter
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

COPIED = "copied"  # attribute of a study: numbers, in another one, of the finished trials that it begins with
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)  # what counts towards the budget


@dataclass(frozen=True)
class Counts:
    """How many trials of a study are in which state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int
    copied: int = 0  # finished trials of another study, which count nowhere else

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
    """Count a study's own trials by state."""
    attrs = study.user_attrs
    copied = len(attrs.get(COPIED, ())) if "fingerprint" in attrs else 0  # what others call so is nothing of ours
    by_state = Counter(trial.state for trial in study.get_trials(deepcopy=False)[copied:])
    states = (*FINISHED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
    complete, pruned, failed, running, waiting = (by_state[state] for state in states)
    return Counts(complete, pruned, failed, running, waiting, copied)
