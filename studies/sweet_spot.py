"""The first built-in study, stated: databases of the time when it was the only one are of it."""

from model.data.known import KNOWN
from studies.asked import Asked
from studies.built_in import DEFAULT, built_in
from studies.search_spec import search_spec
from studies.spec import StudySpec

STUDY = built_in(DEFAULT).study
SPACE, BASELINE = dict(STUDY.searched), dict(STUDY.baseline)


def sweet_spot(name: str = DEFAULT, epochs: int | None = None) -> StudySpec:
    """State its search; `epochs` is a full trial's length, None for the study's."""
    return search_spec(built_in(DEFAULT), KNOWN["mnist"], name, epochs)


def _asked() -> Asked:
    asked = sweet_spot().asked
    assert asked is not None
    return asked


ARTICLE = _asked()
