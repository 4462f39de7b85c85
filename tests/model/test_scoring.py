"""Where a network trains, when it reports, and that a score is that of the whole set."""

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from model.data.samples import Parts, Samples
from model.device import choose_device, describe
from model.errors import DeviceError, SweetspotError
from model.network.scoring import BEFORE_SAMPLES, CHUNK, Score, evaluate
from studies.spec import report_epochs
from studies.sweet_spot import article_network
from tests.support.cards import needs_cuda

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=needs_cuda),
    pytest.param("mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no MPS here")),
]
NOT_HERE = [
    "nonsense", "", "cpu:1", "cpu:128", "cpu:256", "cuda:99", "cuda:256", "cuda:-1", "two\nlines", "meta",
    pytest.param("mps", marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="MPS is here")),
    pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")),
]  # fmt: skip


def made_up_images(n: int) -> Samples:
    generator = torch.Generator().manual_seed(n)
    pixels = torch.randint(0, 256, (n, 784), dtype=torch.uint8, generator=generator)
    return Samples(pixels, torch.randint(0, 10, (n,), generator=generator))


@torch.no_grad()
def by_hand(model: nn.Module, images: Samples) -> tuple[Tensor, Tensor]:
    """Whether each image is recognised, and its cross-entropy in double precision."""
    logits = model(images.pixels.float() / 255)
    losses = nn.functional.cross_entropy(logits.double(), images.targets, reduction="none")
    return logits.argmax(1) == images.targets, losses


class Guess(nn.Module):
    """Says the same digit whatever it sees."""

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.one_hot(torch.full((len(inputs),), 3), 10).float()


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 3]),
        (4, [1, 3, 4]),
        (5, [1, 3, 5]),
        (10, [1, 3, 10]),
        (11, [1, 3, 10, 11]),
        (25, [1, 3, 10, 20, 25]),
        (100, [1, 3, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
    ],
)
def test_a_trial_reports_early_then_every_tenth_epoch_and_at_the_end(epochs: int, expected: list[int]) -> None:
    assert report_epochs(epochs) == expected


@pytest.mark.parametrize("n", [1, 37, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 345])
def test_a_score_is_that_of_every_image_alike_however_ragged_the_last_chunk(n: int) -> None:
    model, images = article_network(8, 1), made_up_images(n)
    right, losses = by_hand(model, images)
    score = evaluate(model, images)
    assert score.accuracy == right.sum().item() / n
    assert score.loss == pytest.approx(losses.mean().item(), rel=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_score_on_the_real_digits_is_torchmetrics_over_the_whole_set(mnist: Parts, device: str) -> None:
    model = article_network(25, 1).to(device)
    images = mnist.full.to(device)
    logits = model(images.pixels / 255).detach()
    whole = MulticlassAccuracy(num_classes=10, average="micro").to(device)(logits, images.targets)
    score = evaluate(model, images)
    assert score.accuracy == pytest.approx(whole.item(), abs=1.5 / len(images))  # an argmax may tie
    assert score.loss == pytest.approx(nn.functional.cross_entropy(logits, images.targets).item(), rel=1e-4)


def test_a_score_is_not_a_mean_of_the_scores_of_chunks() -> None:
    images = Samples(torch.zeros(CHUNK + 1, 784, dtype=torch.uint8), torch.tensor([3] * CHUNK + [4]))
    score = evaluate(Guess(), images)
    assert score.accuracy == CHUNK / (CHUNK + 1)  # a mean of chunks would say one half


def test_a_share_is_exact_though_torchmetrics_divides_in_single_precision() -> None:
    images = Samples(torch.zeros(60_000, 784, dtype=torch.uint8), torch.tensor([3] * 59_999 + [4]))
    assert evaluate(Guess(), images).accuracy == 59_999 / 60_000


def test_a_score_is_the_same_to_the_bit_when_asked_again() -> None:
    model, images = article_network(25, 1), made_up_images(CHUNK + 17)
    assert evaluate(model, images) == evaluate(model, images)


def test_scoring_changes_neither_the_images_nor_the_network() -> None:
    model, images = article_network(8, 1), made_up_images(100)
    evaluate(model, images)
    assert torch.equal(images.pixels, made_up_images(100).pixels)
    assert all(map(torch.equal, model.parameters(), article_network(8, 1).parameters()))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_diverged_network_scores_a_loss_that_is_not_a_number() -> None:
    model = article_network(8, 1)
    with torch.no_grad():
        model[4].bias.fill_(float("nan"))
    assert evaluate(model, made_up_images(100)).loss != evaluate(model, made_up_images(100)).loss


def test_the_picture_before_training_is_of_exactly_the_first_30_samples() -> None:
    model, images = article_network(25, 1), made_up_images(100)
    right, losses = by_hand(model, Samples(images.pixels[:30], images.targets[:30]))
    score = evaluate(model, images.first(BEFORE_SAMPLES))
    assert score.accuracy == right.sum().item() / 30
    assert score.loss == pytest.approx(losses.mean().item(), rel=1e-5)

    others = Samples(images.pixels.clone(), images.targets.clone())
    others.pixels[30:] = 0
    others.targets[30:] = 0
    assert evaluate(model, others.first(BEFORE_SAMPLES)) == score
    others.targets[29] = (others.targets[29] + 1) % 10
    assert evaluate(model, others.first(BEFORE_SAMPLES)).loss != score.loss


def test_an_untrained_network_knows_as_little_as_the_articles(mnist: Parts) -> None:
    score = evaluate(article_network(25, 1), mnist.train.first(BEFORE_SAMPLES))
    assert score.loss == pytest.approx(2.3, abs=0.1)  # ln 10; the article printed 2.29
    assert score.accuracy <= 0.4


@pytest.mark.parametrize("name", NOT_HERE)
def test_a_device_that_is_not_here_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(DeviceError) as refused:
        choose_device(name)
    assert isinstance(refused.value, SweetspotError)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    assert repr(name) in str(refused.value)
    assert "auto" in str(refused.value)
    assert "cpu" in str(refused.value)


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_the_cpu_is_always_here(name: str) -> None:
    assert choose_device(name) == torch.device(name)
    assert "threads" in describe(choose_device(name))


@pytest.mark.parametrize("device", DEVICES[1:])
def test_an_accelerator_is_used_without_being_asked_for(device: str) -> None:
    chosen = choose_device()
    assert chosen.type in ("cuda", "mps")
    assert choose_device(device).type == device
    assert describe(chosen).startswith(chosen.type)


def test_without_an_accelerator_the_choice_falls_on_the_cpu() -> None:
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        assert choose_device() == choose_device("auto") == torch.device("cpu")


def test_scores_compare_by_value() -> None:
    assert Score(0.5, 1.0) == Score(0.5, 1.0) != Score(0.5, 1.1)
