"""The main job: `python -m search.run --trials 50` searches, and resumes where it was interrupted."""

import shlex
from typing import Annotated

import typer
from rich.console import Console

from model.data.dataset import Dataset
from model.device import choose_device, describe, devices_of
from model.fleet.speed import bfloat16_gain
from model.network.arithmetic import Precision
from model.network.way import has_units
from search import cli
from search.errors import UsageError
from search.results.precision import largest, precision_text, slower_text
from search.results.search_text import show_search
from search.results.summary import next_commands, study_options, summary
from search.results.verdict_text import show
from search.signals import Stop, is_worker
from search.store.request import Request, submit
from search.store.state import StudyState
from search.store.storage import open_storage
from search.store.study import StudyStore, open_study
from search.store.url import is_file, parse_url, redacted
from search.training.engine import CAPACITY
from search.verdict.boundary import FIRST
from search.verdict.findings import Findings, document
from search.workers.catalogue import Catalogue, data_name, name_of
from search.workers.job import Job
from search.workers.local import local_workers, sharing
from search.workers.ray_cluster import RayCluster
from studies.built_in import DEFAULT
from studies.confirmation import EPOCHS, SEEDS
from studies.file import StudyFile
from studies.wider import Wider, ranges_of

TrialsOption = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="Finished trials the study is to have, at least.")
]
EpochsOption = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="Epochs of a full trial.  [default: the study's, or 100]")
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(help="Of the products of a new study's training.  [default: the study's, or float32]"),
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, max=2**32 - 1, help="Seed of a new study.  [default: the study's, or 0]")
]
ConfirmSeedsOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=10_000,
        help="Fresh seeds on which to confirm what was found, at most: it ends when all claims are settled. 0 skips "
        f"it, fewer than {FIRST} settle nothing.  [default: the study's, or {SEEDS}]",
    ),
]
ConfirmEpochsOption = Annotated[
    int | None,
    typer.Option(min=1, max=10_000, help=f"Epochs of a confirming run.  [default: the study's, or {EPOCHS}]"),
]
ConfirmMinutesOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=100_000, help="Minutes of confirming runs, all workers' together, after which no seed is added."
    ),
]
RayOption = Annotated[
    str | None, typer.Option(help="Ray cluster whose nodes the workers go to: auto, HOST:PORT or ray://HOST:PORT.")
]
RayCpusOption = Annotated[float, typer.Option(min=0.01, max=1024, help="Cores of a worker on Ray.")]
RayGpusOption = Annotated[float, typer.Option(min=0, help="1 for a GPU of its own for a worker on Ray, or a share.")]
WidenOption = Annotated[
    list[str] | None,
    typer.Option(help="A wider range of a new study, with --from; once for each parameter.", metavar="NAME=LOW:HIGH"),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", help="With --widen: the study whose finished trials the new one begins with.", metavar="OLD"
    ),
]
DetachOption = Annotated[bool, typer.Option("--detach", help="Only ask for it: search.worker does the work.")]


