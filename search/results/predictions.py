"""Pictures of what a network has learnt: a grid of its predictions, as the article draws them, what it gets wrong, and
the filters of a first convolution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl

mpl.use("Agg")  # draws into files, with or without a screen
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from model.data.dataset import Dataset
from model.data.samples import Samples
from model.network.scoring import outputs_of

Part = Literal["validation", "test"]
MISTAKES = 12


def has_pictures(data: Dataset) -> bool:
    """Say whether the inputs of some data are pictures of classes: grey ones, or red, green and blue."""
    pictures = len(data.shape) == 2 or (len(data.shape) == 3 and data.shape[0] in {1, 3})
    return pictures and data.classes is not None


def prediction_grid(network: nn.Module, data: Dataset, part: Part, path: Path, title: str | None = None) -> None:
    """Save a 2 x 3 grid of a part's first pictures, titled `Pred / True`, green when right, red when wrong.

    Network and data may be on different devices. The format follows the suffix of `path`. Raises `OSError` where it
    cannot be written.
    """
    samples = getattr(data, part).first(6)
    _save_grid(data, samples, _answers(network, samples), (2, 3), path, title)


def mistakes_grid(network: nn.Module, data: Dataset, part: Part, path: Path, title: str) -> bool:
    """Save the first twelve pictures of a part that a network gets wrong, as `prediction_grid` does; with their number.

    Return whether there are any.
    """
    samples = getattr(data, part)
    answers = _answers(network, samples)
    wrong = (answers != samples.targets.cpu()).nonzero().flatten()
    if not len(wrong):
        return False
    rows, about = wrong[:MISTAKES], f"{title}: wrong on {len(wrong)} of {len(samples):,}, the first of them"
    _save_grid(data, samples.take(rows.to(samples.device)), answers[rows], (3, 4), path, about)
    return True


def filters_grid(network: nn.Module, path: Path, title: str) -> bool:
    """Save the filters of a network's first convolution, each on its own scale of grey; return whether it has one."""
    layer = next((each for each in network.modules() if isinstance(each, nn.Conv2d)), None)
    if layer is None:
        return False
    filters = layer.weight.detach().cpu().mean(1)  # (filters, height, width): over the channels of colour
    columns = min(8, len(filters))
    figure, grid = _figure((-(-len(filters) // columns), columns), title)
    for axes in grid:
        axes.set_axis_off()
    for axes, picture in zip(grid, filters, strict=False):
        axes.imshow(picture.numpy(), cmap="gray")
    figure.savefig(path, dpi=150)
    return True


@torch.no_grad()
def _answers(network: nn.Module, samples: Samples) -> Tensor:
    """Return the label that a network gives each sample, on the CPU."""
    there = samples.to(next(network.parameters()).device)
    return torch.cat([outputs.argmax(1).cpu() for outputs in outputs_of(network, there)])


def _save_grid(  # noqa: PLR0917
    data: Dataset, samples: Samples, answers: Tensor, shape: tuple[int, int], path: Path, title: str | None
) -> None:
    names = data.class_names or ()
    figure, grid = _figure(shape, title)
    shown = zip(samples.inputs.cpu(), answers.tolist(), samples.targets.tolist(), strict=True)
    for axes in grid:
        axes.set_axis_off()
    for axes, (picture, guess, label) in zip(grid, shown, strict=False):
        _draw(axes, picture.view(data.shape))
        axes.set_title(f"Pred: {names[guess]} / True: {names[label]}", color="green" if guess == label else "red")
    figure.savefig(path, dpi=150)


def _figure(shape: tuple[int, int], title: str | None) -> tuple[Figure, Sequence[Any]]:
    figure = Figure(figsize=(2 * shape[1], 2.2 * shape[0]), layout="constrained")
    if title:
        figure.suptitle(title)
    return figure, figure.subplots(*shape, squeeze=False).flatten().tolist()


def _draw(axes: Any, picture: Tensor) -> None:
    axes.imshow(picture.numpy() if picture.dim() == 2 else picture.permute(1, 2, 0).numpy(), cmap="gray")
