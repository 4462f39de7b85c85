"""Pictures of predictions, as the article draws them."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # draws into files, with or without a screen
import torch
from matplotlib.figure import Figure

from model.data.samples import Samples
from model.network.mlp import MLP

ROWS, COLUMNS = 2, 3


def prediction_grid(model: MLP, images: Samples, path: Path, title: str | None = None) -> None:
    """Save the article's 2 x 3 grid of the first six images, titled `Pred / True`, green when right, red when wrong.

    Model and images may be on different devices. The format follows the suffix of `path`. Raises `OSError` where it
    cannot be written.
    """
    count = ROWS * COLUMNS
    pixels, labels = images.pixels[:count], images.targets[:count].tolist()
    with torch.no_grad():
        inputs = pixels.float().div_(255).to(next(model.parameters()).device)
        predicted = model(inputs).argmax(1).tolist()
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    if title:
        figure.suptitle(title)
    grid = figure.subplots(ROWS, COLUMNS)
    for axes, image, guess, label in zip(grid.flat, pixels.cpu(), predicted, labels, strict=True):
        axes.imshow(image.view(28, 28).numpy(), cmap="gray")
        axes.set_title(f"Pred: {guess} / True: {label}", color="green" if guess == label else "red")
        axes.set_axis_off()
    figure.savefig(path, dpi=150)
