"""Writes what a study says where optuna-dashboard shows it: notes, plots and pictures, all kept in SQL and beside it.

optuna-dashboard 0.21 has no names for trials. What marks a trial there: a note on it, the first thing that its page
shows; the user attribute `baseline`; and a ring around it in our plots.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plotly.graph_objects as go
from optuna import Study
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial
from optuna_dashboard import save_plotly_graph_object
from torch import nn

from model.data.dataset import Dataset
from model.fleet.family import Family
from search.errors import NotFoundError
from search.results.display import Display
from search.results.drawing import Picture
from search.results.front import CAPTION, front_figures, front_table
from search.results.influence import influence_figures, influence_sentences
from search.results.predictions import Part, filters_grid, has_pictures, mistakes_grid, prediction_grid
from search.results.search_figures import search_figures
from search.results.summary import best_edges, curve_text, wider_command, width_curve
from search.results.verdict_figures import verdict_figures
from search.results.verdict_text import judged_by, outlook
from search.store.state import StudyState, read_state
from search.store.storage import Storage
from search.store.study import load_study
from search.store.trials import value
from search.training.artifacts import Artifacts
from search.verdict.findings import Findings, findings
from studies.optuna_private import note_of, save_note, storage_of, study_key, trial_key

_log = logging.getLogger(__name__)
LAST = "sweetspot:note:"  # study attribute: a hash of the note that we wrote last


def publish_run(artifacts: Artifacts, data: Dataset, family: Family, found: Findings | None) -> None:
    """Publish what a run has found; `found` is None unless it is confirmed. Never raises."""
    try:
        publish_grids(artifacts, data, family, ["validation"] if found is None else ["validation", "test"])
        publish_all(artifacts.storage, artifacts.study, found)
    except (OSError, StorageInternalError) as error:
        _log.warning("notes, plots and pictures are not all written: %s", error)


def publish_all(storage: Storage, study: Study, found: Findings | None = None) -> None:
    """Write everything that SQL knows of a study, its verdict included if there is one; nothing for others' studies.

    A note that somebody has edited in the dashboard since we wrote it is left alone.
    """
    if "fingerprint" not in study.user_attrs:
        return
    with storage.lock(study.study_name):
        found = found or _findings(storage, study)
        search = found.search if found else read_state(storage, study)
        _note(study, None, _summary(search, _verdict(found) if found else ""))
        for trial, text in _marks(search):
            _note(study, trial_key(trial), text)
        searched = (*search_figures(search), *front_figures(search), *influence_figures(search))
        for picture in (*searched, *(verdict_figures(found) if found else ())):
            save_plotly_graph_object(study, _titled(picture), graph_object_id=picture.name)
        if found:
            _note(load_study(storage, found.confirmation.name), None, _verdict(found))


def _findings(storage: Storage, study: Study) -> Findings | None:
    try:
        return findings(storage, study.study_name)
    except NotFoundError:  # not confirmed, or not to the end
        return None


def publish_grids(artifacts: Artifacts, data: Dataset, family: Family, parts: Sequence[Part]) -> None:
    """Attach pictures of what baseline and best predict, get wrong and look for, where their weights are here.

    Of data that are pictures; a picture that is there is left.
    parts: with "test" only where all is chosen. Raises `OSError`.
    """
    if not has_pictures(data):
        return
    for trial, _ in _marks(read_state(artifacts.storage, artifacts.study)):
        missing = {name: draw for name, draw in _drawings(data, parts).items() if not artifacts.files(trial, name)}
        network = artifacts.weights(trial, family) if missing else None
        for name, draw in missing.items() if network is not None else ():
            with TemporaryDirectory() as scratch:
                path = Path(scratch) / name
                if draw(network, path, f"trial {trial.number}"):
                    artifacts.add(trial_key(trial), name, path.read_bytes(), finished=True)


def _drawings(data: Dataset, parts: Sequence[Part]) -> dict[str, Callable[[Any, Path, str], bool]]:
    """Return what draws each picture, by the name of its file, and says whether it did."""

    def first(part: Part, network: nn.Module, path: Path, title: str) -> bool:
        prediction_grid(network, data, part, path, f"{title}, first {part} pictures")
        return True

    def wrong(part: Part, network: nn.Module, path: Path, title: str) -> bool:
        return mistakes_grid(network, data, part, path, f"{title}, {part} pictures")

    drawings = {
        f"{name}-{part}.png": partial(draw, part)
        for part in parts
        for name, draw in (("predictions", first), ("mistakes", wrong))
    }
    return {**drawings, "filters.png": filters_grid}


def _verdict(found: Findings) -> str:
    rows = [
        f"| **{claim.verdict}** | {_cell(claim.statement)} | {_cell(claim.sentence)} |"
        for claim in found.verdict.claims
    ]
    return "\n".join(
        [
            f"## The verdict: {found.seeds_told} fresh seeds, {found.epochs} epochs",
            "",
            "| verdict | claim | finding |",
            "|---|---|---|",
            *rows,
            "",
            *(f"{line}\n" for line in outlook(found)),
            *([f"{judged_by(found)}\n"] if found.plan.rule else []),
            f"From the study `{found.confirmation.name}`; `python -m search.report` has all figures.",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _marks(search: StudyState) -> list[tuple[FrozenTrial, str]]:
    """Return the trials that stand out, each with its note; one trial may be both."""
    baseline, best = search.baseline, search.best
    marks: list[tuple[FrozenTrial, str]] = []
    if baseline is not None:
        also = " It is the best of the search as well." if baseline is best else ""
        note = Display.of(search.attributes).words.baseline_note
        marks.append((baseline, f"**Baseline**: {note}, never pruned.{also}"))
    if best is not None and best is not baseline:
        marks.append((best, "**Best of the search.** Its value is flattered by luck, as every winner's is."))
    return marks


def _summary(search: StudyState, verdict: str) -> str:
    display = Display.of(search.attributes)
    curve = "\n".join(curve_text(width_curve(search.finished, display), display))
    metric, data = display.asked.metric.name, display.words.data
    parts = [
        f"# {search.attributes.get('question', search.name)}",
        verdict
        or "No verdict yet: it needs runs from fresh seeds, which `python -m search.run` adds after the search.",
        "## The search",
        _table(display, search.best, search.baseline),
        *_front(search, display),
        *(f"Where to look next: {edge.sentence}." for edge in best_edges(search)),
        *([f"Go on there with `{wider}`"] if (wider := wider_command(search)) else []),
        *(f"{line[0].upper()}{line[1:]}." for line in influence_sentences(search)),
        f"Best {metric} by {display.axis(display.main)}:\n\n```text\n{curve}\n```",
        f"Test {data} choose nothing here: trials are compared on validation {data}.",
    ]
    return "\n\n".join(parts) + "\n"


def _front(search: StudyState, display: Display) -> list[str]:
    """Return the Pareto front as a section of its own, nothing where there is none."""
    head, rows = front_table(search, display)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return [f"The Pareto front. {CAPTION}", "\n".join(lines)] if rows else []


def _table(display: Display, best: FrozenTrial | None, baseline: FrozenTrial | None) -> str:
    rows = [_row(display, name, trial) for name, trial in (("best", best), ("baseline", baseline)) if trial]
    heads = display.heads()
    if best and baseline:
        rows.append(f"| difference |{' |' * (len(heads) + 1)} {display.difference(value(best) - value(baseline))} |")
    head = f"| | trial | {' | '.join(heads)} | {display.asked.metric.name} |\n|{'---|' * (len(heads) + 3)}\n"
    return head + "\n".join(rows) if rows else "No trial has been completed yet."


def _row(display: Display, name: str, trial: FrozenTrial) -> str:
    cells = [name, str(trial.number), *display.cells(trial.params), display.value(value(trial))]
    return f"| {' | '.join(cells)} |"


def _titled(picture: Picture) -> go.Figure:
    """Return the plot as it stands by itself: with its title, and readable on the dashboard's page, light or dark."""
    plot = go.Figure(picture.plot)
    title: dict[str, Any] = {"text": picture.title, "x": 0.02, "subtitle": {"text": picture.caption}}
    legend = {"y": -0.2, "yanchor": "top"}  # below: above, a long one would lie on the title
    margin = {"t": 80, "b": 110}
    return plot.update_layout(title=title, legend=legend, margin=margin, paper_bgcolor="white", plot_bgcolor="white")


def _note(study: Study, trial: int | None, text: str) -> None:
    """Write a note, unless it stands there already or somebody else's does."""
    backend, key = storage_of(study), study_key(study)
    attrs = backend.get_study_system_attrs(key)
    (body, version), ours = note_of(attrs, trial), f"{LAST}{trial or 'study'}"
    if body == text or (body and attrs.get(ours) != _hash(body)):
        return
    save_note(backend, key, trial, version + 1, text)
    backend.set_study_system_attr(key, ours, _hash(text))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