def run(  # noqa: PLR0917  # Typer passes options by name
    question: cli.QuestionArgument = DEFAULT,
    trials: TrialsOption = 50,
    study: cli.StudyNameOption = None,
    storage: cli.StorageOption = cli.STORAGE,
    epochs: EpochsOption = None,
    device: cli.DeviceOption = "auto",
    precision: PrecisionOption = None,
    seed: SeedOption = None,
    data_dir: cli.DataOption = None,
    studies: cli.StudiesOption = None,
    artifacts: cli.ArtifactOption = None,
    fleet_size: cli.FleetOption = None,
    workers: cli.WorkersOption = "1",
    confirm_seeds: ConfirmSeedsOption = None,
    confirm_epochs: ConfirmEpochsOption = None,
    confirm_minutes: ConfirmMinutesOption = None,
    ray: RayOption = None,
    ray_cpus: RayCpusOption = 1.0,
    ray_gpus: RayGpusOption = 0.0,
    widen: WidenOption = None,
    source: FromOption = None,
    timeout: cli.TimeoutOption = None,
    detach: DetachOption = False,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Search until the study has so many finished trials, then confirm on fresh seeds what was found, and judge it."""
    cli.set_up_logging(verbose)
    name, url = cli.check_study_name(name_of(question) if study is None else study), parse_url(storage)
    wider = _wider(widen or [], source, name)
    torch_device, asked = choose_device(device), cli.workers_asked(workers)
    devices = devices_of(torch_device, asked)
    catalogue = Catalogue(torch_device, data_dir, studies, cli.err.print)
    if detach:
        _check_detached(workers, timeout, fleet_size, device, ray)
        store = _opened(storage, catalogue, catalogue.read(question), name, epochs, seed, wider, precision)
        _tell(store, submit(store, trials, confirm_seeds, confirm_epochs, confirm_minutes), as_json)
        return 0
    cli.warn_of_rounding()
    cluster = _cluster(ray, ray_cpus, ray_gpus, device, shared=not is_file(url))  # before anything is loaded or written
    console = cli.err if as_json else cli.out
    file = catalogue.read(question, check=not is_worker())
    data = catalogue.data_of(file)
    store = _opened(storage, catalogue, file, name, epochs, seed, wider, precision)
    if not as_json:
        trains = not is_worker() and store.counts().finished < trials
        _begin(store, data, f"device {describe(torch_device)}", f"storage {redacted(url)}", look=trains)
        console.print(f"study {name!r} on {data_name(file)}: {store.spec.question} {store.spec.method}", markup=False)
    if not is_worker():
        submit(store, trials, confirm_seeds, confirm_epochs, confirm_minutes)
    with Stop(timeout) as stop:
        job = Job(store, data, fleet_size or CAPACITY[torch_device.type], artifacts, console, stop)
        todo = _something_to_do(store, trials, console)
        if cluster is not None:
            count = cluster.fitting() if asked is None else asked
            job.search_by_workers(cluster.workers(store, device, data_dir, artifacts, fleet_size, question), count)
        elif len(devices) > 1:
            console.print(sharing(devices), markup=False)
            start_worker = local_workers(store, devices, data_dir, job.artifacts.directory, fleet_size, question)
            job.search_by_workers(start_worker, len(devices))
        elif todo:
            job.search()
        state = store.state()
        if not as_json:
            _report(state, _why_it_ended(job, stop))
        found = job.conclude()
    _conclude(state, found, as_json)
    return 0 if stop.signal is None else 128 + stop.signal


def _begin(store: StudyStore, data: Dataset, device: str, storage: str, *, look: bool) -> None:
    """Say where and how a study trains and, after a look that takes a moment, if another precision would be faster."""
    spec, precision = store.spec, store.spec.family.precision
    gain = bfloat16_gain(spec.family, largest(spec), data.train, spec.batch) if look else None
    cli.out.print(" · ".join([device, precision_text(precision, gain), storage]), markup=False)
    if not is_worker() and (line := slower_text(precision, gain, has_units(data.train.device))) is not None:
        cli.out.print(line, markup=False)


def _cluster(address: str | None, cpus: float, gpus: float, device: str, *, shared: bool) -> RayCluster | None:
    """Connect to the Ray cluster, if one is given."""
    if address is None and (cpus, gpus) != (1.0, 0.0):
        raise UsageError("--ray-cpus and --ray-gpus say what a worker takes of a Ray cluster: name it by --ray")
    if address is not None and not shared:
        raise UsageError("--ray: nodes cannot share an SQLite file; use --storage postgresql://USER:PASSWORD@HOST/NAME")
    if gpus and ":" in device:
        raise UsageError(f"--device {device}: with --ray-gpus Ray says which card a worker has; ask for --device cuda")
    return None if address is None else RayCluster(address, cpus, gpus)


def _check_detached(workers: str, timeout: float | None, fleet_size: int | None, device: str, ray: str | None) -> None:
    """Refuse what only a process that trains can heed."""
    given = {"--ray": ray is not None, "--workers": workers != "1"}
    given |= {"--timeout": timeout is not None, "--fleet-size": fleet_size is not None}
    wrong = [option for option, is_given in {**given, "--device": device != "auto"}.items() if is_given]
    if wrong:
        raise UsageError(f"--detach trains nothing: leave out {wrong[0]}, or give it to search.worker")


def _tell(store: StudyStore, request: Request, as_json: bool) -> None:
    """Say what a detached study is called and how to follow it."""
    name, storage = store.study.study_name, redacted(store.storage.url)
    commands = {
        "follow": f"python -m search.status --watch{study_options(name, storage)}",
        "work": f"python -m search.worker --storage {shlex.quote(storage)}",
    }
    if as_json:
        asked = {"budget": request.budget, "confirm": request.confirm}
        cli.print_json({"study": name, "storage": storage, **asked, **commands})
        return
    cli.out.print(
        f"study {name!r} is to have {request.budget} trials; any search.worker on its storage trains them", markup=False
    )
    cli.out.print(f"follow it:    {commands['follow']}\nwork on it:   {commands['work']}", markup=False)


def _opened(  # noqa: PLR0917
    storage: str,
    catalogue: Catalogue,
    file: StudyFile,
    name: str,
    epochs: int | None,
    seed: int | None,
    wider: Wider | None,
    precision: Precision | None,
) -> StudyStore:
    database = open_storage(storage, create=wider is None)
    return open_study(database, catalogue.spec(file, database, name, epochs, wider, precision=precision), seed)


def _wider(texts: list[str], source: str | None, name: str) -> Wider | None:
    """Return what --widen and --from ask for. Raises `UsageError` and `SpaceError`."""
    if bool(texts) != (source is not None):
        raise UsageError("--widen and --from go together: wider ranges, and the study whose trials are begun with")
    if source == name:
        raise UsageError(f"--from {source}: wider ranges are searched as a new study; name it by --study")
    return Wider(source, ranges_of(texts)) if source is not None else None


def _something_to_do(store: StudyStore, trials: int, console: Console) -> bool:
    counts, budget, wider = store.counts(), store.budget(), store.spec.wider
    if wider:
        ranges = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in wider.ranges.items())
        told = f"{counts.copied} trials of {wider.source!r} are known, and do not count"
        console.print(f"wider: {ranges}; {told}", markup=False)
    if counts.finished >= trials:
        console.print(f"the study already has {counts.finished} finished trials, --trials {trials} asks for no more")
    elif counts.finished or counts.waiting > len(store.spec.fixed) + bool(store.spec.baseline):  # more than a new one's
        console.print(f"going on with {counts.finished} finished trials and {counts.waiting} that wait")
    if budget > trials and budget > counts.finished:
        console.print(f"the study is to have {budget} trials, as somebody has asked; search.stop lowers that")
    return counts.finished < trials


def _why_it_ended(job: Job, stop: Stop) -> str | None:
    """Return why a search ended before its time, None if it did not."""
    if not job.halt():
        return None
    return "interrupted" if stop.signal else "stopped by search.stop" if job.halt.cancelled else "timeout reached"


def _report(state: StudyState, why: str | None) -> None:
    counts = state.counts
    cli.out.print(
        f"\n{counts.finished} of {state.budget} trials: {counts.complete} complete, {counts.pruned} pruned; "
        f"{counts.failed} failed and replaced"
    )
    if why:
        cli.out.print(f"{why}: {counts.waiting} open trials given back; run the same command to go on")
    show_search(state, cli.out)


def _conclude(state: StudyState, found: Findings | None, as_json: bool) -> None:
    """Print the verdict, if there is one, and what to do next; or everything at once as JSON."""
    if as_json:
        cli.print_json({**summary(state), "verdict": document(found) if found else None})
        return
    if found:
        show(found, cli.out)
    cli.out.print("\nnext:")
    for command in next_commands(state):
        cli.out.print(f"  {command}", markup=False)


main = cli.entry(run, "search.run")

if __name__ == "__main__":
    main()
