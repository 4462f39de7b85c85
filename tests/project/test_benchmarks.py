"""The benchmarks' own arithmetic and tables; what they measure is not tested here."""

import argparse
import json
import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier

import numpy as np
import optuna
import pytest
from scipy import stats

from benchmarks import bf16, curve_model, gpu_waits, results, rounds, scale, scale_table, strict
from benchmarks.capacity import Stay, epochs_alone, use, use_of_all
from benchmarks.clocked import Clocked
from benchmarks.faults import Postgres, store_at
from benchmarks.peers.job import Ran, asked, optunas_pruner, reports, tell
from benchmarks.peers.optuna_tuned import OneClaimAtATime
from benchmarks.whole_job_table import FRESH, extrapolated, floor, interpolated, jobs, report
from benchmarks.winners import accuracies, missing
from model.data.samples import Parts
from studies.curve_model import CurveModel, curves

JOB = {"trials": 2, "epochs": 10, "machine": "a machine", "complete": 1, "pruned": 1, "failed": 0}
LINES = [
    line
    for seed in (0, 1)
    for line in (
        {**JOB, "name": "sgemm", "seed": seed, "flops_per_second": 1e11},
        {**JOB, "name": "ours", "seed": seed, "seconds": 2.0, "best": 0.95, "runs": [[25, 10], [100, 3]]},
        {**JOB, "name": "optuna_tuned", "seed": seed, "seconds": 6.0 + seed, "best": 0.95, "runs": [[25, 10], [50, 3]]},
        {**JOB, "name": "optuna_example", "seed": seed, "seconds_at": [[25, 8.0], [75, 10.0]]},
    )
]


def test_a_section_is_renewed_and_the_others_stay(tmp_path: Path):
    path = tmp_path / "RESULTS.md"
    results.write("memory", "so much", path)
    results.write("scaling", "| a |", path)
    results.write("memory", "more\n\nthan that", path)
    found = results.sections(path.read_text(encoding="utf-8"))
    assert (found["memory"], found["scaling"], found["model-epoch"]) == ("more\n\nthan that", "| a |", results.MISSING)


def test_the_results_that_are_kept_are_as_the_generator_writes_them():
    kept = results.RESULTS.read_text(encoding="utf-8")
    assert results.document(results.sections(kept)) == kept


def test_every_benchmark_that_the_results_name_is_there():
    folder = results.RESULTS.parent.parent
    assert all((folder / f"{command.replace('.', '/')}.py").exists() for _, command in results.SECTIONS.values())


def test_between_and_beyond_the_widths_that_were_measured_the_lines_go_on():
    points = [(10, 1.0), (20, 3.0), (40, 4.0)]
    assert [interpolated(width, points) for width in (5, 10, 15, 20, 30, 50)] == [0.0, 1.0, 2.0, 3.0, 3.5, 4.5]


def test_the_example_is_extrapolated_to_what_the_tuned_script_trained():
    example, tuned = LINES[3], LINES[2]
    assert extrapolated(example, tuned)["seconds"] == 10 * 8.0 + 3 * 9.0


def test_who_was_measured_at_another_commit_is_named():
    assert "\n\na machine\n\n" in report(LINES)
    moved = [{**line, "machine": "another"} if line["name"] == "ours" else line for line in LINES]
    assert "sweetspot: another\n\nOptuna, resident tensors, fused Adam; Optuna, as its example" in report(moved)


def test_the_floor_is_the_products_of_the_job_at_the_measured_rate():
    of_25 = 2 * 50_000 * (2 * 784 * 25 + 3 * (25 * 25 + 25 * 10))  # forward and backward, by hand
    assert floor({"runs": [[25, 3]]}, 1e9) == pytest.approx(3 * of_25 / 1e9)


def test_the_table_compares_runs_of_the_same_seed():
    text = report(LINES)
    assert "| Optuna, resident tensors, fused Adam | 2 | 6 | 3.25 x (3.00 to 3.50) | 13 |" in text
    assert "| sweetspot | 2 | 2 | 1.00 x (1.00 to 1.00) | 13 | 550 | 3.64 | 1, 1, 0 |" in text


