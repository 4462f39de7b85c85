"""Train a trial again from what is stored of it, and compare: `python -m search.rerun 17`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from optuna.trial import FrozenTrial

from model.device import choose_device
from search import cli
from search.store.storage import open_storage
from search.store.study import load_study
from search.training.figures import environment
from search.training.replay import FRESH_SEEDS, Replay, compare, finished_trial, otherwise, replayed
from search.workers.catalogue import Catalogue
from studies.terms import Terms


def rerun(  # noqa: PLR0917  # Typer passes options by name
    number: Annotated[int, typer.Argument(min=0, help="Number of the trial.")],
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    studies: cli.StudiesOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> int:
    """Train a trial again from its stored seeds: identical, within seed noise, or different (exit code 1)."""
    cli.set_up_logging(verbose)
    torch_device = choose_device(device)
    cli.warn_of_rounding()
    opened = open_storage(storage, create=False)
    found = load_study(opened, study)
    trial, terms = finished_trial(found, number), Terms.of(found.user_attrs)
    recipe = Catalogue(torch_device, data_dir, studies, cli.err.print).stored(opened, study).recipe
    replay = replayed(trial, recipe)
    verdict, noise = compare(trial, replay, recipe)
    if as_json:
        _print_json(trial, replay, verdict, noise, otherwise(trial, environment(torch_device)))
    else:
        _print(trial, replay, terms, otherwise(trial, environment(torch_device)) if noise else {})
        if noise is not None:
            cli.out.print(f"  {FRESH_SEEDS} fresh seeds give {noise[0]:.4f} to {noise[1]:.4f} for one more run (95 %)")
        cli.out.print(verdict)
    return 1 if verdict == "different" else 0


def _print(trial: FrozenTrial, replay: Replay, terms: Terms, rounds: Mapping[str, tuple[str, str]]) -> None:
    cli.out.print(f"trial {trial.number}: {terms.setting(trial.params)}", markup=False)
    for name, figure in replay.figures.items():
        cli.out.print(f"  {name:<16} stored {trial.user_attrs[name]!r:<22} rerun {figure!r}", markup=False)
    for name, (there, here) in rounds.items():
        cli.out.print(f"  this machine may round otherwise: {name} was {there}, is {here}", markup=False)


def _print_json(
    trial: FrozenTrial,
    replay: Replay,
    verdict: str,
    noise: tuple[float, float] | None,
    rounds: Mapping[str, tuple[str, str]],
) -> None:
    stored: dict[str, Any] = {name: trial.user_attrs[name] for name in replay.figures}
    document = {"number": trial.number, "verdict": verdict, "stored": stored, "rerun": dict(replay.figures)}
    cli.print_json({**document, "seed_noise": noise, "rounds_otherwise": rounds})


main = cli.entry(rerun, "search.rerun")

if __name__ == "__main__":
    main()
