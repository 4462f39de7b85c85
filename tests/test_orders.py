"""What is asked of a study is kept with it, on both databases: who asks, extends, stops and follows."""

import json
from itertools import count

import pytest
from rich.console import Console

from benchmarks.faults import CLEAN, audit, ledger_at, search
from search.errors import SearchError, StudyMismatchError, UsageError
from search.follow import follow
from search.ledger import Ledger, open_ledger
from search.orders import Order, call_off, finish, listed, order_of, place
from search.status import state
from studies.confirm import SEEDS, confirmation


@pytest.fixture
def ledger(url: str) -> Ledger:
    return ledger_at(url)


def test_asking_again_raises_the_budget_and_never_lowers_it(ledger: Ledger) -> None:
    assert place(ledger, 5, None, None) == Order(5, SEEDS, None, stopped=False, done=False)
    assert place(ledger, 3, 7, 20) == Order(5, 7, 20, stopped=False, done=False)
    assert place(ledger, 9, None, None) == Order(9, 7, 20, stopped=False, done=False)
    assert ledger.budget() == 9


def test_a_larger_budget_reaches_a_worker_that_is_searching_already(url: str, ledger: Ledger) -> None:
    looks = count()

    def stop() -> bool:
        if next(looks) == 2:
            place(ledger_at(url), 6, 0, None)
        return False

    place(ledger, 3, 0, None)
    search(ledger, 3, stop=stop)
    assert audit(ledger.study.trials, 6) == CLEAN


def test_an_order_that_is_done_is_open_again_when_more_is_asked_for(ledger: Ledger) -> None:
    order = place(ledger, 2, 1, None)
    finish(ledger, order)
    assert place(ledger, 2, None, None).open is False
    assert place(ledger, 2, 3, None).open is True
    finish(ledger, order)  # who did the smaller one has not done this one
    assert order_of(ledger).open is True


def test_calling_off_lowers_the_budget_to_what_is_finished_unless_more_is_asked_for_meanwhile(ledger: Ledger) -> None:
    place(ledger, 5, None, None)
    first, second = ledger.claim(), ledger.claim()
    assert first
    assert second
    ledger.complete(first, 0.5, {})
    call_off(ledger.storage, ledger.study)
    assert (ledger.budget(), order_of(ledger).open) == (1, False)
    assert ledger.claim() is None
    ledger.complete(second, 0.5, {})
    call_off(ledger.storage, ledger.study, again=True)
    assert ledger.budget() == 2
    place(ledger, 4, None, None)
    call_off(ledger.storage, ledger.study, again=True)
    assert (ledger.budget(), order_of(ledger).open) == (4, True)


def test_a_confirmation_begun_with_other_epochs_is_refused_before_anything_is_trained(ledger: Ledger) -> None:
    open_ledger(ledger.storage, confirmation("study", 3))
    with pytest.raises(StudyMismatchError, match="study 'study/confirm' has epochs 3, you ask for 4; choose another"):
        place(ledger, 5, 1, 4)
    assert ledger.budget() == 0
    assert place(ledger, 5, 1, 3).epochs == 3


def test_only_searches_that_somebody_has_asked_for_are_listed_oldest_first(ledger: Ledger) -> None:
    for name in ("b", "a"):
        other = ledger_at(ledger.storage.url.render_as_string(hide_password=False), name=name)
        place(other, 1, 0, None)
    open_ledger(ledger.storage, confirmation("a", 3))
    assert [study.name for study in listed(ledger.storage)] == ["b", "a"]


@pytest.mark.parametrize("stored", [{"budget": "many"}, {"budget": -1}, {"budget": True}, {"confirm": {"seeds": 1}}])
def test_nonsense_is_one_line(ledger: Ledger, stored: dict[str, object]) -> None:
    place(ledger, 5, 1, None)
    for key, value in stored.items():
        ledger.study.set_user_attr(key, value)
    (study,) = listed(ledger.storage)
    for ask in (study.order, lambda: order_of(ledger), lambda: place(ledger, 9, 1, None)):
        with pytest.raises(SearchError, match="makes no sense; choose another --study name"):
            ask()


def followed(ledger: Ledger, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> list[str]:
    """Finish a trial before every look, note after the last that all is done; return the lines."""
    order = place(ledger, 2, 0, None)

    def look() -> dict[str, object]:
        trial = ledger.claim()
        if trial is None:
            finish(ledger, order)
        else:
            ledger.complete(trial, 0.5, {})
        return state(ledger.storage, ledger.study)

    follow(look, 0.01, Console(soft_wrap=True), as_json=as_json)
    return capsys.readouterr().out.splitlines()


def test_following_says_every_change_and_ends_when_all_is_done(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = followed(ledger, capsys, as_json=False)
    assert "1 of 2 trials finished: 1 complete, 0 pruned" in first
    assert "2 of 2 trials finished: 2 complete" in second
    assert third.endswith("; done")


def test_following_as_json_is_a_document_for_each_change(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [json.loads(line) for line in followed(ledger, capsys, as_json=True)]
    assert [(document["counts"]["finished"], document["ended"]) for document in documents] == [
        (1, None),
        (2, None),
        (2, "done"),
    ]


def test_a_study_nobody_has_asked_for_is_not_followed(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="nobody has asked for trials of study 'study'"):
        follow(lambda: state(ledger.storage, ledger.study), 0.01, Console(quiet=True), as_json=False)
