"""A digit out of a photograph: paper under uneven light, with shadows, ruled lines and whatever lies at the edge.

    shrink ─ divide by the paper's own brightness ─ take ruled lines out ─ threshold (Otsu) ─ the one mark in the middle

Source: Otsu, "A Threshold Selection Method from Gray-Level Histograms" (1979); the rest is mathematical morphology, by
`scipy.ndimage`.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SIDE = 240  # pixels of the longer side that a photograph is shrunk to
PEN = 31  # pixels there: wider than any stroke of a digit, and narrower than its paper
LINE = 0.75  # of the picture's side: what is straight for so long is a ruled line or a frame, and no digit
FAINTEST = 0.08  # share of the paper's light that ink takes at least: less is noise
NEAR = 0.25  # of the largest mark's longer side: another one that is nearer belongs to it
SMALL = 0.02  # of the largest mark's area: a smaller one is a speck
RIVAL = 0.5  # of the largest mark's longer side: another that is as long, and apart, is another digit
THICKEST = 0.22  # of it: half a stroke is not as wide
APART = 0.08  # of the largest mark's longer side: parts of one digit are nearer
MANY = 8  # marks: more are no digit
UNEVEN = 24  # of 255, among the border's pixels: more than a scan has
Grey = NDArray[np.floating]  # (height, width)


def is_photograph(grey: Grey) -> bool:
    """Return whether the border, 0..255, is too uneven for a scan or a drawing."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    low, high = np.percentile(border, (5, 95))
    return bool(high - low > UNEVEN)


def ink_of(grey: Grey) -> tuple[Grey | None, str]:
    """Return the ink of the one digit on a photograph's paper, 0..255 and 0 elsewhere; or None, and why there is none.

    Brightness is 0..255; the paper is brighter than the ink.
    """
    small = _shrunk(grey)
    paper = ndimage.gaussian_filter(ndimage.grey_closing(small, PEN), PEN / 4)
    ink = np.clip(1 - small / np.maximum(paper, 1), 0, 1)
    ink = _without_lines(ndimage.gaussian_filter(ink, 0.7))
    inner = ink[8:-8, 8:-8]
    threshold = max(otsu(inner), FAINTEST)
    marks, count = ndimage.label(ink > threshold, np.ones((3, 3)))
    chosen, why = _chosen(marks, count)
    if chosen is None:
        return None, why
    kept = ink * ndimage.binary_dilation(chosen, iterations=1)
    return np.clip((kept - threshold / 2) / (np.percentile(ink[chosen], 80) - threshold / 2), 0, 1) * 255, ""


def otsu(values: Grey) -> float:
    """Return the threshold that parts values in 0..1 into two classes with the largest variance between them."""
    counts, edges = np.histogram(values, 128, (0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nanargmax(between)])


def _shrunk(grey: Grey) -> Grey:
    scale = SIDE / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BOX), dtype=np.float64)


def _without_lines(ink: Grey) -> Grey:
    """Take out what is straight and long, across or upright, and mend what it crossed."""
    for shape in ((1, round(LINE * ink.shape[1])), (round(LINE * ink.shape[0]), 1)):
        line = ndimage.grey_dilation(ndimage.grey_opening(ink, shape), (3, 3))
        rest = np.where(line > FAINTEST / 2, np.clip(ink - line, 0, 1), ink)
        mend = ndimage.grey_closing(rest, (7, 1) if shape[0] == 1 else (1, 7))
        ink = np.where(line > FAINTEST / 2, mend, ink)
    return ink


def _chosen(marks: NDArray[np.integer], count: int) -> tuple[NDArray[np.bool_] | None, str]:
    """Return the marks that are one digit; or None, and why."""
    height, width = marks.shape
    boxes = ndimage.find_objects(marks)
    areas = ndimage.sum_labels(marks > 0, marks, np.arange(1, count + 1)) if count else np.array([])
    inside = [
        k
        for k, (rows, columns) in enumerate(boxes)
        if rows.start > 0 and columns.start > 0 and rows.stop < height and columns.stop < width
    ]
    if not inside:
        return None, "nothing on the paper stands out"
    largest = max(inside, key=lambda k: areas[k])
    box = boxes[largest]
    side = _side(box)
    if side < SIDE / 20:
        return None, "nothing on the paper is large enough"
    if ndimage.distance_transform_edt(marks[box] == largest + 1).max() > THICKEST * side:
        return None, "what is dark is no stroke of a pen"
    seen = [(k, _apart(box, boxes[k]) / side) for k in inside if areas[k] >= SMALL * areas[largest]]
    mine = [k for k, apart in seen if apart <= NEAR]
    if len(seen) > MANY or any(apart > APART and _side(boxes[k]) >= RIVAL * side for k, apart in seen):
        return None, "there is more than one mark on the paper; crop it to one digit"
    return np.isin(marks, [k + 1 for k in mine]), ""


def _side(box: tuple[slice, ...]) -> int:
    """Return a box's longer side."""
    return int(max(part.stop - part.start for part in box))


def _apart(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Return how far two boxes are from each other, 0 where they overlap."""
    return int(max(max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(one, other, strict=True)))
