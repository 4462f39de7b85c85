"""The whole job by time until an accuracy is in hand, and the rule by which disturbed runs are repeated."""

import argparse
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import rounds, tenants, time_to
from benchmarks.peers.job import Begun, Ran, cpu_seconds, results_in

STAT = "cpu  300 100 100 900 100 0 0 50 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"  # ticks
BUSY = "import time; start = time.process_time()\nwhile time.process_time() < start + 0.3: pass"


def test_a_job_reaches_an_accuracy_with_the_first_complete_trial_that_has_it() -> None:
    line = {"results": [[3.0, 0.97], [7.0, 0.981], [9.0, 0.98]]}
    assert [time_to.until(line, level) for level in (0.97, 0.98, 0.981, 0.99)] == [3.0, 7.0, 7.0, math.inf]


def test_jobs_that_never_get_there_count_in_the_median() -> None:
    lines = [{"results": [[at, 0.98]]} for at in (3.0, 5.0)]
    never = [{"results": [[1.0, 0.9]]}] * 2
    assert time_to.middle(lines, 0.98) == "4 (2 of 2)"
    assert time_to.middle([*lines, *never[:1]], 0.98) == "5 (2 of 3)"
    assert time_to.middle([*lines, *never], 0.98) == "never (2 of 4)"


def test_results_come_in_order_and_a_stopped_trial_is_none() -> None:
    trials = [
        Ran(25, 0.1, 10, 0.95, "complete", ended=30.0),
        Ran(25, 0.1, 10, 0.9, "complete", ended=20.0),
        Ran(25, 0.1, 3, 0.99, "pruned", ended=15.0),
    ]
    assert results_in(trials, Begun(10.0, 0.0)) == [(10.0, 0.9), (20.0, 0.95)]


def test_the_first_line_of_proc_stat_is_read_as_proc_5_describes_it() -> None:
    found = tenants.of_stat(STAT, own=1.0)
    assert (found.busy * tenants.TICK, found.idle * tenants.TICK) == (500, 1000)
    assert (found.stolen * tenants.TICK, found.own) == (50, 1.0)


@given(*[st.floats(0, 1000)] * 4)
def test_others_have_what_is_busy_and_not_the_runs_own(own: float, others: float, stolen: float, idle: float) -> None:
    before = tenants.Spent(5.0, 6.0, 7.0, 8.0)
    after = tenants.Spent(5.0 + own + others, 6.0 + stolen, 7.0 + idle, 8.0 + own)
    found, every = tenants.shares(before, after), own + others + stolen + idle
    if every > 1:
        assert found["others"] == pytest.approx(others / every, abs=1e-9)
        assert found["stolen"] == pytest.approx(stolen / every, abs=1e-9)


def test_who_does_not_know_what_it_took_is_judged_by_steal_alone() -> None:
    before, after = tenants.Spent(0.0, 0.0, 0.0, 0.0), tenants.Spent(90.0, 1.0, 9.0, 0.0)
    found = tenants.shares(before, after, told=None)
    assert found == {"stolen": 0.01, "others": None}
    assert tenants.disturbance(found) == 0.01
    line = {"results": [], "cpu_seconds": None, "slower": 0.0, **found}
    assert time_to.parts({"ray_tune": {0: line}}, {"ray_tune": "Ray"})[1].count("not known") == 2


def test_a_run_is_told_with_what_others_took_of_the_machine() -> None:
    line = tenants.watched(lambda: {"best": 0.9})
    assert line["best"] == 0.9
    assert line["pace"] > 0
    assert all(0 <= line[name] <= 1 for name in ("stolen", "others"))


def test_a_run_beside_which_the_machine_was_slow_is_disturbed_though_nobody_took_time() -> None:
    lines = [{"pace": pace, "stolen": 0.0, "others": 0.01} for pace in (100.0, 79.0, 81.0)]
    found = tenants.with_slowness([*lines, {"stolen": 0.06}, {"best": 0.9}])
    assert [tenants.disturbed(line) for line in found] == [False, True, False, True, False]
    assert [tenants.disturbance(line) for line in found] == pytest.approx([0.01, 0.21, 0.19, 0.06, 0.0])
    assert tenants.least_disturbed(found[:3]) is found[0]


def test_what_a_process_and_its_children_spend_is_counted() -> None:
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    ended = cpu_seconds() - before
    start = time.process_time()
    while time.process_time() < start + 0.2:
        pass
    assert ended > 0.25
    assert cpu_seconds() - before > ended + 0.15


def runs(path: Path, shares: list[float], rounds_: int = 1) -> list[float]:
    """Measure a job whose runs are disturbed in turn by these shares; return those of the lines that count."""
    options = argparse.Namespace(trials=2, epochs=10, seed=0, rounds=rounds_, only="ours")

    def everybody(_options: argparse.Namespace, _seed: int) -> dict[str, object]:
        return {"ours": lambda: {}}

    def watched(run: object) -> dict[str, float]:
        return {"stolen": 0.0, "others": shares.pop(0)}

    return [line["others"] for line in rounds.measure(options, path, everybody, watched)]  # type: ignore[arg-type]


def test_a_disturbed_run_is_repeated_twice_at_most_and_the_least_disturbed_counts(tmp_path: Path) -> None:
    assert runs(tmp_path / "quiet", [0.05, 0.0]) == [0.05]
    assert runs(tmp_path / "once", [0.2, 0.01, 0.0]) == [0.01]
    assert runs(tmp_path / "always", [0.2, 0.1, 0.3, 0.0]) == [0.1]
    assert runs(tmp_path / "always", [0.0]) == [0.1]  # repeated as often as may be, and not again later


def test_disturbed_runs_are_repeated_when_all_rounds_are_done(tmp_path: Path) -> None:
    assert runs(tmp_path / "lines", [0.2, 0.01, 0.02], rounds_=2) == [0.02, 0.01]


def test_the_table_says_how_many_got_there_and_what_others_took() -> None:
    line = {"results": [[100.0, 0.98]], "cpu_seconds": 150.0, "stolen": 0.01, "others": 0.002, "load": 0.1, "slower": 0}
    never = {**line, "results": [[90.0, 0.97]], "others": 0.3, "slower": 0.05}
    jobs = {"ours": {0: line, 1: never}, "optuna_tuned": {0: {"best": 0.9}}, "optuna_example": {0: line}}
    about, table = time_to.parts(jobs, {"ours": "sweetspot"})
    assert "more than 5 %" in about
    row = "| sweetspot | 2 | never (1 of 2) | never (1 of 2) | never (0 of 2) | 150"
    row += " | 1.0, 1.0 | 15.1, 30.0 | 2.5, 5.0 | 0.1 | 1"
    assert row in table
    assert "Optuna" not in table
    assert time_to.parts({"ours": {0: {"best": 0.9}}}, {}) == []
