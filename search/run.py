"""The main job: `python -m search.run --trials 50` searches, and resumes where it was interrupted."""

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from model.data.mnist import default_data_dir, load
from model.network.scoring import choose_device, describe
from search import cli
from search.errors import UsageError
from search.report import show
from search.results.summary import baseline_of, curve_text, ranking, table, trial_json, value, width_curve
from search.signals import Stop, is_worker
from search.store.request import Request, submit
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study, stored_epochs
from search.store.url import is_file, parse_url, redacted
from search.training.engine import CAPACITY
from search.verdict.findings import document, findings
from search.workers.job import Halt, Job
from search.workers.pool import LocalWorker, WorkerPool, threads_each, worker_environment
from search.workers.ray_cluster import RayCluster
from studies.confirmation import EPOCHS, SEEDS
from studies.sweet_spot import ARTICLE_EPOCHS, sweet_spot


def run(  # noqa: PLR0917  # Typer passes options by name
    trials: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Finished trials the study is to have, at least.")
    ] = 50,
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
    fleet_size: cli.FleetOption = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes of this machine that share the work.")] = 1,
    confirm_seeds: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10_000,
            help=f"Fresh seeds on which to confirm what was found; 0 skips it.  [default: the study's, or {SEEDS}]",
        ),
    ] = None,
    confirm_epochs: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help=f"Epochs of a confirming run.  [default: the study's, or {EPOCHS}]"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Ray cluster whose nodes the workers go to: auto, HOST:PORT or ray://HOST:PORT."),
    ] = None,
    ray_cpus: Annotated[float, typer.Option(min=0.01, max=1024, help="Cores of a worker on Ray.")] = 1.0,
    ray_gpus: Annotated[float, typer.Option(min=0, max=64, help="GPUs of a worker on Ray, or a share of one.")] = 0.0,
    timeout: cli.TimeoutOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only ask for it: search.worker does the work.")] = False,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Search until the study has so many finished trials, then confirm on fresh seeds what was found, and judge it."""
    cli.set_up_logging(verbose)
    name, url = cli.check_study_name(study), parse_url(storage)
    if detach:
        _check_detached(workers, timeout, fleet_size, device, ray)
        store = _open(storage, name, epochs, seed)
        _tell(store, submit(store, trials, confirm_seeds, confirm_epochs), as_json)
        return 0
    where, directory = choose_device(device), data_dir or default_data_dir()
    cli.warn_of_rounding()
    cluster = _cluster(ray, ray_cpus, ray_gpus, shared=not is_file(url))  # before anything is loaded or written
    if not as_json:
        cli.out.print(f"device {describe(where)} · data {directory} · storage {redacted(url)}", markup=False)
    data = load(directory, where, cli.err.print)
    store = _open(storage, name, epochs, seed)
    console = cli.err if as_json else cli.out
    if not is_worker():
        submit(store, trials, confirm_seeds, confirm_epochs)
    with Stop(timeout) as stop:
        store.storage.retry.stop = stop
        job = Job(store, data, fleet_size or CAPACITY[where.type], artifacts, console, stop)
        todo = _something_to_do(store, trials, console)
        if cluster is not None:  # each node has a device, data and files of its own
            options = worker_options(store, cluster.device(device), data_dir, artifacts, fleet_size)
            environment = worker_environment(store, cluster.threads)
            WorkerPool(store, partial(cluster.start_worker, options, environment), workers).work(console, job.halt)
        elif workers > 1:
            options = worker_options(store, str(where), directory, job.artifact_store.directory, fleet_size)
            environment = worker_environment(store, threads_each(workers))
            WorkerPool(store, partial(LocalWorker, options, environment), workers).work(console, job.halt)
        elif todo:
            job.search()
        if not as_json:
            _report(store, stop, job.halt)
        confirmed = job.conclude()
    _conclude(store, confirmed, as_json)
    return 0 if stop.signal is None else 128 + stop.signal


def worker_options(
    store: StudyStore, device: str, data: Path | None, artifacts: Path | None, fleet_size: int | None
) -> list[str]:
    """Return the options of a worker: those of this command without the storage, which `ps` would show."""
    given = {"--data-dir": data, "--artifact-dir": artifacts, "--fleet-size": fleet_size}
    study = [f"--trials={store.budget()}", f"--study={store.study.study_name}", f"--device={device}"]
    return [*study, *(f"{option}={value}" for option, value in given.items() if value is not None)]


def _cluster(address: str | None, cpus: float, gpus: float, *, shared: bool) -> RayCluster | None:
    """Connect to the Ray cluster, if one is given."""
    if address is None and (cpus, gpus) != (1.0, 0.0):
        raise UsageError("--ray-cpus and --ray-gpus say what a worker takes of a Ray cluster: name it by --ray")
    if address is not None and not shared:
        raise UsageError("--ray: nodes cannot share an SQLite file; use --storage postgresql://USER:PASSWORD@HOST/NAME")
    return None if address is None else RayCluster(address, cpus, gpus)


