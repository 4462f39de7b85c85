"""Fleets abreast: threads are shared out and given back, and no clock decides what a search does."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.faults import Pace, made_up_mnist, store_at
from model.data.samples import Parts
from model.fleet.family import Family
from model.fleet.fleet import Fleet
from model.fleet.fleets import SHARED, Fleets
from search.training.engine import Engine
from search.training.replay import Recipe, replayed
from studies.sweet_spot import article_network
from tests.support.cards import needs_cuda
from tests.support.tiny_study import FAMILY

two_threads = pytest.mark.parametrize("threads", [2], indirect=True)


@contextmanager
def fleets_of(tiny: Parts, *widths: int) -> Iterator[Fleets]:
    """Yield fleets of one network each."""
    with Fleets(tiny.train, 0, 64) as fleets:
        for fleet, width in zip(fleets, widths, strict=True):
            fleet.add(article_network(width, 0), 0.01)
        yield fleets


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
def test_a_cpus_threads_are_shared_out_and_given_back(tiny: Parts, threads: int) -> None:
    with Fleets(tiny.train, 0) as fleets:
        assert len(fleets) == threads
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("program", ["search.run", "search.worker", "benchmarks.ours"])
def test_how_threads_wait_is_set_before_any_library_reads_it(program: str) -> None:
    names = f"import {program}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout.split()
    assert loaded.index("model") < min(loaded.index("torch"), loaded.index("numpy"))


def test_a_fleet_need_not_wait_long_for_python_and_others_may_when_it_is_over(tiny: Parts) -> None:
    before = sys.getswitchinterval()
    with Fleets(tiny.train, 0):
        assert sys.getswitchinterval() < before / 50
    assert sys.getswitchinterval() == pytest.approx(before)


@two_threads
def test_fewer_units_take_less_time_whatever_the_clock_says(tiny: Parts, threads: int) -> None:
    with fleets_of(tiny, 250, 8) as fleets:
        wide, narrow = fleets
        served = [fleets.train_next()[0] for _ in range(9)]
    assert served.index(wide) == 7  # it costs 424 with what is shared; seven turns of 58 of the narrow one come before
    assert served.count(narrow) == 8


@two_threads
def test_newcomers_go_where_there_is_most_room_and_nobody_trains(tiny: Parts, threads: int) -> None:
    with fleets_of(tiny, 100, 60) as fleets:
        first, second = fleets
        assert fleets.least_loaded(512) is second
        assert fleets.least_loaded(120) is None  # half of it each
        fleet, _ = fleets.train_next()  # both have begun, one has ended
        assert (fleet, fleets.least_loaded(512)) == (second, second)
        assert fleets.least_loaded(120) is None
        assert (first.number, second.number) == (0, 1)


@two_threads
def test_a_fleet_that_is_left_alone_has_all_threads_until_it_is_not(tiny: Parts, threads: int) -> None:
    with fleets_of(tiny, 100, 60) as fleets:
        wide, narrow = fleets
        (member,), (gone,) = wide.members, narrow.members
        while fleets.train_next()[0] is not narrow:
            pass
        narrow.detach(gone)
        for _ in range(3):
            assert fleets.train_next()[0] is wide
        narrow.attach(gone)
        while fleets.train_next()[0] is not wide:
            pass
        assert torch.get_num_threads() == 1  # those that trials are scored with
    assert [segment.threads for segment in member.segments] == [1, 2, 1]
    assert [segment.threads for segment in gone.segments] == [1]


class Broken(Fleet):
    """Its memory is gone when it trains."""

    def train_epoch(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")


@two_threads
def test_what_went_wrong_in_a_thread_is_raised_and_all_can_begin_anew(
    tiny: Parts,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model.fleet.fleets.Fleet", Broken)
    with fleets_of(tiny, 8, 16) as fleets:
        with pytest.raises(torch.OutOfMemoryError):
            fleets.train_next()
        monkeypatch.undo()
        fleets.renew()
        assert [fleet.members for fleet in fleets] == [[], []]
        next(iter(fleets)).add(article_network(8, 0), 0.01)
        assert fleets.train_next()[0].clock == 1


@two_threads
def test_after_an_epoch_a_fleet_is_shown_in_its_thread_while_the_other_trains(tiny: Parts, threads: int) -> None:
    both, shown = Barrier(2), list[tuple[int, int, int]]()

    def after(fleet: Fleet) -> None:
        both.wait(60)  # passed only if both fleets are shown at the same time
        shown.append((fleet.number, fleet.clock, fleet.members[0].epochs_trained))

    with Fleets(tiny.train, 0, 64, after) as fleets:
        for fleet in fleets:
            fleet.add(article_network(16, 0), 0.01)
        fleets.train_next()
    assert sorted(shown) == [(0, 1, 1), (1, 1, 1)]


@two_threads
def test_who_asks_for_the_device_has_it_alone_and_the_order_stays(tiny: Parts, threads: int) -> None:
    orders = []
    for resting in (False, True):
        with fleets_of(tiny, 4, 200) as fleets:
            orders.append([_served(fleets, threads, resting) for _ in range(8)])
    assert orders[0] == orders[1]
    assert set(orders[0]) == {0, 1}


def _served(fleets: Fleets, threads: int, resting: bool) -> int:
    """Return the number of the fleet that is served next, with or without a rest of all before."""
    fleets.start()
    if resting:
        with fleets.at_rest():
            assert all(task.epoch is not None and task.epoch.done() for task in fleets._tasks)
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 1
    return fleets.train_next()[0].number


@two_threads
def test_a_fleet_is_served_as_often_as_its_networks_cost_lets_it(tiny: Parts, threads: int) -> None:
    def convolutions(channels: int) -> nn.Module:
        hidden = (nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, channels, 3), nn.ReLU())
        return nn.Sequential(*hidden, nn.Flatten(), nn.LazyLinear(10))

    served, costs = [], []
    family = Family(convolutions, 784, 10)
    with Fleets(tiny.train, 0, 64) as fleets:
        for fleet, channels in zip(fleets, (1, 6), strict=True):
            params = {"channels": channels, "lr": 0.01}
            fleet.attach(family.member(family.build(params, 0), params, 0, torch.device("cpu")))
            assert fleet.cost > 2 * fleet.units  # so small a convolution writes more than it computes
            costs.append(SHARED + fleet.cost)
        for _ in range(12):
            served.append(fleets.train_next()[0].number)
    behind = [costs[number] * served.count(number) for number in (0, 1)]
    assert abs(behind[0] - behind[1]) <= max(costs)


@two_threads
def test_what_went_wrong_after_an_epoch_is_raised_too(tiny: Parts, threads: int) -> None:
    def after(fleet: Fleet) -> None:
        raise torch.OutOfMemoryError("no memory to score")

    with Fleets(tiny.train, 0, 64, after) as fleets:
        next(iter(fleets)).add(article_network(16, 0), 0.01)
        with pytest.raises(torch.OutOfMemoryError, match="to score"):
            fleets.train_next()


def search(path: Path, slow: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Search while one of the fleets takes longer than it should; return what the trials are and were told."""

    class Slow(Fleet):
        def train_epoch(self) -> None:
            if self.number == slow:
                time.sleep(0.02)
            super().train_epoch()

    monkeypatch.setattr("model.fleet.fleets.Fleet", Slow)
    store = store_at(f"sqlite:///{path}", seed=3)
    store.set_budget(10)
    Engine(store, made_up_mnist(), 96, Pace()).search(lambda: False)
    return [
        {"by_epoch": trial.intermediate_values, **trial.params, **trial.user_attrs, "seconds": None, "worker": None}
        for trial in store.study.trials
    ]


