"""Pictures of predictions, as the article draws them."""

from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl

mpl.use("Agg")  # draws into files, with or without a screen
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from model.data.dataset import Dataset

ROWS, COLUMNS = 2, 3


def has_pictures(data: Dataset) -> bool:
    """Say whether the inputs of some data are pictures of classes: grey ones, or red, green and blue."""
    side = len(data.shape) == 2 or (len(data.shape) == 3 and data.shape[0] in {1, 3})
    return side and data.classes is not None


def prediction_grid(
    network: nn.Module, data: Dataset, part: Literal["validation", "test"], path: Path, title: str | None = None
) -> None:
    """Save a 2 x 3 grid of a part's first pictures, titled `Pred / True`, green when right, red when wrong.

    Network and data may be on different devices. The format follows the suffix of `path`. Raises `OSError` where it
    cannot be written.
    """
    samples = getattr(data, part).first(ROWS * COLUMNS)
    names = data.class_names or ()
    with torch.no_grad():
        predicted = network(samples.inputs.to(next(network.parameters()).device)).argmax(1).tolist()
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    if title:
        figure.suptitle(title)
    shown = zip(samples.inputs.cpu(), predicted, samples.targets.tolist(), strict=True)
    for axes, (picture, guess, label) in zip(figure.subplots(ROWS, COLUMNS).flat, shown, strict=False):
        _draw(axes, picture.view(data.shape))
        axes.set_title(f"Pred: {names[guess]} / True: {names[label]}", color="green" if guess == label else "red")
    figure.savefig(path, dpi=150)


def _draw(axes: Any, picture: Tensor) -> None:
    if picture.dim() == 2:
        axes.imshow(picture.numpy(), cmap="gray")
    else:
        axes.imshow(picture.permute(1, 2, 0).numpy(), cmap="gray")
    axes.set_axis_off()
