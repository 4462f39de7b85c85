"""Pictures of digits become what the network was trained on, and a trial's answer does not depend on the file."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from model.data.digit import read_digit
from model.errors import PictureError
from model.network.weights import read
from search.predict import main
from search.store.study import open_study
from search.store.trials import ranking
from search.training.artifacts import WEIGHTS, Artifacts, artifact_dir
from search.training.display import Lines
from search.training.engine import Engine
from search.training.inference import answer
from search.training.replay import Recipe, finished_trial, replayed
from studies.sweet_spot import sweet_spot
from tests.support.tiny_study import CAPACITY, FAMILY, quiet, storage_at, tiny_mnist, url_of

COUNT = 100  # test images a property is checked on


def grey(mnist, i):
    return mnist.test.pixels[i].view(28, 28).numpy()


def saved(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def pixels_of(path: Path) -> np.ndarray:
    return read_digit(path).pixels.view(28, 28).numpy()


def test_mnists_own_digits_come_back_to_the_bit(mnist, tmp_path):
    """Most do: the rest have a faint edge, which could be JPEG's ringing, and lose it."""
    same = 0
    for i in range(COUNT):
        image = grey(mnist, i)
        stretched = (image.astype(np.float32) * (255 / image.max())).round().astype(np.uint8)
        same += np.array_equal(pixels_of(saved(tmp_path / "d.png", image)), stretched)
    assert same >= 0.7 * COUNT


def test_black_on_white_is_read_as_its_negative(mnist, tmp_path):
    for i in range(COUNT):
        straight = read_digit(saved(tmp_path / "d.png", grey(mnist, i)))
        inverted = read_digit(saved(tmp_path / "n.png", 255 - grey(mnist, i)))
        assert torch.equal(straight.pixels, inverted.pixels)
        assert (straight.polarity, inverted.polarity) == ("white on black", "black on white")


def test_a_digit_anywhere_on_a_larger_canvas_is_found(mnist, tmp_path):
    for i in range(COUNT):
        canvas = np.zeros((200, 120), dtype=np.uint8)
        canvas[150:178, 3:31] = grey(mnist, i)
        assert np.array_equal(
            pixels_of(saved(tmp_path / "c.png", canvas)), pixels_of(saved(tmp_path / "d.png", grey(mnist, i)))
        )


@pytest.mark.parametrize("paper", ["white", "black"])
def test_transparent_paper_is_the_opposite_of_the_ink(mnist, tmp_path, paper):
    image = grey(mnist, 0)
    ink = np.full_like(image, 0 if paper == "white" else 255)
    Image.fromarray(np.dstack([ink, ink, ink, image])).save(tmp_path / "a.png")
    digit = read_digit(tmp_path / "a.png")
    assert digit.polarity == ("black on white" if paper == "white" else "white on black")
    assert np.array_equal(digit.pixels.view(28, 28).numpy(), pixels_of(saved(tmp_path / "d.png", image)))


def test_pale_ink_is_made_bold(mnist, tmp_path):
    pale = 240 - grey(mnist, 0) // 3
    assert pixels_of(saved(tmp_path / "p.png", pale)).max() >= 250


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_every_kind_of_picture_is_read(mnist, tmp_path, mode):
    image = Image.fromarray(grey(mnist, 0))
    if mode == "I;16":
        image = Image.fromarray(grey(mnist, 0).astype(np.uint16) * 257)
    path = tmp_path / ("d.tiff" if mode == "CMYK" else "d.png")
    (image if mode == "I;16" else image.convert(mode)).save(path)
    assert pixels_of(path).shape == (28, 28)


def test_a_picture_that_lies_on_its_side_is_turned(mnist, tmp_path):
    upright = Image.fromarray(255 - grey(mnist, 0)).resize((280, 280))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to look at it
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "s.jpg", exif=exif, quality=95)
    upright.save(tmp_path / "u.jpg", quality=95)
    assert np.abs(pixels_of(tmp_path / "s.jpg").astype(int) - pixels_of(tmp_path / "u.jpg")).mean() < 2


@pytest.fixture
def bad(tmp_path):
    """Pictures that are none, by name."""
    good = io.BytesIO()
    Image.effect_noise((60, 60), 90).save(good, "PNG")
    contents = {"text.png": b"no picture", "empty.png": b"", "cut.png": good.getvalue()[:900]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    Image.new("LA", (50, 50), (0, 0)).save(tmp_path / "clear.png")
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.png", "it is none; give a PNG or JPEG file"),
        ("empty.png", "it is none"),
        ("cut.png", "truncated"),
        ("blank.png", "shows no digit"),
        ("clear.png", "shows no digit"),
        ("dot.png", "shows no digit"),
        ("folder.png", "Is a directory"),
        ("missing.png", "no such picture"),
    ],
)
def test_a_bad_picture_is_one_line_and_exit_code_2(bad, capsys, name, words):
    with pytest.raises(SystemExit) as end:
        main([str(bad / name), "--storage", f"sqlite:///{bad}/none.db"])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert words in error
    assert error.count("\n") == 1