@two_threads
def test_a_search_repeats_itself_whichever_fleet_is_the_slower(
    tmp_path: Path,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (search(tmp_path / f"{slow}.db", slow, monkeypatch) for slow in (0, 1))
    assert {fleet for trial in first for fleet, *_ in trial["stints"]} == {0, 1}
    assert first == second


@two_threads
def test_every_trial_of_every_fleet_can_be_trained_again_to_the_bit(tmp_path: Path, threads: int) -> None:
    store, data = store_at(f"sqlite:///{tmp_path}/study.db", seed=2), made_up_mnist()
    store.set_budget(18)  # with this seed a wide one trains with the threads of both fleets, and one changes its fleet
    Engine(store, data, 96, Pace()).search(lambda: False)
    trials = store.study.trials
    stays = [[fleet for fleet, *_ in trial.user_attrs["stints"]] for trial in trials]
    assert {fleet for stay in stays for fleet in stay} == {0, 1}
    assert any(len(set(stay)) > 1 for stay in stays)  # some went on in the other fleet
    wide = [trial for trial in trials if trial.params["hidden_units"] > 64]  # whose bits depend on the threads
    assert {threads for trial in wide for *_, threads in trial.user_attrs["stints"]} == {1, 2}
    assert all(replayed(trial, Recipe(data, FAMILY)).repeats(trial) for trial in trials)
    assert torch.get_num_threads() == threads  # those of a rerun were its own


@needs_cuda
def test_every_trial_of_a_search_on_cuda_can_be_trained_again_to_the_bit(tmp_path: Path) -> None:
    store, data = store_at(f"sqlite:///{tmp_path}/study.db"), made_up_mnist(device="cuda")
    store.set_budget(18)
    Engine(store, data, 96, Pace()).search(lambda: False)
    trials = store.study.trials
    assert len({clock for trial in trials for _, clock, *_ in trial.user_attrs["stints"]}) > 1  # some came later
    assert all(replayed(trial, Recipe(data, FAMILY)).repeats(trial) for trial in trials)
