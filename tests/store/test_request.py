"""What is asked of a study is kept with it, on both databases: who asks, extends, stops and follows."""

import json
from itertools import count

import pytest
from rich.console import Console

from benchmarks.faults import CLEAN, audit, search, store_at
from search.errors import SearchError, StudyMismatchError, UsageError
from search.results.follow import follow
from search.results.progress import progress
from search.store.request import Request, cancel, listed, mark_done, request_of, submit
from search.store.study import StudyStore, open_study
from studies.confirmation import SEEDS, confirmation_of
from studies.sweet_spot import sweet_spot


@pytest.fixture
def store(url: str) -> StudyStore:
    return store_at(url)


def test_asking_again_raises_the_budget_and_never_lowers_it(store: StudyStore) -> None:
    assert submit(store, 5, None, None) == Request(5, SEEDS, None, stopped=False, done=False)
    assert submit(store, 3, 7, 20) == Request(5, 7, 20, stopped=False, done=False)
    assert submit(store, 9, None, None) == Request(9, 7, 20, stopped=False, done=False)
    assert store.budget() == 9


def test_minutes_are_kept_until_others_are_asked_for(store: StudyStore) -> None:
    assert submit(store, 9, 7, 20, 2.5) == Request(9, 7, 20, stopped=False, done=False, minutes=2.5)
    assert submit(store, 9, None, None).minutes == 2.5
    mark_done(store, request_of(store))
    assert request_of(store).done
    assert not submit(store, 9, None, None, 5).done


def test_a_larger_budget_reaches_a_worker_that_is_searching_already(url: str, store: StudyStore) -> None:
    looks = count()

    def stop() -> bool:
        if next(looks) == 2:
            submit(store_at(url), 6, 0, None)
        return False

    submit(store, 3, 0, None)
    search(store, 3, stop=stop)
    assert audit(store.study.trials, 6) == CLEAN


def test_an_order_that_is_done_is_open_again_when_more_is_asked_for(store: StudyStore) -> None:
    request = submit(store, 2, 1, None)
    mark_done(store, request)
    assert submit(store, 2, None, None).open is False
    assert submit(store, 2, 3, None).open is True
    mark_done(store, request)  # who did the smaller one has not done this one
    assert request_of(store).open is True


def test_calling_off_lowers_the_budget_to_what_is_finished_unless_more_is_asked_for_meanwhile(
    store: StudyStore,
) -> None:
    submit(store, 5, None, None)
    first, second = store.acquire(), store.acquire()
    assert first
    assert second
    store.complete(first, 0.5, {})
    cancel(store.storage, store.study)
    assert (store.budget(), request_of(store).open) == (1, False)
    assert store.acquire() is None
    store.complete(second, 0.5, {})
    cancel(store.storage, store.study, again=True)
    assert store.budget() == 2
    submit(store, 4, None, None)
    cancel(store.storage, store.study, again=True)
    assert (store.budget(), request_of(store).open) == (4, True)


def test_a_confirmation_begun_with_other_epochs_is_refused_before_anything_is_trained(store: StudyStore) -> None:
    open_study(store.storage, confirmation_of(sweet_spot("study"), 3))
    with pytest.raises(StudyMismatchError, match="study 'study/confirm' has epochs 3, you ask for 4; choose another"):
        submit(store, 5, 1, 4)
    assert store.budget() == 0
    assert submit(store, 5, 1, 3).epochs == 3


def test_only_searches_that_somebody_has_asked_for_are_listed_oldest_first(store: StudyStore) -> None:
    for name in ("b", "a"):
        other = store_at(store.storage.url.render_as_string(hide_password=False), name=name)
        submit(other, 1, 0, None)
    open_study(store.storage, confirmation_of(sweet_spot("a"), 3))
    assert [study.name for study in listed(store.storage)] == ["b", "a"]


@pytest.mark.parametrize("stored", [{"budget": "many"}, {"budget": -1}, {"budget": True}, {"confirm": {"seeds": 1}}])
def test_nonsense_is_one_line(store: StudyStore, stored: dict[str, object]) -> None:
    submit(store, 5, 1, None)
    for key, value in stored.items():
        store.study.set_user_attr(key, value)
    (study,) = listed(store.storage)
    for ask in (study.request, lambda: request_of(store), lambda: submit(store, 9, 1, None)):
        with pytest.raises(SearchError, match="makes no sense; choose another --study name"):
            ask()


def followed(store: StudyStore, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> list[str]:
    """Finish a trial before every look, note after the last that all is done; return the lines."""
    request = submit(store, 2, 0, None)

    def look() -> dict[str, object]:
        trial = store.acquire()
        if trial is None:
            mark_done(store, request)
        else:
            store.complete(trial, 0.5, {})
        return progress(store.storage, store.study)

    follow(look, 0.01, Console(soft_wrap=True), as_json=as_json)
    return capsys.readouterr().out.splitlines()


def test_following_says_every_change_and_ends_when_all_is_done(
    store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = followed(store, capsys, as_json=False)
    assert "1 of 2 trials finished: 1 complete, 0 pruned" in first
    assert "2 of 2 trials finished: 2 complete" in second
    assert third.endswith("; done")


def test_following_as_json_is_a_document_for_each_change(store: StudyStore, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [json.loads(line) for line in followed(store, capsys, as_json=True)]
    assert [(document["counts"]["finished"], document["ended"]) for document in documents] == [
        (1, None),
        (2, None),
        (2, "done"),
    ]


def test_a_study_nobody_has_asked_for_is_not_followed(store: StudyStore) -> None:
    with pytest.raises(UsageError, match="nobody has asked for trials of study 'study'"):
        follow(lambda: progress(store.storage, store.study), 0.01, Console(quiet=True), as_json=False)
