"""A study as it stood at one moment: read once, and handed on to all that show something of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import NotFoundError
from search.store.counts import Counts, count
from search.store.storage import Storage
from search.store.trials import baseline_of, front, ranked, usable
from search.store.url import redacted
from studies.optuna_private import study_key
from studies.terms import Terms


@dataclass(frozen=True)
class StudyState:
    """What SQL holds of a study; summary, JSON, figures, page and notes are made of this alone."""

    name: str
    storage: str  # the database's URL, as it may be printed
    attributes: Mapping[str, Any]  # the study's user attributes
    counts: Counts
    trials: Sequence[FrozenTrial]  # all, by number
    finished: Sequence[FrozenTrial]  # completed and pruned ones that can be compared
    ends: Mapping[int, datetime]  # when each that has ended did so, in UTC, by the key of its row

    @cached_property
    def terms(self) -> Terms:
        """How its values and parameters are written."""
        return Terms.of(self.attributes)

    @property
    def budget(self) -> int:
        """Finished trials that the study is to have; 0 if nobody has asked for any."""
        return int(self.attributes.get("budget", 0))

    @property
    def epochs(self) -> int:
        """Epochs of a full trial."""
        return int(self.attributes["fingerprint"]["epochs"])

    @cached_property
    def ranked(self) -> list[FrozenTrial]:
        """Completed trials, best first."""
        return ranked(self.finished, self.terms)

    def completed(self) -> list[FrozenTrial]:
        """Return the completed trials, best first. Raises `NotFoundError` where there are none yet."""
        if not self.ranked:
            raise NotFoundError(f"study {self.name!r} has no completed trial yet; go on with: python -m search.run")
        return self.ranked

    @property
    def best(self) -> FrozenTrial | None:
        """The best completed trial."""
        return self.ranked[0] if self.ranked else None

    @cached_property
    def front(self) -> list[FrozenTrial]:
        """Completed trials that none beats in one aim without losing in the other, best first; none with one aim."""
        return front(self.ranked) if self.terms.against else []

    @property
    def baseline(self) -> FrozenTrial | None:
        """The completed baseline."""
        return baseline_of(self.ranked)


def read_state(storage: Storage, study: optuna.Study) -> StudyState:
    """Read a study, once."""
    return StudyState(
        name=study.study_name,
        storage=redacted(storage.url),
        attributes=study.user_attrs,
        counts=count(study),
        trials=study.get_trials(deepcopy=False),
        finished=usable(study, TrialState.COMPLETE, TrialState.PRUNED),
        ends=storage.ends(study_key(study)),
    )
