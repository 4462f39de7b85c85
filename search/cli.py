"""What all commands share: their options, and the one place where errors become a line and an exit code.

Exit codes: 0 done, 1 the run failed, 2 the input was wrong, 128 + N ended by signal N (130 Ctrl-C, 143 SIGTERM, 129
a closed terminal).
"""

import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import optuna
import typer
from rich.console import Console

from model.rounding import broken_promise
from search.errors import SweetspotError, UsageError
from search.output import printing, strict_json
from search.signals import is_worker
from search.store.retry import DATABASE_ERRORS, reason
from search.store.storage import DEFAULT_URL
from search.store.url import PASSWORD, names_password
from studies.built_in import DEFAULT

MAX_WORKERS = 256


def _seen(context: typer.Context, option: typer.CallbackParam, url: str) -> str:
    """Warn of a password that everybody on the machine can read."""
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "COMMANDLINE" and names_password(url):
        err.print(f"warning: others see the password in --storage; SWEETSPOT_STORAGE or {PASSWORD} hide it")
    return url


def _workers(text: str) -> str:
    """Refuse what is no number of workers."""
    if text != "auto" and not (text.isdecimal() and text.isascii() and 1 <= int(text) <= MAX_WORKERS):
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number from 1 to {MAX_WORKERS}")
    return text


def workers_asked(text: str) -> int | None:
    """Return how many workers `--workers` asks for, None for one a card."""
    return None if text == "auto" else int(text)


StorageOption = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="SWEETSPOT_STORAGE",
        callback=_seen,
        help="Database of the study: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
    ),
]
QuestionArgument = Annotated[
    str, typer.Argument(help="A built-in study, or a file that states one.", metavar="[STUDY]", show_default=DEFAULT)
]
StudyNameOption = Annotated[
    str | None, typer.Option("--study", help=f"Name in the database.  [default: {DEFAULT}, or the file's name]")
]
StudyOption = Annotated[str, typer.Option("--study", help="Name of the study in the database.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps; auto takes a GPU if any.")]
WorkersOption = Annotated[
    str,
    typer.Option(
        "--workers",
        callback=_workers,
        metavar="<1 to 256 or auto>",
        help="Processes of this machine that share the work, each with a GPU of its own while there are any; auto is "
        "one for each GPU.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Directory of named data, and of MNIST's files.  [default: SWEETSPOT_DATA or the user's cache]",
    ),
]
ArtifactOption = Annotated[
    Path | None,
    typer.Option(
        "--artifact-dir",
        envvar="SWEETSPOT_ARTIFACTS",
        show_envvar=False,
        help="Directory of weights and pictures.  [default: SWEETSPOT_ARTIFACTS or beside the database]",
    ),
]
StudiesOption = Annotated[
    Path | None,
    typer.Option(
        "--studies",
        envvar="SWEETSPOT_STUDIES",
        show_envvar=False,
        help="Directory of this machine's own study files.  [default: SWEETSPOT_STUDIES or the current directory]",
    ),
]
FleetOption = Annotated[
    int | None, typer.Option(min=16, max=65_536, help="Hidden units trained side by side.  [default: by device]")
]
TimeoutOption = Annotated[float | None, typer.Option(min=0, help="Seconds after which to give open trials back.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines, instead of tables.")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write a page that needs no network.", metavar="FILE")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show what Optuna and the engine log.")]

STORAGE, STUDY = DEFAULT_URL, DEFAULT
out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def entry(command: Callable[..., int | None], module: str) -> Callable[..., NoReturn]:
    """Return the `main` of a command: it parses arguments, runs the command and exits with its code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(command)

    def main(arguments: Sequence[str] | None = None) -> NoReturn:
        """Run the command as a program."""
        if arguments is None:
            gc.freeze()  # what libraries made stays: looking through it, most of all at the end, took 0.6 s
        args = sys.argv[1:] if arguments is None else list(arguments)
        with printing():
            code = _guarded(lambda: app(args, prog_name=f"python -m {module}", standalone_mode=False))
        sys.exit(code)

    return main


def _guarded(run: Callable[[], Any]) -> int:
    """Run and return the exit code; every expected error is one line on stderr."""
    try:
        return run() or 0
    except typer.TyperException as error:
        return _say(error.format_message(), 2)
    except SweetspotError as error:
        return _say(str(error), error.exit_code)
    except DATABASE_ERRORS as error:
        return _say(f"the database failed: {reason(error)}", 1)
    except KeyboardInterrupt:
        return 130


def _say(message: str, code: int) -> int:
    err.print("error: " + " ".join(message.split()), markup=False)
    return code


def print_json(document: Any) -> None:
    """Print a document as strict JSON in pure ASCII, whatever the terminal; a number that JSON has not is null."""
    out.print_json(strict_json(document), ensure_ascii=True)


def check_html(path: Path | None) -> None:
    """Raise `UsageError` if a page would be written over a directory, or into one that is not there."""
    if path is not None and os.path.isdir(path):  # false where the system cannot tell; writing says why
        raise UsageError(f"--html {path} is a directory")
    if path is not None and not os.path.isdir(path.absolute().parent):
        raise UsageError(f"--html {path}: there is no directory {path.absolute().parent}")


def write_html(path: Path, text: str) -> None:
    """Write a page. Raises `UsageError` where it cannot be."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror}") from error


def set_up_logging(verbose: bool) -> None:
    """Send the standard logging to stderr; Optuna's own lines only when verbose."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO if verbose else logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.INFO if verbose else optuna.logging.ERROR)
    if verbose:
        optuna.logging.enable_propagation()
    logging.getLogger("alembic").setLevel(logging.WARNING)


def warn_of_rounding() -> None:
    """Say once if MKL is set so that a trial's last digits may depend on what trains beside it."""
    line = None if is_worker() else broken_promise()
    if line is not None:
        logging.getLogger(__name__).warning("%s", line)


def check_study_name(name: str) -> str:
    """Return the name if a study may have it; raises `UsageError`."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UsageError("--study must be 1 to 200 printable characters")
    return name
