"""Which digit is it? A trained trial answers: `python -m search.predict IMAGE`."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from optuna.trial import FrozenTrial

from model.data.digit import READS, Digit, read_digit
from model.device import choose_device
from search import cli
from search.errors import UsageError
from search.results.answer_page import answer_page
from search.store.state import read_state
from search.store.storage import open_storage
from search.store.study import load_study
from search.store.trials import value
from search.training.artifacts import Artifacts, artifact_dir
from search.training.inference import Answer, answer, trained_network
from search.training.replay import finished_trial
from search.workers.catalogue import Catalogue
from studies.terms import Terms

BAR = 30  # characters
SHADES = " .:-=+*#%@"  # from paper to ink


def predict(  # noqa: PLR0917  # Typer passes options by name
    image: Annotated[Path, typer.Argument(help="Picture of one digit: PNG, JPEG, any size.", metavar="IMAGE")],
    trial: Annotated[int | None, typer.Option(min=0, help="Number of the trial.  [default: the best]")] = None,
    study: cli.StudyOption = cli.STUDY,
    storage: cli.StorageOption = cli.STORAGE,
    artifacts: cli.ArtifactOption = None,
    device: cli.DeviceOption = "auto",
    data_dir: cli.DataOption = None,
    studies: cli.StudiesOption = None,
    html: cli.HtmlOption = None,
    as_json: cli.JsonOption = False,
    verbose: cli.VerboseOption = False,
) -> None:
    """Say which digit a picture shows, by the weights of a trial; trains it again where they are not here."""
    cli.set_up_logging(verbose)
    cli.check_html(html)
    if html is not None and all(map(os.path.exists, (html, image))) and html.samefile(image):
        raise UsageError(f"--html {html} is the picture itself")
    torch_device, digit = choose_device(device), read_digit(image)
    opened = open_storage(storage, create=False)
    found = load_study(opened, study)
    if (data := found.user_attrs.get("fingerprint", {}).get("split", {}).get("name", READS)) != READS:
        raise UsageError(f"--study {study} is on {data}; pictures of digits are read by networks that learnt {READS}")
    chosen = finished_trial(found, read_state(opened, found).completed()[0].number if trial is None else trial)
    catalogue, terms = Catalogue(torch_device, data_dir, studies, cli.err.print), Terms.of(found.user_attrs)
    files = Artifacts(opened, found, artifact_dir(opened, artifacts))
    say = partial(cli.err.print, markup=False)
    family = catalogue.family(opened, study)
    model, source = trained_network(files, chosen, family, lambda: catalogue.stored(opened, study).recipe, say)
    said = answer(model, digit)
    if as_json:
        document = {"image": str(image), **vars(said), "trial": chosen.number, "params": chosen.params}
        cli.print_json(
            {**document, "polarity": digit.polarity, "weights": source, "seen": digit.pixels.view(28, 28).tolist()}
        )
    else:
        _show(said, digit, chosen, source, terms)
    if html is not None:
        about = [("trial", _setting(chosen, terms)), ("weights", source), ("read as", digit.polarity)]
        cli.write_html(html, answer_page(image, digit, said.probabilities, about))
        (cli.err if as_json else cli.out).print(f"\nwrote {html.absolute()}", markup=False)


def _show(said: Answer, digit: Digit, trial: FrozenTrial, source: str, terms: Terms) -> None:
    cli.out.print(f"{said.digit}  ({said.probabilities[said.digit]:.1%} sure)\n")
    for number, probability in enumerate(said.probabilities):
        cli.out.print(f"  {number} {probability:>6.1%} {'█' * round(BAR * probability)}".rstrip())
    cli.out.print("\nwhat the network saw:")
    for line in seen(digit):
        cli.out.print(f"  {line}".rstrip(), markup=False)
    cli.out.print(f"\nread as {digit.polarity}; trial {_setting(trial, terms)}; {source}", markup=False)


def _setting(trial: FrozenTrial, terms: Terms) -> str:
    return f"{trial.number}: {terms.setting(trial.params)}, {terms.metric} {terms.value(value(trial))}"


def seen(digit: Digit) -> list[str]:
    """Draw the 28 x 28 pixels that the network saw in characters of ASCII, two rows as one, since those are tall."""
    rows = digit.pixels.view(14, 2, 28).float().mean(1)
    return ["".join(SHADES[round(value * (len(SHADES) - 1) / 255)] for value in row).rstrip() for row in rows.tolist()]


main = cli.entry(predict, "search.predict")

if __name__ == "__main__":
    main()
