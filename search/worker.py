"""A service that works on every study of a database, one after another: `python -m search.worker`."""

from collections.abc import Mapping
from typing import Annotated

import typer

from model.device import choose_device, describe, devices_of
from search import cli
from search.errors import StorageError
from search.signals import Stop
from search.store.storage import open_storage
from search.store.url import parse_url, redacted
from search.training.engine import CAPACITY
from search.workers.catalogue import Catalogue
from search.workers.local import sharing
from search.workers.service import POLL_SECONDS, Worker
from search.workers.several import serve_on


def worker(  # noqa: PLR0917  # Typer passes options by name
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    studies: cli.StudiesOption = None,
    artifacts: cli.ArtifactOption = None,
    fleet_size: cli.FleetOption = None,
    poll: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two looks for studies, when there are none.")
    ] = POLL_SECONDS,
    workers: cli.WorkersOption = "1",
    timeout: cli.TimeoutOption = None,
    verbose: cli.VerboseOption = False,
) -> int:
    """Work on every study of the database that has trials left to do, oldest first, until a signal ends it."""
    cli.set_up_logging(verbose)
    torch_device, url = choose_device(device), parse_url(storage)
    devices = devices_of(torch_device, cli.workers_asked(workers))
    cli.warn_of_rounding()
    if len(devices) > 1:
        cli.out.print(f"{sharing(devices)} · storage {redacted(url)}", markup=False)
        given = {"data-dir": data_dir, "studies": studies, "artifact-dir": artifacts, "fleet-size": fleet_size}
        options = _options({**given, "poll": poll, "timeout": timeout}, verbose=verbose)
        with Stop(None) as stop:  # each knows the timeout itself
            code = serve_on(devices, options, storage, stop)
        return code if stop.signal is None else 128 + stop.signal
    cli.out.print(f"device {describe(torch_device)} · storage {redacted(url)}", markup=False)
    catalogue = Catalogue(torch_device, data_dir, studies, cli.err.print)
    with Stop(timeout) as stop:
        try:
            opened = open_storage(storage, create=True, stop=stop)
            Worker(opened, catalogue, fleet_size or CAPACITY[torch_device.type], artifacts, cli.out, stop).serve(poll)
        except StorageError:
            if stop.signal is None:
                raise
    return 0 if stop.signal is None else 128 + stop.signal


def _options(given: Mapping[str, object], *, verbose: bool) -> list[str]:
    """Return the options of this command, for another process of it."""
    return [*(f"--{name}={value}" for name, value in given.items() if value is not None), *["--verbose"] * verbose]


main = cli.entry(worker, "search.worker")

if __name__ == "__main__":
    main()
