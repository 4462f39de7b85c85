"""A study's file: what it may say, and the one line for what it may not, before anything is written."""

from pathlib import Path

import pytest
import torch

from model.data.dataset import open_dataset
from model.errors import SweetspotError
from studies.check import check_study_file, corners
from studies.file import read_study
from studies.search_spec import search_spec, uses_curve_model
from studies.study import Categorical, Float, Int
from tests.support.own_study import written

CPU = torch.device("cpu")
LAYERS = "nn.Linear(64, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, 10)"
MISTAKES = {
    "raises": ("study = Study(", "1 / 0\nstudy = Study(", "digits_study.py, line 12 (1 / 0): ZeroDivisionError"),
    "syntax": ("study = Study(", "study = = Study(", "digits_study.py, line 12: SyntaxError"),
    "no study": ("study = Study(", "answer = Study(", "has no study: write study = Study(...)"),
    "baseline outside": (
        'baseline={"units": 25',
        'baseline={"units": 250',
        "baseline has units = 250, which",
    ),
    "baseline lacks": ('"dropout": 0.0, "lr": 0.02}', '"lr": 0.02}', "the baseline has no dropout"),
    "fixed outside": ('fixed=[{"units": 40}]', 'fixed=[{"units": "many"}]', "fixed trial has units = 'many'"),
    "claim outside": ('better({"dropout": 0.2}', 'better({"dropout": 0.9}', "has dropout = 0.9, which is outside"),
    "claim unknown": ('better({"dropout": 0.2}', 'better({"depth": 2}', "has depth, which the space has not"),
    "no epochs": ("epochs=6", "epochs=0", "epochs is a whole number of 1 or more, not 0"),
    "other space": ('"dropout": Float(0, 0.6), ', '"dropout": Float(0, 0.6), "depth": Int(1, 3), ', "has no depth"),
    "outputs": ("nn.Linear(units, 10))", "nn.Linear(units, 7))", "(2, 7) for two samples, not (2, 10)"),
    "inputs": ("nn.Linear(64, units)", "nn.Linear(63, units)", "the network of"),
    "no module": (f"nn.Sequential({LAYERS})", "units", "returned int, not a torch.nn.Module"),
    "no data": ('data="digits"', 'data="digts"', "digts"),
    "strength": (
        "epochs=6",
        'epochs=6, augment=__import__("studies").Augment(shift="far")',
        "the augmentation needs the parameter 'far'",
    ),
    "against": ("epochs=6", "epochs=6, against='size'", "against is 'parameters' or 'seconds', not 'size'"),
    "against a list": (
        "epochs=6",
        "epochs=6, against=['seconds']",
        "against is 'parameters' or 'seconds', not ['seconds']",
    ),
    "halving against": (
        "epochs=6",
        "epochs=6, against='seconds', halving=__import__('studies.halving').halving.HALVING",
        "halving stops trials, which Optuna cannot do with two aims",
    ),
    "loss": ("epochs=6", 'epochs=6, loss=__import__("studies").Loss("mse")', "mse"),
}


def mistake(directory: Path, old: str, new: str) -> str:
    """What is said of a file with a mistake in it."""
    with pytest.raises(SweetspotError) as caught:
        check(written(directory, old, new))
    assert caught.value.exit_code == 2
    return str(caught.value)


def check(path: Path) -> None:
    file = read_study(path)
    check_study_file(file, open_dataset(file.study.data), CPU)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    old, new, said = MISTAKES[name]
    line = mistake(tmp_path, old, new)
    assert said in line
    assert "\n" not in line.strip()


def test_a_parameter_that_nobody_takes_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, '"dropout": Float(0, 0.6), ', '"dropout": Float(0, 0.6), "depth": Int(1, 3), ')
    path.write_text(path.read_text().replace('"dropout": 0.0, "lr"', '"dropout": 0.0, "depth": 1, "lr"'))
    file = read_study(path)
    with pytest.raises(SweetspotError, match="has depth, which nothing takes"):
        check_study_file(file, open_dataset("digits"), CPU)


def test_a_table_is_not_augmented(tmp_path: Path) -> None:
    rows = "\n".join(f"{at},{at % 7},{'ab'[at % 2]}" for at in range(60))
    (tmp_path / "rows.csv").write_text(f"x,y,label\n{rows}\n", encoding="utf-8")
    table = f'data=__import__("studies").data({str(tmp_path / "rows.csv")!r}, target="label")'
    path = written(tmp_path, 'data="digits"', f'{table}, augment=__import__("studies").Augment(noise=0.1)')
    with pytest.raises(SweetspotError, match="only pictures can be augmented, and a sample here is 2 numbers"):
        check(path)


def test_a_loss_that_is_no_number_before_training_is_refused(tmp_path: Path) -> None:
    assert "not a number" in mistake(
        tmp_path, "nn.Linear(units, 10))", "nn.Linear(units, 10), nn.Threshold(1e9, float('nan')))"
    )


def test_the_question_is_the_docstrings_first_line_and_the_file_is_known_by_its_text(tmp_path: Path) -> None:
    file = read_study(written(tmp_path))
    assert file.study.question == "Does dropout help a small network on handwritten digits?"
    assert (file.name, len(file.sha256)) == ("digits-study", 64)
    assert read_study(written(tmp_path, "0.005", "0.01")).sha256 != file.sha256


def test_every_corner_is_looked_at_once() -> None:
    found = list(corners({"units": Int(2, 4), "act": Categorical(["relu", "tanh", "gelu"]), "lr": Float(0.1, 1)}))
    assert len({tuple(each.items()) for each in found}) == len(found) == 2 * 3 * 2


def test_the_curve_model_is_used_where_it_can_be_trusted_and_else_optunas_own(tmp_path: Path) -> None:
    numbers = {"lr": Float(0.1, 1)}
    assert uses_curve_model("accuracy", numbers)
    assert not uses_curve_model("accuracy", {**numbers, "act": Categorical(["relu", "tanh"])})
    assert not uses_curve_model("mean_squared_error", numbers)
    spec = search_spec(read_study(written(tmp_path)), open_dataset("digits"), "study")
    assert (type(spec.sampler(0)).__name__, type(spec.pruner).__name__) == ("CurveSampler", "CurvePruner")
    assert (spec.metric, spec.direction, spec.epochs) == ("validation accuracy", "maximize", 6)
    assert spec.fingerprint()["file"]["sha256"] == read_study(written(tmp_path)).sha256