def test_accuracies_are_compared_over_all_searches_whatever_their_seeds():
    sgemm, line = LINES[0], LINES[1]
    bests = {"ours": [0.95, 0.96, 0.98], "optuna_tuned": [0.96, 0.965]}
    searched = [{**line, "name": name, "seed": 0, "best": best} for name, each in bests.items() for best in each]
    text = report([sgemm, *searched])
    low, high = stats.ttest_ind(bests["ours"], bests["optuna_tuned"], equal_var=False).confidence_interval(0.95)
    theirs = f"| Optuna, resident tensors, fused Adam | 2 | 96.25 % | +0.08 ({100 * low:+.2f} to {100 * high:+.2f}) |"
    assert "| sweetspot | 3 | 96.33 % |  | 0 |  |  |" in text
    assert f"{theirs} 0 |  |  |" in text
    fresh = [
        {**JOB, "name": FRESH, "of": of, "seed": 1, "test": test}
        for of, test in (("ours", [0.9, 0.8]), ("optuna_tuned", [0.8]))
    ]
    text = report([sgemm, *searched, *fresh])
    assert "| sweetspot | 3 | 96.33 % |  | 1 | 85.00 % |  |" in text
    assert f"{theirs} 1 | 80.00 % | +5.00 |" in text  # one winner each bounds nothing


def test_winners_are_trained_again_once_from_fresh_seeds(tiny: Parts):
    jobs = [{**line, "winner": [25, 0.01]} for line in LINES if line["name"] == "ours"]
    done = {**JOB, "name": FRESH, "of": "ours", "seed": 0, "test": [0.9]}
    assert missing([*jobs, done]) == jobs[1:]
    settings = [(25, 0.01, seed) for seed in range(3)] + [(8, 1e-5, 0)]
    again, reached = (dict(accuracies(settings, 20, tiny)) for _ in range(2))
    assert again == reached
    found = [reached[k] for k in range(4)]
    assert len(set(found[:3])) > 1 or found[:3] == [1.0] * 3
    assert found[3] < 0.5 < min(found[:3])


def test_without_measurements_the_table_says_so():
    assert report([]) == results.MISSING
    assert "optuna_example" not in jobs([LINES[3]])  # nothing to extrapolate to


def test_a_job_tells_what_the_table_reads(capsys):
    options = asked("", ["--trials", "2", "--epochs", "10"])
    tell("ours", options, 1.5, [Ran(25, 0.02, 10, 0.9, "complete"), Ran(50, 0.01, 3, 0.95, "pruned", {3: 0.95})])
    told = json.loads(capsys.readouterr().out)
    assert (told["best"], told["complete"], told["pruned"]) == (0.9, 1, 1)
    assert told["runs"] == [[25, 10], [50, 3]]
    assert told["curves"] == [[50, 0.01, {"3": 0.95}]]


def test_what_was_measured_is_not_measured_again(tmp_path: Path):
    path, ran = tmp_path / "lines.jsonl", []
    nobody_else = {"stolen": 0.0, "others": 0.0}  # of the machine as it is, a run may be disturbed and repeated
    options = argparse.Namespace(trials=2, epochs=10, seed=0, rounds=1, only="ours")

    def everybody(_options, seed):
        return {"ours": lambda: {"number": ran.append(seed)}}

    for options.rounds in (1, 1, 2):
        rounds.measure(options, path, everybody, lambda run: {**run(), **nobody_else})
    assert ran == [0, 1]
    assert [rounds.key(line) for line in rounds.measured(path)] == [("ours", 0, 2, 10), ("ours", 1, 2, 10)]


