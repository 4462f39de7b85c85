"""The confirmation: written down once, paired by seed, resumable, and blind to the test images until the end."""

from collections import Counter

import pytest
from optuna.trial import TrialState, create_trial

from search.errors import StudyMismatchError
from search.store.study import StudyStore, open_study
from search.verdict.cohorts import PLAN, ConfirmationStore
from search.verdict.confirmation import confirm, confirm_search, measure, open_confirmation
from studies.built_in.sweet_spot import GRID
from studies.confirmation import Plan, best_trial, plan
from studies.settings import Setting
from studies.sweet_spot import ARTICLE, SPACE, sweet_spot
from tests.support.threads import at_once
from tests.support.tiny_study import (
    CAPACITY,
    EPOCHS,
    FAMILY,
    SEEDS,
    confirmed_once,
    copy_of,
    quiet,
    search_at,
    storage_at,
    tiny_mnist,
)


def never() -> bool:
    return False


def trial(number, width, lr, value, step, state=TrialState.COMPLETE):  # noqa: PLR0917
    made = create_trial(
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        params={"hidden_units": width, "lr": lr},
        distributions=SPACE,
        intermediate_values={step: value},
    )
    made.number = number
    if state == TrialState.PRUNED:
        made.values = [value]
    return made


def trained(store: StudyStore) -> int:
    """How many arms are trained from every seed."""
    drawn = Plan.of(store.study.user_attrs[PLAN])
    return len({drawn.trained(arm) for arm in drawn.arms})


@pytest.fixture(scope="module")
def searched_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("searched") / "s.db"
    search_at(path)
    return path


def opened(path) -> StudyStore:
    return open_study(storage_at(path), sweet_spot("sweet-spot", EPOCHS))


@pytest.fixture
def searched(searched_file, tmp_path_factory) -> StudyStore:
    return opened(copy_of(searched_file, tmp_path_factory.mktemp("searched")))


@pytest.fixture
def confirmed(tmp_path_factory) -> ConfirmationStore:
    return open_confirmation(opened(copy_of(confirmed_once(), tmp_path_factory.mktemp("confirmed"))), SEEDS, EPOCHS)


def test_the_lr_of_a_width_is_that_of_the_best_completed_trial_near_it():
    trials = [
        trial(0, 25, 0.02, 0.95, 100),
        trial(1, 24, 0.005, 0.96, 100),
        trial(2, 200, 0.003, 0.98, 100),
    ]

    def best(trials, width):
        return best_trial(trials, {"hidden_units": width}, ("lr",), SPACE)

    assert best(trials, 25).number == 1
    assert best(trials, 35).number == 0  # the only one within a factor of 1.41
    assert best(trials, 4).number == 1  # none there: the nearest
    assert best(trials[::-1], 25).number == 1


def test_the_plan_holds_every_width_under_both_protocols_and_names_winner_and_baseline():
    trials = [
        trial(0, 25, 0.02, 0.95, 100),
        trial(1, 200, 0.003, 0.98, 100),
        trial(2, 77, 0.1, 0.2, 3, TrialState.PRUNED),
    ]
    drawn = plan("s", trials, ARTICLE, SPACE)
    assert drawn.winner == 1
    assert drawn.finished == 3
    for protocol in ("article-lr", "best-lr"):
        assert [arm.params["hidden_units"] for arm in drawn.arms if arm.protocol == protocol] == [*GRID, 200]
    assert {arm.params["lr"] for arm in drawn.arms if arm.protocol == "article-lr"} == {0.02}
    roles = {arm.role: (arm.protocol, arm.params["hidden_units"], arm.params["lr"]) for arm in drawn.arms if arm.role}
    assert roles == {"baseline": ("article-lr", 25, 0.02), "winner": ("best-lr", 200, 0.003)}
    assert Plan.of(drawn.as_dict()) == drawn


def test_a_winner_on_the_grid_is_not_trained_twice():
    drawn = plan("s", [trial(0, 25, 0.02, 0.95, 100)], ARTICLE, SPACE)
    assert len(drawn.arms) == 2 * len(GRID)
    assert [arm.params["hidden_units"] for arm in drawn.arms if arm.role] == [25, 25]
    assert {drawn.trained(arm).protocol for arm in drawn.arms} == {
        "article-lr"
    }  # where 0.02 is the best, once is enough


def test_trials_are_written_down_once_by_many_at_once(searched):
    path = searched.storage.url.database
    assert at_once(4, lambda: open_confirmation(opened(path), 2, EPOCHS)) == []
    store = open_confirmation(searched, 2, EPOCHS)
    arms = trained(store)
    assert store.counts().waiting == 2 * arms == len(store.study.get_trials())
    assert open_confirmation(searched, 3, EPOCHS).counts().waiting == 3 * arms  # more seeds join


