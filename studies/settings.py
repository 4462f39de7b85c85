"""Settings: values of parameters, as claims name them and runs are trained with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Setting(Mapping[str, Any]):
    """Parameters and their values, hashable, whatever the order they were given in."""

    pairs: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Setting":
        """Return the setting of these parameters."""
        return cls(tuple(sorted(params.items(), key=lambda item: item[0])))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _values(self) -> dict[str, Any]:
        return dict(self.pairs)

    @cached_property
    def _hash(self) -> int:  # kept: settings are the keys of all that is looked up
        return hash(self.pairs)

    @cached_property
    def _order(self) -> tuple[tuple[str, bool, float, str], ...]:
        return tuple((name, *_rank(value)) for name, value in self.pairs)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __str__(self) -> str:
        return ", ".join(f"{name}={short(value)}" for name, value in self.pairs)

    def over(self, defaults: Mapping[str, Any]) -> "Setting":
        """Return the setting with what it lacks taken from `defaults`."""
        return Setting.of({**defaults, **self})

    def put(self, name: str, value: Any) -> "Setting":
        """Return the setting with one value replaced."""
        return Setting.of({**self, name: value})

    def without(self, names: Iterable[str]) -> "Setting":
        """Return what is left without these parameters."""
        dropped = set(names)
        return Setting(tuple(item for item in self.pairs if item[0] not in dropped))

    def holds(self, part: Mapping[str, Any]) -> bool:
        """Say whether all of these parameters have these values here."""
        return all(name in self and self[name] == value for name, value in part.items())

    def order(self) -> tuple[tuple[str, bool, float, str], ...]:
        """Return what settings are sorted by: numbers by size, before words."""
        return self._order


def _rank(value: Any) -> tuple[bool, float, str]:
    number = is_number(value)
    return (not number, float(value) if number else 0.0, "" if number else str(value))


def is_number(value: Any) -> bool:
    """Say whether a value has a size; True and False have none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: Any) -> str:
    """Write a value as briefly as it can be told."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
