"""A digit out of a photograph: paper under uneven light, with shadows, ruled lines and whatever lies at the edge.

    shrink ─ divide by the paper's own brightness ─ take ruled lines out ─ threshold (Otsu) ─ the only mark of weight

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
EDGE = 0.12  # of the picture's longer side: what lies wholly nearer to the border is not on the paper
SMALL, SPECK = 0.01, 4  # of the largest mark's area, and pixels: a smaller mark or gap is not looked at
THICKEST = 0.3  # of the largest mark's longer side: half a stroke is not so wide
NEAR = 0.15  # of it: a piece of the same digit is not farther above or below
LOOPS = 2  # as an 8 has
PIECES = 3  # marks that a digit may be in, as where a pen was lifted: more are no digit
UNEVEN = 24  # of 255, among the border's pixels: more than a scan has
Grey = NDArray[np.floating]  # (height, width)
Box = tuple[slice, ...]  # rows, columns


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
    closed = ndimage.grey_closing(small, PEN)
    paper = np.minimum(closed, ndimage.gaussian_filter(closed, PEN / 4))  # at a shadow's edge the blur is too bright
    ink = np.clip(1 - small / np.maximum(paper, 1), 0, 1)
    ink = _without_lines(ndimage.gaussian_filter(ink, 0.7))
    inner = ink[8:-8, 8:-8]
    threshold = max(otsu(inner), FAINTEST)
    marks, count = ndimage.label(ink > threshold, np.ones((3, 3)))
    chosen, why = _chosen(marks, count, round(EDGE * SIDE))
    if chosen is None:
        return None, why
    kept = ink * ndimage.binary_dilation(chosen, iterations=1)
    return np.clip((kept - threshold / 2) / (np.percentile(ink[chosen], 80) - threshold / 2), 0, 1) * 255, ""


def why_no_digit(ink: Grey) -> str:
    """Return why a scan or a drawing shows no single digit, or nothing where it may. Ink is 0..255 and 0 elsewhere."""
    small = _shrunk(ink) if max(ink.shape) > SIDE else ink
    marks, count = ndimage.label(small / 255 > max(otsu(small / 255), FAINTEST), np.ones((3, 3)))
    return _chosen(marks, count, 0)[1]


def otsu(values: Grey) -> float:
    """Return the threshold that parts values in 0..1 into two classes with the largest variance between them.

    Where all are the same, or there are none, it is near 0.
    """
    counts, edges = np.histogram(values, 128, (0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nan_to_num(between).argmax()])


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


def _chosen(marks: NDArray[np.integer], count: int, edge: int) -> tuple[NDArray[np.bool_] | None, str]:
    """Return the marks that are one digit; or None, and why.

    What lies wholly within `edge` pixels of the border is not looked at; unless that is 0, a digit leaves the border
    free.
    """
    height, width = marks.shape
    boxes = ndimage.find_objects(marks)
    areas = np.bincount(marks.ravel(), minlength=count + 1)[1:]
    seen = [int(k) - 1 for k in np.unique(marks[edge : height - edge, edge : width - edge]) if k > 0]
    inside = [k for k in seen if edge == 0 or _is_inside(boxes[k], marks.shape)]
    if not inside:
        return None, "nothing on the paper stands out"
    largest = max(inside, key=lambda k: areas[k])
    box = boxes[largest]
    if _side(box) < max(marks.shape) / 20:
        return None, "nothing on the paper is large enough"
    stroke = np.pad(marks[box] == largest + 1, 1)
    if ndimage.distance_transform_edt(stroke).max() > THICKEST * _side(box) or _loops(stroke) > LOOPS:
        return None, "what is dark is no stroke of a pen"
    pieces = [k for k in seen if areas[k] >= _least(areas[largest])]
    if len(pieces) > PIECES or not all(_belongs(boxes[k], box) for k in pieces):
        return None, "there is more than one mark on the paper; crop it to one digit"
    return np.isin(marks, [k + 1 for k in pieces]), ""


def _is_inside(box: Box, shape: tuple[int, ...]) -> bool:
    """Return whether a box leaves the border free."""
    return all(part.start > 0 and part.stop < whole for part, whole in zip(box, shape, strict=True))


def _loops(stroke: NDArray[np.bool_]) -> int:
    """Return how many loops a stroke has, but for specks."""
    gaps, count = ndimage.label(~stroke)
    return int((np.bincount(gaps.ravel(), minlength=count + 1)[1:] >= _least(stroke.sum())).sum()) - 1


def _least(area: float) -> float:
    """Return how many pixels are looked at, beside a mark of so many."""
    return float(max(SMALL * area, SPECK))


def _side(box: Box) -> int:
    """Return a box's longer side."""
    return int(max(part.stop - part.start for part in box))


def _belongs(piece: Box, largest: Box) -> bool:
    """Return whether a mark may be a piece of the largest one's digit: near and above, below or within; not beside."""
    (rows, columns), (own_rows, own_columns) = piece, largest
    beside = columns.start >= own_columns.stop or columns.stop <= own_columns.start
    apart = max(rows.start - own_rows.stop, own_rows.start - rows.stop)
    return not beside and apart <= NEAR * _side(largest)
