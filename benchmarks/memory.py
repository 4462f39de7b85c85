"""How much memory does a search hold, and does it grow with the trials?

    python -m benchmarks.memory

First MNIST: the resident set before and after it is loaded and a fleet trains on it. Then a long study of the real
engine on made-up data, in a process of its own: the resident set when trial 50, ..., 500 had ended. Linux only.
"""

import gc
import json
import os
import tempfile
from pathlib import Path

import optuna
import torch

from benchmarks import results
from benchmarks.faults import Pace, made_up_mnist, store_at
from benchmarks.fleets import fleet_of
from benchmarks.peers.job import asked, outcome
from model.data.dataset import open_dataset
from model.data.samples import Parts, Samples
from search.training.engine import CAPACITY, Engine
from search.training.run import Run

MB = 1e6
WIDTH = 32  # ROOM holds 16 of them


def resident() -> float:
    """Return the megabytes of this process that lie in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


class Watch(Pace):
    """A listener that notes the resident set when so many trials have ended."""

    def __init__(self, marks: list[int]) -> None:
        super().__init__()
        self.marks = marks
        self.count = 0
        self.found: dict[int, float] = {}

    def ended(self, run: Run, state: str) -> None:  # noqa: ARG002
        self.count += 1
        if self.count in self.marks:
            gc.collect()
            self.found[self.count] = resident()


def held(data: Parts) -> float:
    """Return the megabytes of all tensors of a data set; views of one storage count once."""
    parts = [part for part in vars(data).values() if isinstance(part, Samples)]
    storages = [tensor.untyped_storage() for part in parts for tensor in (part.pixels, part.targets)]
    return sum({s.data_ptr(): s.nbytes() for s in storages}.values()) / MB


def listed(images: Samples) -> float:
    """Return the megabytes of the second form of a data set's images: by what is lit."""
    often, seldom = images.lit.often, images.lit.seldom
    return sum(array.nbytes for array in (often, seldom.indices, seldom.indptr, seldom.data)) / MB


def steps() -> dict[str, float]:
    """Return the resident set as real data are loaded and trained on."""
    found = {"programs loaded": resident()}
    data = open_dataset("mnist")
    found["MNIST loaded"] = resident()
    fleet_of(data.train, [WIDTH] * (CAPACITY["cpu"] // WIDTH)).train_epoch()
    found["a full fleet trains"] = resident()
    copies = {"tensors of MNIST": held(data), "one copy": (60_000 * 784 + 60_000 * 8) / MB}
    return {**found, **copies, "the training set once more, by what is lit": listed(data.train)}


def growth(marks: list[int]) -> dict[int, float]:
    """Return the resident set of a search after so many trials."""
    watch = Watch(marks)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        store = store_at(f"sqlite:///{directory}/study.db")
        store.set_budget(max(marks))
        Engine(store, made_up_mnist(), CAPACITY["cpu"], watch).search(lambda: False)
    return watch.found


def report(found: dict[str, dict[str, float]]) -> str:
    """Return the section."""
    data, trials = found["steps"], found["growth"]
    before, *_, after = trials.values()
    return "\n\n".join(
        [
            results.machine("optuna", "sqlalchemy"),
            results.table(["real MNIST", "MB"], [[name, f"{mb:.0f}"] for name, mb in data.items()]),
            results.table(
                ["made-up data, SQLite: resident set after", "MB"],
                [[f"{name} trials", f"{mb:.1f}"] for name, mb in trials.items()],
            ),
            f"Grown by {after - before:.1f} MB, {100 * (after / before - 1):.1f} %.",
        ]
    )


def main() -> None:
    """Measure in processes of their own and write the section."""
    options = asked(__doc__.splitlines()[0], marks="50,100,200,300,400,500", part="")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    marks = [int(mark) for mark in options.marks.split(",")]
    if options.part:
        print(json.dumps(steps() if options.part == "steps" else growth(marks)))
    else:
        parts = {part: outcome("memory", "--part", part, "--marks", options.marks) for part in ("steps", "growth")}
        results.write("memory", report(parts))


if __name__ == "__main__":
    main()
