"""Searches among recorded learning curves: what stands in the tables, and what a search of one does."""

from itertools import product

import numpy as np
import optuna
import pytest

from benchmarks.tables import record, regret
from benchmarks.tables.problems import PROBLEMS, TUNED
from benchmarks.tables.search import OURS, Contender, Search, ours, peers
from benchmarks.tables.table import Table, grid
from model.data.samples import Samples
from studies.space import share_of_range

RECORDED = [name for name in PROBLEMS if Table.path(name).exists()]
SMALL = min(RECORDED, key=lambda name: Table.of(name).wrong.size)


@pytest.mark.parametrize("name", RECORDED)
def test_a_table_has_every_setting_of_its_grid_and_they_are_found_again(name: str) -> None:
    table = Table.of(name)
    settings = record.settings(table.problem)
    assert table.wrong.shape == (len(settings), table.problem.seeds, table.problem.epochs)
    assert table.wrong.max() <= table.rows
    assert [table.place(params) for params in settings] == list(range(len(settings)))


def test_tables_are_small_and_some_were_not_tuned_on() -> None:
    assert sum(Table.path(name).stat().st_size for name in RECORDED) <= 300_000
    assert set(TUNED) < set(PROBLEMS)


def test_a_grid_goes_from_the_lowest_to_the_highest_evenly() -> None:
    for problem in PROBLEMS.values():
        for (distribution, count), values in zip(problem.axes.values(), grid(problem.axes), strict=True):
            assert (values[0], values[-1]) == (distribution.low, distribution.high)
            places = [share_of_range(distribution, value) * (count - 1) for value in values]
            assert places == pytest.approx(range(count), abs=0.45)  # whole numbers are rounded


def everybody(table: Table) -> dict[str, Contender]:
    return {OURS: ours(table), **peers(table)}


@pytest.mark.parametrize("who", everybody(Table.of(SMALL)))
def test_a_search_counts_every_epoch_and_shows_what_the_table_has(who: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table.of(SMALL)
    one, other = (Search(table, everybody(table)[who], 3) for _ in range(2))
    assert [search.best for search in (one, other) for _ in search.take(epochs=70)][69::70] == [one.best] * 2
    assert one.epochs == 70
    told = [trial for trial in one.study.trials if trial.intermediate_values]
    for trial in told:
        curves = [table.curve(table.place(trial.params), seed) for seed in range(table.problem.seeds)]
        assert any(all(c[epoch - 1] == value for epoch, value in trial.intermediate_values.items()) for c in curves)
    assert sum(trial.last_step or 0 for trial in told) <= 70
    assert [trial.params for trial in one.study.trials] == [trial.params for trial in other.study.trials]


def test_ours_ends_when_all_its_trials_have_ended() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table.of(SMALL)
    search = Search(table, ours(table), 0)
    taken = sum(1 for _ in search.take(trials=9))
    states = [trial.state.name for trial in search.study.trials]
    assert len(states) == 9
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert taken == search.epochs == sum(trial.last_step or 0 for trial in search.study.trials)
    complete = [trial.value for trial in search.study.trials if trial.value and trial.state.name == "COMPLETE"]
    assert search.best[:2] == (True, max(complete))


def test_what_a_setting_is_worth_is_the_mean_of_its_last_epochs() -> None:
    table = Table(PROBLEMS[SMALL], np.full((3, 2, 30), 5, np.uint16), 10)
    table.wrong[1, :, -5:] = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert table.worth == pytest.approx([0.5, 0.55, 0.5])


def test_a_recorded_curve_is_that_of_a_network_trained() -> None:
    problem = PROBLEMS["cancer-sgd"]
    train, score = problem.parts()
    params = [{"units": 64, "momentum": 0.9, "lr": 0.1}, {"units": 4, "momentum": 0.0, "lr": 1e-4}]
    found = {place: count for place, count in record.trained(problem, params, train, score)}
    assert found.keys() == set(product(range(2), range(problem.seeds), range(problem.epochs)))
    assert (
        max(found[0, seed, 29] for seed in range(2)) <= 0.1 * len(score) < min(found[1, seed, 0] for seed in range(2))
    )
    assert isinstance(train, Samples)


def test_equal_regrets_share_a_rank_and_intervals_hold_the_mean() -> None:
    regrets = {"a": np.array([0.0, 1.0]), "b": np.array([0.0, 0.5]), "c": np.array([2.0, 2.0])}
    assert regret.ranks(regrets).tolist() == [[1.5, 2.0], [1.5, 1.0], [3.0, 3.0]]
    mean, (low, high) = regret.mean_ranks([regret.ranks(regrets)])
    assert mean.tolist() == [1.75, 1.25, 3.0]
    assert (low <= mean).all()
    assert (mean <= high).all()


def test_the_section_has_every_contender_of_every_table() -> None:
    whos = [OURS, regret.RIVAL, "GPSampler"]
    lines = [
        {
            "table": name,
            "seed": s,
            "contender": who,
            "epochs": 9,
            "regret": [2.0, 1.0 + k, k + (s - 1000) / 10],
            "shown": 0.9,
        }
        for name in (*TUNED[:1], "cancer-sgd")
        for s in (1000, 1001)
        for k, who in enumerate(whos)
    ]
    text = regret.report(lines)
    assert f"| cancer-sgd | {OURS} | 2 | 9 | 2.00 | 1.00 | 0.05 | +1.00" in text
    assert f"| {OURS} | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) |" in text
    assert regret.report([]) == regret.results.MISSING
