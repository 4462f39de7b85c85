"""How much of its fleets' room did a finished search leave idle?

    python -m benchmarks.capacity --storage sqlite:///sweetspot.db --study sweet-spot

Every trial stores its width and its segments: in which fleet, from which epoch of its clock on, how many epochs. So the
whole occupancy can be read from SQL. That of one process which ran from start to end: a resumed one begins at epoch 0
again.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from benchmarks import results
from search.cli import STORAGE, STUDY
from search.store.storage import open_storage
from search.store.study import load_study
from search.training.engine import CAPACITY


@dataclass(frozen=True)
class Stay:
    """A trial's time in a fleet."""

    width: int
    first_epoch: int
    epochs: int


@dataclass(frozen=True)
class Use:
    """Rows times epochs."""

    epochs: int  # of all fleets
    capacity: int  # what the fleet had: its size, or more where the last newcomer exceeded it
    idle: int  # of it: not taken


def use(stays: Iterable[Stay], capacity: int) -> Use:
    """Return what became of the rows of a fleet of this size over all its epochs.

    Raises `ValueError` if the trials did not all train in one fleet: more rows at once than any fleet takes.
    """
    stays = list(stays)
    taken = [0] * max(stay.first_epoch + stay.epochs for stay in stays)
    for stay in stays:
        for epoch in range(stay.first_epoch, stay.first_epoch + stay.epochs):
            taken[epoch] += stay.width
    if max(taken) >= capacity + max(stay.width for stay in stays):
        raise ValueError(f"{max(taken)} rows at once in a fleet of {capacity}: several processes trained these trials")
    return Use(
        epochs=len(taken),
        capacity=sum(max(capacity, rows) for rows in taken),
        idle=sum(max(0, capacity - rows) for rows in taken),
    )


def use_of_all(fleets: Sequence[Sequence[Stay]], capacity: int) -> Use:
    """Return what became of the rows of several fleets that had equal shares of the room. Raises as `use` does."""
    uses = [astuple(use(stays, capacity // len(fleets))) for stays in fleets]
    return Use(*map(sum, zip(*uses, strict=True)))


def epochs_alone(segments: Iterable[Sequence[int]]) -> int:
    """Return in how many epochs a fleet had the threads of all, since the others had no networks."""
    threads = {(fleet, clock + k): threads for fleet, clock, epochs, *threads in segments for k in range(epochs)}
    return sum(each > min(threads.values()) for each in threads.values())


def report(found: Use, trials: int, fleets: int, capacity: int, alone: int) -> str:
    """Return the section."""
    empty = alone * (capacity - capacity // fleets)  # room of those that had no networks
    rows = [
        ["idle room", f"{100 * found.idle / found.capacity:.1f} %"],
        ["with the room of fleets without networks", f"{100 * (found.idle + empty) / (found.capacity + empty):.1f} %"],
    ]
    return "\n\n".join(
        [
            f"A search of {trials} trials in one process, {capacity} rows in {fleets} fleets, {found.epochs} epochs:"
            f" {alone} by a fleet that had the threads of all, since the others had no networks.",
            results.machine(),
            results.table(["share of rows x epochs", "share"], rows),
        ]
    )


def main() -> int:
    """Read a finished search and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", default=STORAGE)
    parser.add_argument("--study", default=STUDY)
    parser.add_argument("--fleet-size", type=int, default=CAPACITY["cpu"])
    asked = parser.parse_args()
    trials = load_study(open_storage(asked.storage, create=False), asked.study).get_trials(deepcopy=False)
    fleets: dict[int, list[Stay]] = {}
    for trial in trials:
        for fleet, clock, epochs, *_ in trial.user_attrs.get("stints", []):
            fleets.setdefault(fleet, []).append(Stay(trial.params["hidden_units"], clock, epochs))
    if not fleets:
        print(f"error: no trial of study {asked.study!r} says which fleet trained it; search anew", file=sys.stderr)
        return 2
    found = use_of_all(list(fleets.values()), asked.fleet_size)
    searched = [trial.user_attrs["stints"] for trial in trials if "stints" in trial.user_attrs]
    alone = epochs_alone(segment for segments in searched for segment in segments)
    results.write("room", report(found, len(searched), len(fleets), asked.fleet_size, alone))
    return 0


if __name__ == "__main__":
    sys.exit(main())
