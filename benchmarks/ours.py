"""The job as sweetspot does it: what `search.run --confirm-seeds 0` does once the data are loaded.

python -m benchmarks.ours --trials 50 --epochs 100
python -m benchmarks.ours --room 1024                a fleet of another size
"""

import tempfile
import time

from rich.console import Console

from benchmarks.clocked import Clocked
from benchmarks.peers.job import asked, ran, tell
from model.data import load
from model.training import choose_device
from search.artifacts import Artifacts, artifact_dir
from search.display import watch
from search.engine import ROOM, Engine
from search.ledger import open_ledger
from search.storage import open_storage
from studies.sweet_spot import sweet_spot


def main() -> None:
    """Run the job and print how it went."""
    import torchmetrics.classification  # noqa: F401, PLC0415  # trials are scored with it; time begins with all loaded

    options = asked("Ours.", storage="", room=0)
    place = choose_device()
    data = load(device=place)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        storage = open_storage(options.storage or f"sqlite:///{directory}/study.db", create=True)
        ledger = Clocked(open_ledger(storage, sweet_spot(epochs=options.epochs), options.seed))
        ledger.aim(options.trials)
        shelf = Artifacts(storage, ledger.study, artifact_dir(storage))
        with watch(ledger, options.trials, Console(stderr=True)) as listener:
            Engine(ledger, data, options.room or ROOM[place.type], listener, shelf.keep).search(lambda: False)
        seconds = time.perf_counter() - start
        tell("ours", options, seconds, ran(ledger.study.trials), sql=ledger.summary())


if __name__ == "__main__":
    main()
