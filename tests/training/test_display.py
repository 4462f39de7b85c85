"""What a search shows on a terminal while it runs."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.faults import made_up_mnist
from search.store.storage import open_storage
from search.store.study import open_study
from search.training.display import Lines, Screen, watch
from search.training.engine import Engine
from search.training.run import Run
from studies.sweet_spot import sweet_spot


class Watched(Screen):
    """Keeps the picture as it was after every epoch, and when a trial has ended."""

    def __init__(self, *args: object, **options: bool) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.pictures: list[str] = []

    def trained(self, runs: list[Run]) -> None:
        super().trained(runs)
        self.look()

    def ended(self, run: Run, state: str) -> None:
        super().ended(run, state)
        self.look()

    def look(self) -> None:
        aside = terminal()  # that of the live display would add what it draws by itself
        aside.print(self.render())
        self.pictures.append(aside.file.getvalue())  # type: ignore[attr-defined]


def terminal() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=80, soft_wrap=True, highlight=False, color_system=None
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    storage = open_storage(f"sqlite:///{tmp_path_factory.mktemp('display')}/study.db", create=True)
    store = open_study(storage, sweet_spot("study", 4))
    store.set_budget(8)
    with Watched(store, 8, terminal()) as screen:
        Engine(store, made_up_mnist(), 64, screen).search(lambda: False)
    return screen.pictures


def test_everything_asked_of_a_search_in_progress_is_on_an_80_column_terminal(pictures: list[str]) -> None:
    for picture in pictures:
        assert all(len(line.rstrip()) <= 80 for line in picture.splitlines())
        for part in ("/8 trials", "complete", "pruned", "failed", "best", "model-epochs/s", "time left"):
            assert part in picture


def test_a_running_trial_is_shown_with_its_epoch_and_its_latest_figure(pictures: list[str]) -> None:
    rows = [line for picture in pictures for line in picture.splitlines() if "baseline" in line]
    baseline = [line for line in rows if line.split()[4] != "0/4"]  # another fleet may have trained first
    shown = list(dict.fromkeys(line.split()[4] for line in baseline))  # drawn again when another fleet has trained
    assert shown[:3] == ["1/4", "2/4", "3/4"]
    scored = {line.split()[4] for line in baseline if "%" in line}  # an epoch is over before its score is there
    assert set(shown) == scored


def test_trials_that_wait_to_be_judged_are_counted_and_not_shown_as_running(pictures: list[str]) -> None:
    waiting = [int(re.search(r"(\d+) waiting at a rung", picture).group(1)) for picture in pictures]  # type: ignore[union-attr]
    rows = [picture.split("validation")[1].count("/4 ") for picture in pictures]
    assert max(waiting) > 0
    assert all(n + shown <= 8 for n, shown in zip(waiting, rows, strict=True))
    assert waiting[-1] == 0


def test_the_time_left_is_unknown_at_first_and_then_counts_down_to_nothing(pictures: list[str]) -> None:
    assert "time left: unknown yet" in pictures[0]
    assert "time left: about 0 s" in pictures[-1]


def test_lines_stand_in_where_there_is_no_terminal(tmp_path: Path) -> None:
    store = open_study(open_storage(f"sqlite:///{tmp_path}/study.db", create=True), sweet_spot("study", 4))
    for console, kind in ((Console(file=io.StringIO()), Lines), (terminal(), Screen)):
        with watch(store, 8, console) as listener:
            assert type(listener) is kind
