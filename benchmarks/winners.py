"""What is the setting worth that a search ends with? Trained again from fresh seeds, and scored on the test images.

    python -m benchmarks.winners

The accuracy of a search's best trial is a maximum over the luck of its trials, and the more of them train to their end,
the luckier it is. This is the same for every contender: it reads the results of `benchmarks.whole_job`, trains each
winner's setting anew and adds a line to them; `benchmarks.whole_job --rounds 0` then writes the table.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import commit
from benchmarks.rounds import measured
from benchmarks.whole_job_table import FRESH
from model.data.dataset import open_dataset
from model.data.samples import Parts
from model.fleet.fleets import Fleets
from model.network.member import BaseMember
from model.network.scoring import evaluate
from model.seeds import derive
from search.training.engine import CAPACITY
from studies.sweet_spot import article_network


def accuracies(settings: Sequence[tuple[int, float, int]], epochs: int, data: Parts) -> Iterator[tuple[int, float]]:
    """Yield each setting's place and test accuracy as it is trained: hidden units, learning rate and seed."""
    waiting, training = list(enumerate(settings))[::-1], dict[BaseMember, int]()
    with Fleets(data.train, derive(0, "winners")) as fleets:
        while waiting or training:
            while waiting and (fleet := fleets.least_loaded(CAPACITY["cpu"])) is not None:
                place, (width, lr, seed) = waiting.pop()
                training[fleet.add(article_network(width, derive(seed, "winners")), lr)] = place
            fleet, _ = fleets.train_next()
            for member in [member for member in fleet.members if member.epochs_trained == epochs]:
                fleet.detach(member)
                yield training.pop(member), evaluate(member.network(), data.test).accuracy


def missing(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the jobs that have a winner which was not trained again."""
    done = {(line["of"], line["seed"], line["trials"], line["epochs"]) for line in lines if line["name"] == FRESH}
    keys = ("name", "seed", "trials", "epochs")
    return [line for line in lines if line.get("winner") and tuple(line[key] for key in keys) not in done]


def main() -> None:
    """Train the winners and append what they reach."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/whole_job.jsonl"))
    parser.add_argument("--seeds", type=int, default=2, help="for each winner")
    asked = parser.parse_args()
    by_epochs = defaultdict(list)
    for line in missing(measured(asked.results)):
        by_epochs[line["epochs"]].append(line)
    data = open_dataset("mnist")
    for epochs, jobs in by_epochs.items():
        settings = [(*line["winner"], seed) for line in jobs for seed in range(asked.seeds)]
        found: dict[int, list[float]] = defaultdict(list)
        for place, accuracy in accuracies(settings, epochs, data):
            k = place // asked.seeds
            found[k].append(accuracy)
            if len(found[k]) == asked.seeds:  # at once, so that an interruption loses no job that is done
                _add(asked.results, jobs[k], found[k])


def _add(results: Path, job: dict[str, Any], test: list[float]) -> None:
    same = {key: job[key] for key in ("seed", "trials", "epochs", "winner", "machine")}
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": FRESH, "of": job["name"], "test": test, **same, "commit": commit()}) + "\n")


if __name__ == "__main__":
    main()