def test_the_studies_name_each_other_and_the_metric_is_readable(confirmed):
    assert confirmed.study.study_name == "sweet-spot/confirm"
    assert confirmed.study.user_attrs["search"] == "sweet-spot"
    search = opened(confirmed.storage.url.database)
    assert search.study.user_attrs["confirmation"] == "sweet-spot/confirm"
    assert confirmed.study.metric_names == ["validation accuracy"]


def test_every_arm_is_trained_from_the_same_seeds_on_the_same_batches(confirmed):
    trials = confirmed.study.get_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    arms = Counter(trial.user_attrs["seed_index"] for trial in trials)
    assert arms == dict.fromkeys(range(SEEDS), trained(confirmed))
    drawn = {(t.user_attrs["seed_index"], t.user_attrs["init_seed"], t.user_attrs["order_seed"]) for t in trials}
    assert len(drawn) == SEEDS  # one pair of seeds for each index
    assert len({init for _, init, _ in drawn}) == len({order for _, _, order in drawn}) == SEEDS
    assert {trial.user_attrs["first_epoch"] for trial in trials} == {0}


def test_seeds_are_fresh(confirmed):
    search = opened(confirmed.storage.url.database).study.get_trials()
    for name in ("init_seed", "order_seed"):
        old = {trial.user_attrs[name] for trial in search if name in trial.user_attrs}
        assert old.isdisjoint(trial.user_attrs[name] for trial in confirmed.study.get_trials())


def test_the_gap_is_recorded_at_every_rung(confirmed):
    for trial in confirmed.study.get_trials():
        gaps = {int(epoch): gap for epoch, gap in trial.user_attrs["gap_by_epoch"].items()}
        assert gaps.keys() == trial.intermediate_values.keys() == {1, 2}
        assert gaps[2] == pytest.approx(trial.user_attrs["gap"])


def test_only_winner_and_baseline_see_the_test_images(confirmed):
    roles = {
        trial.user_attrs.get("role") for trial in confirmed.study.get_trials() if "test_accuracy" in trial.user_attrs
    }
    assert roles == {"winner", "baseline"}
    others = [trial for trial in confirmed.study.get_trials() if not trial.user_attrs.get("role")]
    assert not any("test" in name and name != "test" for trial in others for name in trial.user_attrs)


def test_writing_down_reads_no_test_images(searched):
    data = tiny_mnist()
    confirm(open_confirmation(searched, 1, EPOCHS), data, CAPACITY, quiet, lambda: True)
    assert "test" not in vars(data)


def test_what_was_interrupted_goes_on_and_ends_with_the_same_figures(searched, confirmed):
    store, asked = open_confirmation(searched, 1, EPOCHS), iter([False] * 3)
    assert not confirm(store, tiny_mnist(), CAPACITY, quiet, lambda: next(asked, True))
    counts = store.counts()
    assert counts.running == 0
    assert counts.waiting
    assert confirm(open_confirmation(searched, 1, EPOCHS), tiny_mnist(), 64, quiet, never)

    def figures(study):
        keys = ("protocol", "seed_index")
        return {
            (trial.params["hidden_units"], *(trial.user_attrs[key] for key in keys)): trial.values
            for trial in study.get_trials()
            if trial.user_attrs["seed_index"] == 0
        }

    assert figures(store.study) == figures(confirmed.study)  # whatever fleet a trial was in


def test_a_finished_confirmation_trains_and_times_nothing_again(confirmed):
    before = confirmed.study.user_attrs
    assert confirm(confirmed, tiny_mnist(), CAPACITY, quiet, never)
    assert confirmed.study.user_attrs == before
    assert confirmed.next_seed() is None


def test_other_epochs_are_refused(confirmed):
    search = opened(confirmed.storage.url.database)
    with pytest.raises(StudyMismatchError, match="epochs 2, you ask for 1"):
        open_confirmation(search, 3, 1)
    assert confirm_search(
        search, tiny_mnist(), SEEDS, None, CAPACITY, console=quiet, stop=never
    )  # None: as it was begun


def test_zero_seeds_and_an_empty_search_ask_for_nothing(tmp_path, searched):
    assert not confirm_search(searched, tiny_mnist(), 0, None, CAPACITY, console=quiet, stop=never)
    empty = open_study(storage_at(tmp_path / "e.db"), sweet_spot("sweet-spot", EPOCHS))
    assert not confirm_search(empty, tiny_mnist(), 3, None, CAPACITY, console=quiet, stop=never)


def test_timing_pairs_rounds_and_counts_arithmetic():
    wanted = [Setting.of({"hidden_units": width, "lr": 0.01}) for width in (10, 25)]
    timed = measure(wanted, tiny_mnist().train, 64, FAMILY, rounds=2)["settings"]
    assert [row["setting"] for row in timed] == [dict(each) for each in wanted]
    assert all(len(row["seconds_per_epoch"]) == 2 and min(row["seconds_per_epoch"]) > 0 for row in timed)
    ten, right = (row["flops_per_epoch"] for row in timed)
    assert ten == 2 * 120 * (2 * 784 * 10 + 3 * (10 * 10 + 10 * 10))
    assert right > 2 * ten
