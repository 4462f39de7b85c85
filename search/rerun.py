"""Train a trial again from what is stored of it, and compare: `python -m search.rerun 17`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from optuna.trial import FrozenTrial

from model.data.mnist import load
from model.device import choose_device
from search import cli
from search.store.storage import open_storage
from search.store.study import load_study
from search.training.engine import environment
from search.training.replay import FRESH_SEEDS, Replay, compare, finished_trial, otherwise, replayed


def rerun(  # noqa: PLR0917  # Typer passes options by name
    number: Annotated[int, typer.Argument(min=0, help="Number of the trial.")],
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Train a trial again from its stored seeds: identical, within seed noise, or different (exit code 1)."""
    cli.set_up_logging(verbose)
    torch_device = choose_device(device)
    cli.warn_of_rounding()
    trial = finished_trial(load_study(open_storage(storage, create=False), study), number)
    data = load(data_dir, torch_device, cli.err.print)
    replay = replayed(trial, data)
    verdict, noise = compare(trial, replay, data)
    _print(trial, replay, verdict, noise, otherwise(trial, environment(torch_device)), as_json)
    return 1 if verdict == "different" else 0


def _print(  # noqa: PLR0917
    trial: FrozenTrial,
    replay: Replay,
    verdict: str,
    noise: tuple[float, float] | None,
    rounds: Mapping[str, tuple[str, str]],
    as_json: bool,
) -> None:
    stored: dict[str, Any] = {name: trial.user_attrs[name] for name in replay.figures}
    if as_json:
        document = {"number": trial.number, "verdict": verdict, "stored": stored, "rerun": dict(replay.figures)}
        cli.print_json({**document, "seed_noise": noise, "rounds_otherwise": rounds})
        return
    params = trial.params
    cli.out.print(f"trial {trial.number}: {params['hidden_units']} units, lr {params['lr']:.5f}")
    for name, value in stored.items():
        cli.out.print(f"  {name:<16} stored {value!r:<22} rerun {replay.figures[name]!r}", markup=False)
    if noise is not None:
        for name, (there, here) in rounds.items():
            cli.out.print(f"  this machine may round otherwise: {name} was {there}, is {here}", markup=False)
        cli.out.print(f"  {FRESH_SEEDS} fresh seeds give {noise[0]:.4f} to {noise[1]:.4f} for one more run (95 %)")
    cli.out.print(verdict)


main = cli.entry(rerun, "search.rerun")

if __name__ == "__main__":
    main()