def _check_detached(workers: int, timeout: float | None, fleet_size: int | None, device: str, ray: str | None) -> None:
    """Refuse what only a process that trains can heed."""
    given = {"--ray": ray is not None, "--workers": workers > 1}
    given |= {"--timeout": timeout is not None, "--fleet-size": fleet_size is not None}
    wrong = [option for option, is_given in {**given, "--device": device != "auto"}.items() if is_given]
    if wrong:
        raise UsageError(f"--detach trains nothing: leave out {wrong[0]}, or give it to search.worker")


def _tell(store: StudyStore, request: Request, as_json: bool) -> None:
    """Say what a detached study is called and how to follow it."""
    name, options = store.study.study_name, _options(store)
    commands = {
        "follow": f"python -m search.status --watch{options}",
        "work": f"python -m search.worker --storage {shlex.quote(redacted(store.storage.url))}",
    }
    if as_json:
        storage, confirm = redacted(store.storage.url), {"seeds": request.seeds, "epochs": request.epochs}
        document = {"study": name, "storage": storage, "budget": request.budget, "confirm": confirm, **commands}
        cli.print_json(document)
        return
    cli.out.print(
        f"study {name!r} is to have {request.budget} trials; any search.worker on its storage trains them", markup=False
    )
    cli.out.print(f"follow it:    {commands['follow']}\nwork on it:   {commands['work']}", markup=False)


def _open(storage: str, name: str, epochs: int | None, seed: int | None) -> StudyStore:
    database = open_storage(storage, create=True)
    return open_study(database, sweet_spot(name, epochs or stored_epochs(database, name) or ARTICLE_EPOCHS), seed)


def _something_to_do(store: StudyStore, trials: int, console: Console) -> bool:
    counts, budget = store.counts(), store.budget()
    if counts.finished >= trials:
        console.print(f"the study already has {counts.finished} finished trials, --trials {trials} asks for no more")
    elif counts.finished or counts.waiting > 1:
        console.print(f"going on with {counts.finished} finished trials and {counts.waiting} given back")
    if budget > trials and budget > counts.finished:
        console.print(f"the study is to have {budget} trials, as somebody has asked; search.stop lowers that")
    return counts.finished < trials


def _report(store: StudyStore, stop: Stop, halt: Halt) -> None:
    counts = store.counts()
    ranked = ranking(store.study)
    cli.out.print(
        f"\n{counts.finished} of {store.budget()} trials: {counts.complete} complete, {counts.pruned} pruned; "
        f"{counts.failed} failed and replaced"
    )
    if halt():
        why = "interrupted" if stop.signal else "stopped by search.stop" if halt.cancelled else "timeout reached"
        cli.out.print(f"{why}: {counts.waiting} open trials given back; run the same command to go on")
    cli.out.print(table(ranked[0] if ranked else None, baseline_of(ranked)))
    cli.out.print("\nbest validation accuracy by hidden units")
    for line in curve_text(width_curve(store.study)):
        cli.out.print(line, markup=False)


def _conclude(store: StudyStore, confirmed: bool, as_json: bool) -> None:
    """Print the verdict, if there is one, and what to do next; or everything at once as JSON."""
    found = findings(store.storage, store.study.study_name) if confirmed else None
    if as_json:
        verdict = document(found) if found else None
        cli.print_json({**summary(store), "verdict": verdict})
        return
    if found:
        show(found, cli.out)
    cli.out.print("\nnext:")
    for command in next_commands(store):
        cli.out.print(f"  {command}", markup=False)


def summary(store: StudyStore) -> dict[str, Any]:
    """Return the study's state as JSON types: counts, best, baseline, their difference, and the curve by width."""
    counts, ranked = store.counts(), ranking(store.study)
    best, baseline = (ranked[0] if ranked else None), baseline_of(ranked)
    bins, ends = width_curve(store.study), store.ends()
    return {
        "study": store.study.study_name,
        "storage": redacted(store.storage.url),
        "budget": store.budget(),
        "counts": {**vars(counts), "finished": counts.finished},
        "best": trial_json(best, ends) if best else None,
        "baseline": trial_json(baseline, ends) if baseline else None,
        "difference": value(best) - value(baseline) if best and baseline else None,
        "widths": [
            {"low": b.low, "high": b.high, "trials": b.trials, "best": trial_json(b.best, ends) if b.best else None}
            for b in bins
        ],
        "torch": torch.__version__,
    }


def next_commands(store: StudyStore) -> list[str]:
    """Return the commands a user is likely to want next, ready to paste; a password is not among them."""
    best, options = ranking(store.study), _options(store)
    rerun = [f"python -m search.rerun {best[0].number}{options}"] if best else []
    return [
        f"python -m search.best{options}",
        f"python -m search.baseline{options}",
        *rerun,
        f"python -m search.report --html report.html{options}",
        f"python -m search.dashboard{options}",
    ]


def _options(store: StudyStore) -> str:
    """Return the options that name this study to any command."""
    name = store.study.study_name
    study = "" if name == cli.STUDY else f" --study {shlex.quote(name)}"
    return f"{study} --storage {shlex.quote(redacted(store.storage.url))}"


main = cli.entry(run, "search.run")

if __name__ == "__main__":
    main()
