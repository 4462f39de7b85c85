"""The first built-in study, stated: databases of the time when it was the only one are of it."""

from torch import nn

from model.data.known import KNOWN
from model.network.arithmetic import Precision
from studies.asked import Asked
from studies.built_in import DEFAULT, built_in
from studies.search_spec import search_spec
from studies.spec import PRECISION, StudySpec

STUDY = built_in(DEFAULT).study
SPACE, BASELINE = dict(STUDY.searched), dict(STUDY.baseline)


def sweet_spot(name: str = DEFAULT, epochs: int | None = None, precision: Precision = PRECISION) -> StudySpec:
    """State its search; `epochs` is a full trial's length, None for the study's."""
    return search_spec(built_in(DEFAULT), KNOWN["mnist"], name, epochs, precision=precision)


def article_network(width: int, seed: int) -> nn.Module:
    """Return the article's network of a width, its initial weights drawn from the seed."""
    return sweet_spot().family.build({"hidden_units": width, "lr": 0.0}, seed)


def epoch_flops(width: int, images: int) -> int:
    """Return the floating-point operations of the products in an epoch of the article's network of a width."""
    return sweet_spot().family.epoch_flops({"hidden_units": width}, images)


def _asked() -> Asked:
    asked = sweet_spot().asked
    assert asked is not None
    return asked


ARTICLE = _asked()
