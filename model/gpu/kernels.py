"""What a GPU computes in a training step of many networks, in Triton.

    gather ──► first ──► hidden ──► head ──► back ──► grow_first, grow_hidden, grow_output

`gather` fetches a minibatch. `first` is all first layers at once, one wide product; `hidden` and `head` go on to the
loss, and `back` returns to the first layer. The others sum a weight's gradient over the minibatch and take Adam's step
with it at once, so that no gradient is ever written. Each is one launch, however many networks there are.

A number's bits depend on its own network alone: every kernel works in tiles of a fixed size, sums in a fixed order, and
no two programs write to the same place.

Networks lie side by side: a unit is a column of `(…, units)`, and `start` is a network's first. `tiles` lists networks'
columns, `TILE` at a time: rows of start, width, whose they are, and the first column.

Arithmetic is float32. On tensor cores a float32 is the sum of three bfloat16, and a product of two is the sum of the
six products that count; sums over more than a tile's depth are added by ordinary arithmetic, since tensor cores cut off
what a long sum has no place for. Pixels, whole numbers of eight bits, are one bfloat16 each. `SPLIT` says how many each
float32 is: 3, or 1 in a study of bfloat16, whose factors are rounded, or 0 where it is multiplied as it is.

Sources: "Triton: an intermediate language and compiler for tiled neural network computations" (2019); "Leveraging the
bfloat16 artificial intelligence datatype for higher-precision computations" (2019), for the sums of three.
"""

import triton
import triton.language as tl

from model.network import member as sizes

CLASSES = tl.constexpr(sizes.CLASSES)
SLOTS = tl.constexpr(16)  # places of a network's logits: no product is narrower
PIXELS = tl.constexpr(sizes.INPUTS)
INPUTS = tl.constexpr(sizes.INPUTS + 1)  # the last is always 255: beside it is the bias
ROW = tl.constexpr(800)  # of a minibatch, padded with zeros
BRIGHTEST = tl.constexpr(255.0)


@triton.jit
def _split(table, SPLIT: tl.constexpr):
    """Return three bfloat16 that add up to each float32, or the nearest one, or the same, three times."""
    if SPLIT == 3:
        high = table.to(tl.bfloat16)
        rest = table - high.to(tl.float32)
        middle = rest.to(tl.bfloat16)
        parts = high, middle, (rest - middle.to(tl.float32)).to(tl.bfloat16)
    elif SPLIT == 1:
        high = table.to(tl.bfloat16)
        parts = high, high, high
    else:
        parts = table, table, table
    return parts


@triton.jit
def _load(table, plane, where, mask, SPLIT: tl.constexpr):
    """Load what `_store` has stored."""
    if SPLIT == 3:
        high, middle = tl.load(table + where, mask, 0.0), tl.load(table + plane + where, mask, 0.0)
        parts = high, middle, tl.load(table + 2 * plane + where, mask, 0.0)
    else:
        parts = _split(tl.load(table + where, mask, 0.0), SPLIT)
    return parts


@triton.jit
def _store(table, plane, where, mask, values, SPLIT: tl.constexpr):
    """Store float32 as what products need, `(1 or 3, images, units)`; a plane is of `(images, units)`."""
    high, middle, low = _split(values, SPLIT)
    tl.store(table + where, high, mask)
    if SPLIT == 3:
        tl.store(table + plane + where, middle, mask)
        tl.store(table + 2 * plane + where, low, mask)


@triton.jit
def _joined(parts, SPLIT: tl.constexpr):
    """Return the float32 again."""
    if SPLIT == 3:
        table = parts[2].to(tl.float32) + parts[1].to(tl.float32)
        table += parts[0].to(tl.float32)
    else:
        table = parts[0].to(tl.float32)
    return table