def test_another_contender_comes_first_each_round():
    assert [rounds.in_turn("abc", turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]


def test_a_clocked_ledger_does_what_a_ledger_does_and_counts_its_calls(tmp_path: Path):
    store = Clocked(store_at(f"sqlite:///{tmp_path}/study.db"))
    store.set_budget(1)
    trial = store.acquire()
    store.give_back([trial])
    assert store.counts().waiting == 1
    assert {name: calls for name, (calls, _) in store.summary().items()} == {
        "set_budget": 1,
        "acquire": 1,
        "give_back": 1,
        "counts": 1,
    }


def test_the_rows_of_a_fleet_are_idle_or_used():
    found = use([Stay(25, 0, 10), Stay(4, 5, 10)], 40)
    assert (found.epochs, found.capacity) == (15, 15 * 40)
    assert found.idle == found.capacity - (25 * 10 + 4 * 10)


def test_a_last_newcomer_that_exceeds_the_room_leaves_none_idle():
    found = use([Stay(32, 0, 1), Stay(64, 0, 1)], 40)
    assert (found.capacity, found.idle) == (96, 0)


def test_an_epoch_with_the_threads_of_all_is_counted_once():
    assert epochs_alone([(0, 0, 5, 1), (1, 0, 3, 1), (1, 3, 2, 2), (1, 4, 1, 2)]) == 2
    assert epochs_alone([(0, 0, 5, 2)]) == 0  # the only fleet there is
    assert epochs_alone([(0, 0, 5), (1, 0, 3)]) == 0  # an older study does not say


def test_each_of_several_fleets_has_its_share_of_the_room():
    found = use_of_all([[Stay(32, 0, 3)], [Stay(8, 0, 1)]], 80)
    assert (found.epochs, found.capacity, found.idle) == (4, 4 * 40, 3 * 8 + 32)


def test_trials_of_several_fleets_are_no_measurement():
    with pytest.raises(ValueError, match="several processes"):
        use([Stay(32, 0, 1)] * 3, 40)


def test_ways_are_timed_in_turn_and_the_first_round_is_left_out():
    called: list[str] = []
    taken = bf16.timed({"one": lambda: called.append("one"), "other": lambda: called.append("other")}, rounds=2)
    assert called == ["one", "other", "other", "one", "one", "other"]
    assert {name: len(seconds) for name, seconds in taken.items()} == {"one": 2, "other": 2}


def test_two_workers_of_the_scale_benchmark_share_a_budget_and_tell_what_it_took(postgres: Postgres):
    line = scale.measure(
        postgres, scale.Setting("ours", 2), trials=4, pause=0.01, limit=60
    )  # fails unless the budget is exact
    assert line["done"] == 4 >= line["latency"]["end"]["n"] > 0
    assert line["latency"]["acquire"]["n"] >= 4
    assert line["cpu"]["workers"] > 0
    assert line["statements"] > line["commits"] > 0
    assert line["connections"] == 3  # two workers, and ours that made the study


def test_a_search_before_a_card_that_is_not_there_comes_to_its_end(tmp_path: Path):
    line = gpu_waits.search(f"sqlite:///{tmp_path}/study.db", seed=0)
    assert len(line["trials"]) == gpu_waits.TRIALS
    assert 0 < line["card"] < line["seconds"]
    assert 0 < line["best"] < 1


needs_grpc = pytest.mark.skipif(find_spec("grpc") is None, reason="grpcio comes with the extra bench")


@pytest.mark.parametrize(
    "way", ["optuna", pytest.param("optuna-proxy", marks=needs_grpc), pytest.param("ours-proxy", marks=needs_grpc)]
)
def test_workers_of_the_scale_benchmark_reach_a_study_in_every_way(postgres: Postgres, way: str):
    line = scale.measure(postgres, scale.Setting(way, 2), trials=3, pause=0.01, limit=60)  # fails if a trial is lost
    assert line["done"] >= 3
    assert line["latency"]["report"]["n"] >= 3
    assert (line["cpu"]["proxy"] > 0) == way.endswith("proxy")


def test_calls_are_counted_until_the_first_worker_finds_nothing_left():
    watch = argparse.Namespace(sessions={}, looks=1, connections=2, wall=4.0, idle=0.5, seconds=lambda **_: 1.0)
    lines = [
        {"begin": 10.0, "left": 14.0, "cpu": 1.0, "calls": {"acquire": [(11.0, 0.1)], "prune": [(12.0, 0.2)]}},
        {"begin": 10.0, "left": 13.0, "cpu": 1.0, "calls": {"acquire": [(12.0, 0.3)], "complete": [(14.0, 0.4)]}},
    ]
    found = scale.summary(lines, watch)
    assert (found["seconds"], found["trials_per_second"], found["calls_per_second"]) == (3.0, 1 / 3, 1.0)
    assert found["latency"]["acquire"] == {"n": 2, "median": pytest.approx(200), "p95": pytest.approx(300)}
    assert scale_table.used({**found, "cores": 2}) == (0.5, 0.0)


def test_the_table_of_scale_has_a_row_for_each_setting():
    cpu, latency = {"workers": 2.0, "postgres": 1.0, "proxy": 0.0}, {"acquire": {"n": 20, "median": 5.0, "p95": 9.0}}
    numbers = {"trials_per_second": 1.5, "calls_per_second": 9.0, "done": 10, "statements": 1000, "wall": 3.0}
    more = {
        "idle": 0.25,
        "cores": 2,
        "connections": 3,
        "looks": 2,
        "starting": 1.0,
        "pause": 1.0,
        "machine": "a machine.",
    }
    sessions = {"working": 2, "waiting for a row (tuple)": 4, "waiting for IO (WalSync)": 1}
    line = {"name": "ours 8 5000", "cpu": cpu, "latency": latency, "sessions": sessions, **numbers, **more}
    text = scale_table.report([line])
    assert "| 8 ours | 5,000 | 1.5 | 9 | 5 / 9 (20) | none | none | none |" in text
    assert "| 8 ours | 5,000 | 10 | 200 | 100 | 0 | 100 | 50 %, 25 % |" in text
    assert "| 8 ours | 5,000 | 3 | 1.0 | 2.0 | 0.5 | 0.0 | 0.0 | 1 |" in text


def test_the_tuned_peer_hands_an_enqueued_trial_to_one_of_its_threads(tmp_path: Path) -> None:
    study = optuna.create_study(storage=OneClaimAtATime(f"sqlite:///{tmp_path}/study.db"))
    for _ in range(10):  # without the lock about half of these gave one trial twice
        study.enqueue_trial({})
        together = Barrier(2)

        def ask(together: Barrier = together) -> int:
            together.wait()
            return study.ask().number

        with ThreadPoolExecutor(2) as threads:
            one, two = threads.submit(ask), threads.submit(ask)
        assert one.result() != two.result()


def test_a_peers_trial_reports_at_the_rungs_at_which_its_pruner_decides() -> None:
    study = optuna.create_study(direction="maximize", pruner=optunas_pruner())
    trial, decided = study.ask(), []
    for epoch in sorted(reports(100)):
        before = len(trial.storage.get_trial_system_attrs(trial._trial_id))
        trial.report(0.9, epoch)
        assert not trial.should_prune()
        if len(trial.storage.get_trial_system_attrs(trial._trial_id)) > before:
            decided.append(epoch)
    assert decided == [3, 9, 27, 81]
    assert max(reports(9)) == 9


# What a trial would reach


def test_what_a_trial_would_show_tells_more_than_what_it_shows_where_gains_depend_on_the_learning_rate() -> None:
    chance, curves = random.Random(0), []
    for _ in range(20):
        lr = 10 ** chance.uniform(-3, -1.5)
        end = 0.02 * math.exp(chance.gauss(0, 0.1)) * (lr / 0.001) ** 0.3
        errors = {3: end * (0.03 / lr) ** 0.8, 9: end * (0.03 / lr) ** 0.4, 27: end, 50: end, 100: end}
        curves.append((200, lr, {str(epoch): 1 - error for epoch, error in errors.items()}))
    curves += [
        (25, 0.02, {"3": 0.9, "9": 0.9, "27": 0.9, "50": 0.9, "100": 0.1}),
        (250, 0.01, {"3": 0.9}),
    ]  # narrow, stopped
    text = curve_model.report([{"epochs": 100, "curves": curves}, {"epochs": 100, "name": "sgemm"}])
    rows = [line.strip("| ").replace(" %", "").split(" | ") for line in text.splitlines() if line[2:3].isdigit()]
    assert [row[:3] for row in rows[:7]] == [
        *([str(rung), "50", "190"] for rung in (3, 9, 27)),
        *([str(rung), "100", "190"] for rung in (3, 9, 27, 50)),
    ]
    assert int(rows[0][3]) < 50
    assert int(rows[0][4]) < int(rows[0][6]) > 80
    assert rows[0][3:] == rows[3][3:]  # nothing changes after 27
    assert rows[6][3] == "100"
    assert curve_model.report([]) == results.MISSING


def test_the_constants_of_a_gaussian_process_are_found_again_in_curves_drawn_from_it() -> None:
    rng, true = np.random.default_rng(0), CurveModel(spread=0.3, reach=0.4, ages=2.0, luck=0.05, noise=0.04)
    searches = []
    for _ in range(20):
        settings = [(int(width), 10 ** float(lr)) for width, lr in rng.uniform((4, -4), (256, -1), (12, 2))]
        reports, of, _ = curves([curve_model.told(each, dict.fromkeys((1, 3, 10, 30), 0.9)) for each in settings], 30)
        drawn = np.exp(-3 - rng.multivariate_normal(np.zeros(len(of)), true.shown(reports, of)))
        shown = (1 - drawn).reshape(12, 4)
        searches.append(
            [(each, dict(zip((1, 3, 10, 30), row, strict=True))) for each, row in zip(settings, shown, strict=True)]
        )
    found = curve_model.fitted(searches, 30)
    assert astuple(found) == pytest.approx(astuple(true), rel=0.25)


def test_strict_modes_are_set_beside_unset_round_by_round():
    found = [
        {mode: [1.0 * turn, 2.0, 3.0, 9, 99, "off"] if mode == strict.UNSET
               else [1.5 * turn, 1.0, 3.0, 0, turn, "AUTO,STRICT"]
         for mode in strict.MODES} for turn in (1, 2, 3)
    ]  # fmt: skip
    rows = strict.report(found, 0.5, 1.0).splitlines()
    assert "| unset | off | 2.00 | 2.00 | 3.00 | 9 | 99 |" in rows
    row = "3.00, 1.50 x (1.50 to 1.50) | 1.00, 0.50 x (0.50 to 0.50) | 3.00, 1.00 x (1.00 to 1.00) | 0 | 3 |"
    assert f"| AUTO,STRICT | AUTO,STRICT | {row}" in rows
