"""The main job: `python -m search.run --trials 50` searches, and resumes where it was interrupted."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from model.data import default_data_dir, load
from model.training import choose_device, describe
from search import cli
from search.artifacts import Artifacts, artifact_dir
from search.confirm import confirm_search
from search.crew import Crew
from search.display import watch
from search.engine import ROOM, Engine
from search.findings import document, findings
from search.ledger import Ledger, open_ledger, stored_epochs
from search.publish import publish_run
from search.report import show
from search.signals import Stop
from search.storage import open_storage, parse_url, shown
from search.summary import baseline_of, curve_text, ranking, table, trial_json, value, width_curve
from studies.confirm import EPOCHS, SEEDS
from studies.sweet_spot import ARTICLE_EPOCHS, sweet_spot


def run(  # noqa: PLR0917  # Typer passes options by name
    trials: Annotated[int, typer.Option(min=1, max=1_000_000, help="Finished trials the study is to have.")] = 50,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Epochs of a full trial.  [default: the study's, or 100]")
    ] = None,
    device: cli.DeviceOption = "auto",
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of a new study.  [default: the study's, or 0]")
    ] = None,
    data_dir: cli.DataOption = None,
    artifacts: cli.ArtifactOption = None,
    fleet_size: Annotated[
        int | None,
        typer.Option(min=16, max=65_536, help="Hidden units trained side by side.  [default: by device]"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes of this machine that share the work.")] = 1,
    confirm_seeds: Annotated[
        int, typer.Option(min=0, max=10_000, help="Fresh seeds on which to confirm what was found; 0 skips it.")
    ] = SEEDS,
    confirm_epochs: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help=f"Epochs of a confirming run.  [default: the study's, or {EPOCHS}]"),
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds after which to give open trials back.")] = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Search until the study has so many finished trials, then confirm on fresh seeds what was found, and judge it."""
    cli.set_up_logging(verbose)
    place, name, url = choose_device(device), cli.check_study_name(study), parse_url(storage)
    directory = data_dir or default_data_dir()
    if not as_json:
        cli.out.print(f"device {describe(place)} · data {directory} · storage {shown(url)}", markup=False)
    data = load(directory, place, cli.err.print)
    ledger = _open(storage, name, epochs, seed)
    console = cli.err if as_json else cli.out
    room = fleet_size or ROOM[place.type]
    ledger.aim(trials)
    shelf = Artifacts(ledger.storage, ledger.study, artifact_dir(ledger.storage, artifacts))
    with Stop(timeout) as stop:
        todo = _something_to_do(ledger, trials, console)
        if workers > 1:
            options = crew_options(trials, name, place, directory, fleet_size, confirm_seeds, confirm_epochs)
            Crew(ledger, [*options, f"--artifact-dir={shelf.directory}"], workers).work(trials, console, stop)
        elif todo:
            with watch(ledger, trials, console) as listener:
                Engine(ledger, data, room, listener, shelf.keep).search(trials, stop)
        if not as_json:
            _report(ledger, trials, stop)
        confirmed = confirm_search(ledger, data, confirm_seeds, confirm_epochs, room, console=console, stop=stop)
    publish_run(shelf, data, confirmed)
    _conclude(ledger, trials, confirmed, as_json)
    return 0 if stop.signal is None else 128 + stop.signal


def crew_options(trials: int, name: str, place: torch.device, directory: Path, *others: int | None) -> list[str]:
    """Return the options of a worker: those of this command without the storage, which `ps` would show."""
    names = ("--fleet-size", "--confirm-seeds", "--confirm-epochs")
    given = [f"{option}={value}" for option, value in zip(names, others, strict=True) if value is not None]
    return [f"--trials={trials}", f"--study={name}", f"--device={place}", f"--data-dir={directory}", *given]


def _open(storage: str, name: str, epochs: int | None, seed: int | None) -> Ledger:
    database = open_storage(storage, create=True)
    return open_ledger(database, sweet_spot(name, epochs or stored_epochs(database, name) or ARTICLE_EPOCHS), seed)


def _something_to_do(ledger: Ledger, budget: int, console: Console) -> bool:
    counts = ledger.counts()
    if counts.finished >= budget:
        console.print(f"the study already has {counts.finished} finished trials, --trials {budget} asks for no more")
    elif counts.finished or counts.waiting > 1:
        console.print(f"going on with {counts.finished} finished trials and {counts.waiting} given back")
    return counts.finished < budget


def _report(ledger: Ledger, budget: int, stop: Stop) -> None:
    counts = ledger.counts()
    ranked = ranking(ledger.study)
    cli.out.print(
        f"\n{counts.finished} of {budget} trials: {counts.complete} complete, {counts.pruned} pruned; "
        f"{counts.failed} failed and replaced"
    )
    if stop():
        why = "interrupted" if stop.signal else "timeout reached"
        cli.out.print(f"{why}: {counts.waiting} open trials given back; run the same command to go on")
    cli.out.print(table(ranked[0] if ranked else None, baseline_of(ranked)))
    cli.out.print("\nbest validation accuracy by hidden units")
    for line in curve_text(width_curve(ledger.study)):
        cli.out.print(line, markup=False)


def _conclude(ledger: Ledger, budget: int, confirmed: bool, as_json: bool) -> None:
    """Print the verdict, if there is one, and what to do next; or everything at once as JSON."""
    found = findings(ledger.storage, ledger.study.study_name) if confirmed else None
    if as_json:
        verdict = document(found) if found else None
        cli.out.print_json(json.dumps({**summary(ledger, budget), "verdict": verdict}))
        return
    if found:
        show(found, cli.out)
    cli.out.print("\nnext:")
    for command in next_commands(ledger):
        cli.out.print(f"  {command}", markup=False)


def summary(ledger: Ledger, budget: int) -> dict[str, Any]:
    """Return the study's state as JSON types: counts, best, baseline, their difference, and the curve by width."""
    counts, ranked = ledger.counts(), ranking(ledger.study)
    best, baseline = (ranked[0] if ranked else None), baseline_of(ranked)
    return {
        "study": ledger.study.study_name,
        "storage": shown(ledger.storage.url),
        "budget": budget,
        "counts": {**vars(counts), "finished": counts.finished},
        "best": trial_json(best) if best else None,
        "baseline": trial_json(baseline) if baseline else None,
        "difference": value(best) - value(baseline) if best and baseline else None,
        "widths": [
            {"low": b.low, "high": b.high, "trials": b.trials, "best": trial_json(b.best) if b.best else None}
            for b in width_curve(ledger.study)
        ],
        "torch": torch.__version__,
    }


def next_commands(ledger: Ledger) -> list[str]:
    """Return the commands a user is likely to want next, ready to paste; a password is not among them."""
    url, study = ledger.storage.url, ledger.study.study_name
    options = "" if study == cli.STUDY else f" --study {shlex.quote(study)}"
    place = f" --storage {shlex.quote(shown(url))}"
    best = ranking(ledger.study)
    rerun = [f"python -m search.rerun {best[0].number}{options}{place}"] if best else []
    return [
        f"python -m search.best{options}{place}",
        f"python -m search.baseline{options}{place}",
        *rerun,
        f"python -m search.report --html report.html{options}{place}",
        f"python -m search.dashboard{options}{place}",
    ]


main = cli.entry(run, "search.run")

if __name__ == "__main__":
    main()
