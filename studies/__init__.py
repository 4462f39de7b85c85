"""What a study asks, stated before it is run. A file of one's own needs these names: see `studies/study.py`."""

from model.data.dataset import DataSource, data
from model.general.augment import Augment
from model.general.choices import Loss, Metric, Optimizer
from studies import claims
from studies.study import Categorical, Float, Int, Study

__all__ = [
    "Augment",
    "Categorical",
    "DataSource",
    "Float",
    "Int",
    "Loss",
    "Metric",
    "Optimizer",
    "Study",
    "claims",
    "data",
]
