"""What a study states of data that are the same everywhere, without reading them: it may be asked for where they are
not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from model.data.mnist import FILES
from model.data.raw import content_hash
from model.data.split import SPLIT_SEED


class Described(Protocol):
    """What a study must know of its data before it trains; a `Dataset` knows it, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""

    @property
    def classes(self) -> int | None:
        """None where the target is a number."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what a study stores of its data and compares on resume."""


@dataclass(frozen=True)
class Facts:
    """Data described by their name."""

    shape: tuple[int, ...]
    classes: int | None
    stated: Mapping[str, Any]

    def fingerprint(self) -> dict[str, Any]:
        """Return what `Dataset.fingerprint` would."""
        return dict(self.stated)


KNOWN: Mapping[str, Facts] = {
    "mnist": Facts(
        shape=(28, 28),
        classes=10,
        stated={
            "name": "mnist",
            "sha256": content_hash((name, digest) for name, (_, digest) in FILES.items()),
            "seed": SPLIT_SEED,
            "train": 50_000,
            "validation": 10_000,
            "test": 10_000,
            "stratified": True,
        },
    )
}
