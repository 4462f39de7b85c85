"""What we use of Optuna though it is not public: in one module, and each fails here when Optuna changes it."""

import ast
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna_dashboard import save_note

from studies import optuna_private as private
from studies.sweet_spot import SPACE, sweet_spot

ROOT = Path(__file__).parents[2]
CODE = sorted(path for name in ("search", "studies", "model") for path in (ROOT / name).rglob("*.py"))
OF_TORCH = {
    "_foreach_add_",
    "_fused_adam_",
    "_fused_adamw_",
    "_fused_sgd_",
}  # kernels without the optimizer around them
OF_TORCH |= {
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
}  # of what is no plain MLP
OF_TORCH |= {"_ops", "_python_dispatch", "_schema"}  # how PyTorch tells of a call that draws random numbers, or writes
OF_TORCH |= {"_to_copy"}  # the operation that makes a tensor another type


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def private_names(path: Path) -> list[str]:
    """Names with an underscore that a module takes from what is not its own."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node.value)
            found += [] if owner in {"self", "cls", "super()"} else [node.attr]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in {
            "search",
            "studies",
            "model",
        }:
            found += [part for part in (node.module or "").split(".") if part.startswith("_") and part != "__future__"]
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_uses_what_is_not_public(path: Path) -> None:
    if path.name != "optuna_private.py":
        assert set(private_names(path)) <= OF_TORCH


def test_the_scan_finds_what_is_not_public() -> None:
    found = private_names(ROOT / "studies" / "optuna_private.py")
    assert {"_study_id", "_trial_id", "_storage", "_rdb", "_note", "_contains", "_get_trials", "_X_train"} <= set(found)


def test_keys_are_those_of_the_storage(study: optuna.Study) -> None:
    trial = study.ask()
    backend = private.storage_of(study)
    assert private.study_key(study) == backend.get_study_id_from_name(study.study_name)
    assert backend.get_trial(private.trial_key(trial)).number == trial.number
    assert private.trial_key(study.trials[0]) == private.trial_key(trial)


def test_optunas_tables_are_there() -> None:
    assert {"studies", "trials", "trial_heartbeats", "study_user_attributes"} <= set(private.tables())


@pytest.mark.parametrize(("value", "inside"), [(4, True), (256, True), (3, False), (257, False), (4.5, False)])
def test_a_value_is_inside_or_outside(value: float, inside: bool) -> None:
    assert private.contains(IntDistribution(4, 256, log=True), value) is (inside and value == int(value))
    assert private.contains(FloatDistribution(1e-4, 1e-1), 1e-4)


def test_notes_are_the_dashboards_own(study: optuna.Study) -> None:
    backend, key = private.storage_of(study), private.study_key(study)
    save_note(study, "by the public function")
    body, version = private.note_of(backend.get_study_system_attrs(key), None)
    assert body == "by the public function"
    private.save_note(backend, key, None, version + 1, "by ours")
    assert private.note_of(backend.get_study_system_attrs(key), None) == ("by ours", version + 1)


def test_a_sampler_sees_what_the_view_shows(study: optuna.Study) -> None:
    class Nobody(private.StudyView):
        def visible(self, trials: list[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
            return trials[:0]

    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 12)
    space = {"x": FloatDistribution(0, 1)}
    trial = study.trials[-1]
    for view, seen in ((study, space), (Nobody(study), {})):
        assert optuna.samplers.GPSampler(seed=0).infer_relative_search_space(view, trial) == seen  # type: ignore[arg-type]


def test_what_is_to_be_beaten_is_the_best_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna hands its acquisition function to our hook, and takes the threshold from it."""
    thresholds, optimize = [], private.SmoothedGPSampler._optimize_acqf

    def noted(self: private.SmoothedGPSampler, acqf: object, best_params: object) -> object:
        before = acqf._threshold  # type: ignore[attr-defined]
        result = optimize(self, acqf, best_params)
        thresholds.append((before, acqf._threshold))  # type: ignore[attr-defined]
        return result

    monkeypatch.setattr(private.SmoothedGPSampler, "_optimize_acqf", noted)
    study = optuna.create_study(direction="maximize", sampler=sweet_spot().sampler(0))
    for number in range(12):
        trial = study.ask(dict(SPACE))
        lucky = 0.05 if number == 3 else 0.0
        trial.report(0.9 + lucky, 3)
        study.tell(trial, 0.9 + lucky)
    assert thresholds
    assert all(after < before for before, after in thresholds)


def test_optuna_weighs_the_trials_that_are_drawn_by_the_values_that_are_given() -> None:
    space: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}
    settings = [{"a": (7 * k % 20) / 19, "b": (3 * k % 20) / 19} for k in range(20)]
    study = optuna.create_study(direction="maximize")
    drawn, values = list(range(0, 20, 2)), np.array([setting["a"] for setting in settings])
    for k in drawn:
        study.add_trial(optuna.create_trial(params=settings[k], distributions=space, value=values[k]))
    trials, evaluator = private.ImportanceTrials(space, settings), PedAnovaImportanceEvaluator(target_quantile=0.5)
    found = trials.evaluate(evaluator, drawn, values)
    assert found == evaluator.evaluate(study)
    assert found["a"] > found["b"]


def test_optunas_process_expects_what_it_was_fitted_to() -> None:
    points = np.linspace(0, 1, 12)[:, None]
    values = np.sin(6 * points[:, 0])
    process = private.Process(points, (values - values.mean()) / values.std(), np.array([False]))
    mean, covariance = process.posterior(points)
    assert values.mean() + values.std() * mean == pytest.approx(values, abs=0.05)
    assert covariance.shape == (12, 12)
    assert 0 < process.noise < 0.01
    assert process.constants == 3


def proposed(trials: int, seed: int, fit: private.LastFit | None) -> dict[str, float]:
    """What a sampler proposes for the next trial of a study, the same one each time: it leaves its mark on it."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    space = {name: FloatDistribution(0, 1) for name in ("x", "y")}
    for number in range(trials):
        trial = study.ask(space)
        x, y = trial.params.values()
        study.tell(trial, 1 - (x - 0.3) ** 2 - (y - 0.6) ** 2 + number % 5 / 100)
    waiting = study.ask()
    return private.SmoothedGPSampler(seed, fit).sample_relative(study, study.trials[waiting.number], space)


def test_samplers_share_a_fit_to_the_same_trials_and_no_other() -> None:
    shared = private.LastFit()
    assert proposed(12, 0, shared) == proposed(12, 0, None)  # nothing was fitted before
    first = shared.processes
    for seed in (1, 2, 3):
        assert proposed(12, seed, shared) == pytest.approx(proposed(12, seed, None), rel=1e-4)
    assert shared.processes is first
    assert proposed(13, 4, shared) == proposed(13, 4, None)
    assert shared.processes is not first