def test_an_enormous_picture_is_refused_before_it_is_unpacked(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    with pytest.raises(PictureError, match="too large: 9000 x 9000"):
        read_digit(tmp_path / "huge.png")


@pytest.fixture(scope="module")
def artifact_store(tmp_path_factory):
    """A small search whose weights were kept."""
    folder = tmp_path_factory.mktemp("predict")
    storage = storage_at(folder / "s.db")
    store = open_study(storage, sweet_spot("sweet-spot", 2), 7)
    kept = Artifacts(storage, store.study, artifact_dir(storage))
    store.set_budget(4)
    Engine(store, tiny_mnist(), CAPACITY, Lines(store, 4, quiet), kept.keep).search(lambda: False)
    return kept


@pytest.fixture
def picture(mnist, tmp_path):
    return saved(tmp_path / "seven.png", 255 - grey(mnist, 0))


def run(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    return capsys.readouterr()


def at(artifact_store) -> list[str]:
    return ["--storage", url_of(Path(artifact_store.storage.url.database))]


def test_kept_weights_are_those_of_a_replay_to_the_bit(artifact_store):
    for trial in ranking(artifact_store.study):
        stored = artifact_store.weights(trial, FAMILY)
        assert stored is not None
        for own, again in zip(
            stored.parameters(), replayed(trial, Recipe(tiny_mnist(), FAMILY)).network.parameters(), strict=True
        ):
            assert torch.equal(own, again)


def test_optunas_own_tools_list_the_weights(artifact_store):
    from optuna.artifacts import get_all_artifact_meta

    for trial in ranking(artifact_store.study):
        (meta,) = get_all_artifact_meta(trial, storage=artifact_store.storage.optuna)
        assert meta.filename == WEIGHTS
        assert read(artifact_store.directory / meta.artifact_id)[1]["trial"].startswith('{"study": "sweet-spot"')


def test_the_command_answers_with_the_best_trial_by_default(artifact_store, picture, capsys):
    document = json.loads(run([str(picture), "--json", *at(artifact_store)], capsys).out)
    best = ranking(artifact_store.study)[0]
    expected = answer(artifact_store.weights(best, FAMILY), read_digit(picture))
    assert document["trial"] == best.number
    assert document["digit"] == expected.digit
    assert document["probabilities"] == expected.probabilities
    assert sum(document["probabilities"]) == pytest.approx(1)
    assert document["polarity"] == "black on white"
    assert document["weights"] == "stored weights"


def test_the_command_says_how_it_read_the_picture_and_with_what(artifact_store, picture, capsys):
    out = run([str(picture), "--trial", "0", *at(artifact_store)], capsys).out
    assert "read as black on white; trial 0: 25 units, lr 0.02000" in out
    assert out[0].isdigit()
    assert len([line for line in out.splitlines() if "%" in line and line.startswith("  ")]) >= 10
    assert "what the network saw" in out


def test_weights_that_do_not_belong_to_the_trial_are_not_used(artifact_store, tmp_path):
    best, other = ranking(artifact_store.study)[:2]
    moved = Artifacts(artifact_store.storage, artifact_store.study, tmp_path / "moved")
    shutil.copytree(artifact_store.directory, moved.directory)
    shutil.copy(moved.files(other, WEIGHTS)[0], moved.files(best, WEIGHTS)[0])
    assert moved.weights(best, FAMILY) is None
    assert moved.weights(other, FAMILY) is not None


def test_weights_cut_short_are_said_and_not_used(artifact_store, tmp_path, caplog):
    best = ranking(artifact_store.study)[0]
    moved = Artifacts(artifact_store.storage, artifact_store.study, tmp_path / "moved")
    shutil.copytree(artifact_store.directory, moved.directory)
    path = moved.files(best, WEIGHTS)[0]
    path.write_bytes(path.read_bytes()[:1000])
    assert moved.weights(best, FAMILY) is None
    assert "holds no weights of ours" in caplog.text


def test_a_finished_trial_can_be_given_its_weights(artifact_store, tmp_path):
    elsewhere = Artifacts(artifact_store.storage, artifact_store.study, tmp_path / "elsewhere")
    best = finished_trial(artifact_store.study, ranking(artifact_store.study)[0].number)
    assert elsewhere.weights(best, FAMILY) is None
    elsewhere.put(best, artifact_store.weights(best, FAMILY))
    assert elsewhere.weights(best, FAMILY) is not None


def test_a_directory_that_cannot_be_written_costs_no_trial(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    storage = storage_at(tmp_path / "s.db")
    store = open_study(storage, sweet_spot("sweet-spot", 2), 7)
    blocked = Artifacts(storage, store.study, tmp_path / "file")
    store.set_budget(1)
    Engine(store, tiny_mnist(), CAPACITY, Lines(store, 1, quiet), blocked.keep).search(lambda: False)
    assert store.counts().complete == 1
    assert "the weights of trial 0 are not kept" in caplog.text


def test_a_blurred_scan_is_still_the_same_digit(mnist, tmp_path):
    """A digit of 20 pixels, scanned at 300, is the digit again, up to blur and one pixel."""
    for i in range(10):
        scan = Image.fromarray(255 - grey(mnist, i)).resize((300, 300), Image.Resampling.BICUBIC)
        scan.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "scan.jpg", quality=80)
        again = pixels_of(tmp_path / "scan.jpg").ravel()
        near = [np.roll(grey(mnist, i), (y, x), (0, 1)).ravel() for y in (-1, 0, 1) for x in (-1, 0, 1)]
        assert max(np.corrcoef(image, again)[0, 1] for image in near) > 0.9
