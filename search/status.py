"""How a study is getting on, whoever works on it: `python -m search.status`."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import optuna
import typer
from optuna.trial import FrozenTrial
from rich.table import Table

from search import cli
from search.ledger import FINISHED, count, load_study
from search.queueing import GRACE_SECONDS, sweep
from search.storage import Storage, open_storage, shown

RECENT = timedelta(minutes=10)  # over which the rate is measured


@dataclass(frozen=True)
class Worker:
    """A process that has trials running."""

    name: str  # host:process:token
    trials: list[int]  # numbers
    heartbeat: float  # seconds since its last one, by the database's clock


def status(
    trials: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Finished trials to wait for.  [default: as last asked]")
    ] = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Show counts by state, who works on a study, how fast and for how long; queue again what dead workers left."""
    cli.set_up_logging(verbose)
    opened = open_storage(storage, create=False)
    document = opened.patiently(lambda: state(opened, load_study(opened, study), trials))
    if as_json:
        cli.out.print_json(json.dumps(document))
    else:
        _print(document)


def state(storage: Storage, study: optuna.Study, budget: int | None = None) -> dict[str, Any]:
    """Return the study's state as JSON types, after stale trials have been swept."""
    ours = "fingerprint" in study.user_attrs
    swept = sweep(storage, study) if ours else []
    ages = storage.ages(study._study_id)
    everything, counts = study.get_trials(deepcopy=False), count(study)
    budget = budget or study.user_attrs.get("budget")
    rate = _rate(everything, datetime.now())
    left = max(0, budget - counts.finished) if budget else None
    return {
        "study": study.study_name,
        "question": study.user_attrs.get("question"),
        "storage": shown(storage.url),
        "budget": budget,
        "counts": {**vars(counts), "finished": counts.finished},
        "workers": [asdict(worker) for worker in workers(everything, ages)],
        "stale": [{"number": trial.number, "worker": trial.user_attrs.get("worker")} for trial in swept],
        "trials_per_minute": rate,
        "minutes_left": left / rate if left is not None and rate else None,
    }


def workers(trials: Sequence[FrozenTrial], ages: Mapping[int, float]) -> list[Worker]:
    """Return who has trials running, by name."""
    running = defaultdict(list)
    for trial in trials:
        if trial._trial_id in ages:
            running[trial.user_attrs.get("worker", "unknown")].append(trial)
    return [
        Worker(name, [trial.number for trial in theirs], min(ages[trial._trial_id] for trial in theirs))
        for name, theirs in sorted(running.items())
    ]


def _rate(trials: Sequence[FrozenTrial], now: datetime) -> float | None:
    """Return trials finished per minute, lately; None if there were none."""
    ends = [trial.datetime_complete for trial in trials if trial.state in FINISHED and trial.datetime_complete]
    recent = [end for end in ends if now - end <= RECENT]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    if not recent or not starts:
        return None
    window = now - max(min(starts), now - RECENT)
    return len(recent) / max(window / timedelta(minutes=1), 1e-3)


def _print(document: Mapping[str, Any]) -> None:
    counts, budget = document["counts"], document["budget"]
    cli.out.print(f"study {document['study']!r} in {document['storage']}", markup=False)
    if document["question"]:
        cli.out.print(document["question"], markup=False)
    states = ", ".join(f"{counts[name]} {name}" for name in ("complete", "pruned", "failed", "running", "waiting"))
    cli.out.print(f"{counts['finished']}{f' of {budget}' if budget else ''} trials finished: {states}", markup=False)
    rate, left = document["trials_per_minute"], document["minutes_left"]
    if rate:
        cli.out.print(f"{rate:.1f} trials a minute" + (f", about {left:.0f} min left" if left else ""), markup=False)
    for trial in document["stale"]:
        cli.out.print(f"trial {trial['number']} was stale ({trial['worker']}) and has been failed", markup=False)
    cli.out.print(_table(document["workers"]) if document["workers"] else "no worker has a trial running")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("worker", "last heartbeat", "trials"):
        table.add_column(title)
    for row in rows:
        late = " (stale soon)" if row["heartbeat"] > GRACE_SECONDS / 2 else ""
        table.add_row(row["name"], f"{row['heartbeat']:.0f} s ago{late}", ", ".join(map(str, row["trials"])))
    return table


main = cli.entry(status, "search.status")

if __name__ == "__main__":
    main()
