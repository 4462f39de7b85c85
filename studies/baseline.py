"""A study's baseline, run to the letter: all training data, the test set after every epoch, nothing chosen."""

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from studies.prose import Prose
from studies.space import Space
from studies.spec import StudySpec


def baseline_of(search: StudySpec, words: Prose, epochs: int | None = None) -> StudySpec:
    """State the study of a search's baseline, beside the search; its trials differ in their seeds only.

    epochs: of each; those of the search's full trials if not given.
    """
    length, baseline = epochs or search.epochs, search.baseline or {}
    return search.beside(
        name=f"{search.name}/baseline",
        question=f"What does {words.baseline} reach?",
        metric=search.metric.replace("validation", "test"),
        space=Space.of({name: _only(value) for name, value in baseline.items()}),
        sampler=RandomSampler,
        epochs=length,
        report_epochs=range(1, length + 1),
        train_on="full",
        score_on="test",
        method=None,
        asked=None,
    )


def _only(value: Any) -> BaseDistribution:
    """Return a distribution of one value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return CategoricalDistribution((value,))
    return IntDistribution(value, value) if isinstance(value, int) else FloatDistribution(value, value)
