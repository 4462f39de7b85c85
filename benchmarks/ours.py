"""The job as sweetspot does it: what `search.run --confirm-seeds 0` does once the data are loaded.

python -m benchmarks.ours --trials 50 --epochs 100
python -m benchmarks.ours --capacity 1024                a fleet of another size
python -m benchmarks.ours --precision bfloat16           with products in bfloat16
"""

import tempfile
import time
from typing import Any

from rich.console import Console

from benchmarks.clocked import Clocked
from benchmarks.peers.job import Begun, asked, ran, tell
from model.data.dataset import open_dataset
from model.device import choose_device
from search.store.storage import open_storage
from search.store.study import open_study
from search.training.artifacts import Artifacts, artifact_dir
from search.training.display import watch
from search.training.engine import CAPACITY, Engine
from studies.spec import PRECISION
from studies.sweet_spot import sweet_spot


def main() -> None:
    """Run the job and print how it went."""
    import torchmetrics.classification  # noqa: F401, PLC0415  # trials are scored with it; time begins with all loaded

    options = asked("Ours.", storage="", capacity=0, precision=PRECISION)
    place = choose_device()
    data = open_dataset("mnist", place)
    with tempfile.TemporaryDirectory() as directory:
        start, begun = time.perf_counter(), Begun()
        storage = open_storage(options.storage or f"sqlite:///{directory}/study.db", create=True)
        spec = sweet_spot(epochs=options.epochs, precision=options.precision)
        store: Any = Clocked(open_study(storage, spec, options.seed))
        store.set_budget(options.trials)
        artifact_store = Artifacts(storage, store.study, artifact_dir(storage))
        with watch(store, options.trials, Console(stderr=True)) as listener:
            Engine(store, data, options.capacity or CAPACITY[place.type], listener, artifact_store.keep).search(
                lambda: False
            )
        seconds = time.perf_counter() - start
        tell("ours", options, seconds, ran(store.study.trials), begun, sql=store.summary())


if __name__ == "__main__":
    main()
