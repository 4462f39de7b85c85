"""A study's file as a user might write it, whole or with a mistake in it."""

from pathlib import Path

DIGITS = '''"""Does dropout help a small network on handwritten digits?"""

from torch import nn

from studies import Float, Int, Study, claims


def network(units, dropout):
    return nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 10))


study = Study(
    data="digits",
    network=network,
    space={"units": Int(8, 64, log=True), "dropout": Float(0, 0.6), "lr": Float(1e-3, 1e-1, log=True)},
    baseline={"units": 25, "dropout": 0.0, "lr": 0.02},
    fixed=[{"units": 40}],
    claims=[claims.better({"dropout": 0.2}, than={"dropout": 0.0}, by=0.005)],
    epochs=6,
)
'''


def written(directory: Path, old: str = "", new: str = "", name: str = "digits_study.py") -> Path:
    """Write the file, with some of its text replaced, and return its path."""
    assert old in DIGITS
    path = directory / name
    path.write_text(DIGITS.replace(old, new, 1) if old else DIGITS, encoding="utf-8")
    return path