@triton.jit
def _relu(sums):
    return tl.maximum(sums, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _times(left, right, sums, SPLIT: tl.constexpr):
    """Add a product to the sums."""
    if SPLIT == 3:
        part = tl.dot(left[2], right[0])  # the smallest first
        part = tl.dot(left[0], right[2], part)
        part = tl.dot(left[1], right[1], part)
        part = tl.dot(left[1], right[0], part)
        part = tl.dot(left[0], right[1], part)
        sums += tl.dot(left[0], right[0], part)
    elif SPLIT == 1:
        sums += tl.dot(left[0], right[0])
    else:
        sums = tl.dot(left[0], right[0], sums, input_precision="ieee")
    return sums


@triton.jit
def _times_pixels(pixels, table, sums, SPLIT: tl.constexpr):
    """Add a product of pixels, as whole numbers, to the sums; a pixel of 255 counts as 1."""
    if SPLIT == 3:
        part = tl.dot(pixels, table[2])
        part = tl.dot(pixels, table[1], part)
        sums += tl.dot(pixels, table[0], part) * (1 / BRIGHTEST)
    elif SPLIT == 1:
        sums += tl.dot(pixels, table[0]) * (1 / BRIGHTEST)
    else:
        sums = tl.dot(pixels.to(tl.float32) / BRIGHTEST, table[0], sums, input_precision="ieee")
    return sums


@triton.jit
def _adam(weights, moments, squares, where, mask, gradient, rate, count, corrections, LAST: tl.constexpr):
    """Take a step of Adam at PyTorch's defaults; `rate` and `count`, its steps so far with this, fit the gradient."""
    moment = tl.load(moments + where, mask, 0.0)
    square = tl.load(squares + where, mask, 0.0)
    weight = tl.load(weights + where, mask, 0.0)
    moment = 0.9 * moment + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient * gradient
    at = tl.minimum(count, LAST).to(tl.int32) * 2
    of_moment, of_square = tl.load(corrections + at), tl.load(corrections + at + 1)
    weight -= tl.div_rn(rate, of_moment) * moment / (tl.sqrt_rn(square) / of_square + 1e-8)
    tl.store(moments + where, moment, mask)
    tl.store(squares + where, square, mask)
    tl.store(weights + where, weight, mask)


@triton.jit
def _tile(tiles):
    """Return this program's network, where it starts and how wide it is, and the tile's first column of it."""
    at = tiles + tl.program_id(1) * 4
    start, width = tl.multiple_of(tl.load(at), 16), tl.multiple_of(tl.load(at + 1), 16)
    return start, width, tl.load(at + 2), tl.multiple_of(tl.load(at + 3), 16)


@triton.jit
def gather(pixels, labels, order, cursor, batch, batch_labels, BLOCK: tl.constexpr):
    """Copy the minibatch at the cursor; a program an image."""
    row = tl.program_id(0)
    image = tl.load(order + tl.load(cursor) + row)
    column = tl.arange(0, BLOCK)
    lit = tl.load(pixels + image * PIXELS + column, column < PIXELS, 0).to(tl.float32)
    lit = tl.where(column == PIXELS, BRIGHTEST, lit)
    tl.store(batch + row * ROW + column, lit.to(batch.dtype.element_ty), column < ROW)
    tl.store(batch_labels + row, tl.load(labels + image).to(tl.int32))


@triton.jit(do_not_specialize=["images"])
def first(
    batch, weights, first_out, images, units, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Fill all first layers' activations, `(images, units)`."""
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    column = tl.program_id(1) * TILE + tl.arange(0, TILE)
    sums = tl.zeros((TILE, TILE), tl.float32)
    for start in range(0, INPUTS, DEPTH):
        inner = start + tl.arange(0, DEPTH)
        lit = tl.load(batch + row[:, None] * ROW + inner, (row < images)[:, None] & (inner < ROW), 0.0)
        table = tl.load(weights + inner[:, None] * units + column, (inner < INPUTS)[:, None] & (column < units), 0.0)
        sums = _times_pixels(lit, _split(table, SPLIT), sums, SPLIT)
    where, mask = row[:, None] * units + column, (row < images)[:, None] & (column < units)
    _store(first_out, plane, where, mask, _relu(sums), SPLIT)


@triton.jit(do_not_specialize=["images"])
def hidden(
    first_out, w2, b2, second_out, tiles, images, units, stride, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Fill all second layers' activations, `(images, units)`."""
    start, width, _, left = _tile(tiles)
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE))[:, None]
    column, inner = left + tl.arange(0, TILE), tl.arange(0, DEPTH)
    there, mine, at = row < images, column < width, row * units + start
    sums = tl.zeros((TILE, TILE), tl.float32)
    for below in range(0, width, DEPTH):
        unit = below + inner
        active = _load(first_out, plane, at + unit, there & (unit < width), SPLIT)
        table = tl.load(w2 + (start + column) * stride + unit[:, None], mine & (unit < width)[:, None], 0.0)
        sums = _times(active, _split(table, SPLIT), sums, SPLIT)
    sums += tl.load(b2 + start + column, mine, 0.0)
    _store(second_out, plane, at + column, there & mine, _relu(sums), SPLIT)


@triton.jit(do_not_specialize=["images", "members", "cells"])
def head(
    second_out, w3, b3, labels, d_logits, losses, last_losses, rights, starts, widths,
    images, members, cells, units, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """For some images and one network: its logits' gradient, `(images, members x 16)`, and its cell of each figure."""
    tile, member = tl.program_id(0), tl.program_id(1)
    start, width = tl.multiple_of(tl.load(starts + member), 16), tl.multiple_of(tl.load(widths + member), 16)
    row, slot, inner = tile * TILE + tl.arange(0, TILE), tl.arange(0, SLOTS), tl.arange(0, DEPTH)
    real, there = slot < CLASSES, row < images
    logits = tl.zeros((TILE, SLOTS), tl.float32)
    for below in range(0, width, DEPTH):
        unit = below + inner
        where, mask = row[:, None] * units + start + unit, there[:, None] & (unit < width)
        active = _load(second_out, plane, where, mask, SPLIT)
        table = tl.load(w3 + slot * units + start + unit[:, None], real & (unit < width)[:, None], 0.0)
        logits = _times(active, _split(table, SPLIT), logits, SPLIT)
    logits = tl.where(real, logits + tl.load(b3 + member * SLOTS + slot), float("-inf"))
    label = tl.load(labels + row, there, -1)
    target = slot == label[:, None]
    shifted = logits - tl.max(logits, 1)[:, None]
    powers = tl.exp(shifted)
    total = tl.sum(powers, 1)
    d_out = (powers / total[:, None] - tl.where(target, 1.0, 0.0)) / images
    tl.store(d_logits + row[:, None] * (members * SLOTS) + member * SLOTS + slot, d_out, there[:, None])
    loss = tl.sum(tl.where(there, tl.log(total) - tl.sum(tl.where(target, shifted, 0.0), 1), 0.0))
    cell = member * cells + tile
    tl.store(losses + cell, tl.load(losses + cell) + loss)
    tl.store(last_losses + cell, loss)
    tl.store(rights + cell, tl.sum(tl.where(there & (tl.argmax(logits, 1) == label), 1.0, 0.0)))


@triton.jit(do_not_specialize=["images", "members"])
def back(
    d_logits, w3, second_out, w2, first_out, d_second, d_first, tiles, images, members, units, stride, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Fill the gradients of both layers before ReLU, `(images, units)` each."""
    start, width, member, left = _tile(tiles)
    row = (tl.program_id(0) * TILE + tl.arange(0, TILE))[:, None]
    column, inner, slot = left + tl.arange(0, TILE), tl.arange(0, DEPTH), tl.arange(0, SLOTS)
    there, mine, at = row < images, column < width, row * units + start
    d_out = _split(tl.load(d_logits + row * (members * SLOTS) + member * SLOTS + slot, there, 0.0), SPLIT)
    sums = tl.zeros((TILE, TILE), tl.float32)
    for above in range(0, width, DEPTH):
        unit = above + inner
        output = tl.load(w3 + slot[:, None] * units + start + unit, (slot < CLASSES)[:, None] & (unit < width), 0.0)
        active = tl.load(second_out + at + unit, there & (unit < width), 0.0)  # its largest part
        grown = _times(d_out, _split(output, SPLIT), tl.zeros((TILE, DEPTH), tl.float32), SPLIT)
        grown = tl.where(active > 0, grown, 0.0)
        _store(d_second, plane, at + unit, there & (unit < width) & (left == 0), grown, SPLIT)
        table = tl.load(w2 + (start + unit[:, None]) * stride + column, (unit < width)[:, None] & mine, 0.0)
        sums = _times(_split(grown, SPLIT), _split(table, SPLIT), sums, SPLIT)
    below = tl.load(first_out + at + column, there & mine, 0.0)
    _store(d_first, plane, at + column, there & mine, tl.where(below > 0, sums, 0.0), SPLIT)


@triton.jit(do_not_specialize=["images"])
def grow_first(
    batch, d_first, weights, moments, squares, rates, counts, corrections, images, units, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Take a step with all first layers' weights."""
    row = tl.program_id(0) * TILE + tl.arange(0, TILE)
    column = tl.program_id(1) * TILE + tl.arange(0, TILE)
    sums = tl.zeros((TILE, TILE), tl.float32)
    for start in range(0, images, DEPTH):
        image = start + tl.arange(0, DEPTH)
        lit = tl.load(batch + image * ROW + row[:, None], (image < images) & (row < ROW)[:, None], 0.0)
        where, mask = image[:, None] * units + column, (image < images)[:, None] & (column < units)
        table = _load(d_first, plane, where, mask, SPLIT)
        sums = _times_pixels(lit, table, sums, SPLIT)
    rate, count = tl.load(rates + column, column < units, 0.0), tl.load(counts + column, column < units, 1)
    mask = (row < INPUTS)[:, None] & (column < units)
    _adam(weights, moments, squares, row[:, None] * units + column, mask, sums, rate, count, corrections, LAST)


@triton.jit(do_not_specialize=["images"])
def grow_hidden(
    first_out, d_second, w2, m2, s2, b2, mb2, sb2, tiles, rates, counts, corrections, images, units, stride, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Take a step with second layers' weights; whoever has the leftmost of a row does its biases."""
    start, width, _, left = _tile(tiles)
    row, column = tl.program_id(0) * TILE + tl.arange(0, TILE), left + tl.arange(0, TILE)
    if tl.program_id(0) * TILE < width:
        sums, backs = tl.zeros((TILE, TILE), tl.float32), tl.zeros((TILE, DEPTH), tl.float32)
        for begin in range(0, images, DEPTH):
            image = begin + tl.arange(0, DEPTH)
            there = image < images
            grown = _load(d_second, plane, image * units + start + row[:, None], there & (row < width)[:, None], SPLIT)
            where, mask = image[:, None] * units + start + column, there[:, None] & (column < width)
            sums = _times(grown, _load(first_out, plane, where, mask, SPLIT), sums, SPLIT)
            backs += _joined(grown, SPLIT)
        rate, count = tl.load(rates + start), tl.load(counts + start)
        mask = (row < width)[:, None] & (column < width)
        _adam(w2, m2, s2, (start + row[:, None]) * stride + column, mask, sums, rate, count, corrections, LAST)
        bias, mask = tl.sum(backs, 1), (row < width) & (left == 0)
        _adam(b2, mb2, sb2, start + row, mask, bias, rate, count, corrections, LAST)


@triton.jit(do_not_specialize=["images", "members"])
def grow_output(
    second_out, d_logits, w3, m3, s3, b3, mb3, sb3, tiles, rates, counts, corrections, images, members, units, plane,
    SPLIT: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Take a step with output layers' weights; whoever has a network's first columns does its biases."""
    start, width, member, left = _tile(tiles)
    slot, column = tl.arange(0, SLOTS), left + tl.arange(0, TILE)
    sums, backs = tl.zeros((TILE, SLOTS), tl.float32), tl.zeros((DEPTH, SLOTS), tl.float32)
    for begin in range(0, images, DEPTH):
        image = begin + tl.arange(0, DEPTH)
        there = image < images
        where, mask = image * units + start + column[:, None], there & (column < width)[:, None]
        active = _load(second_out, plane, where, mask, SPLIT)
        d_out = tl.load(d_logits + image[:, None] * (members * SLOTS) + member * SLOTS + slot, there[:, None], 0.0)
        sums = _times(active, _split(d_out, SPLIT), sums, SPLIT)
        backs += d_out
    rate, count = tl.load(rates + start), tl.load(counts + start)
    mask = (slot < CLASSES) & (column < width)[:, None]
    _adam(w3, m3, s3, slot * units + start + column[:, None], mask, sums, rate, count, corrections, LAST)
    bias, mask = tl.sum(backs, 0), (slot < CLASSES) & (left == 0)
    _adam(b3, mb3, sb3, member * SLOTS + slot, mask, bias, rate, count, corrections, LAST)
