"""Attention in tiles: blocks of queries meet blocks of keys, and no more of the scores exists than one such block (Dao et al., 2022).

The softmax over keys is kept as a running maximum and sum (Milakov & Gimelshein, 2018). Forward, a unit of work is a block of
queries of one head; on the way back, which computes the scores again, it is a part of the queries of one head with its own sums
for keys and values. Keys and values are also read transposed, in blocks: `turn` prepares that.
"""

from __future__ import annotations

import numpy as np

from ..jit import device, kernel, prange
from ..jit.search import largest
from ..jit.tile import transpose_rows
from ..jit.vmath import exp, log, maximum
from .gemm import multiply

# Places in a plan. Strides are of the batch, the head and the row; of the mask also of the column.
HEADS, QUERIES, KEYS, WIDTH, VALUE, CAUSAL, ROWS, COLUMNS, HIGH, HIGH_VALUE, PARTS, UNITS, WORKERS, LANES = range(14)
AT_Q, AT_K, AT_V, AT_Y, AT_GRAD, AT_MASK = 14, 17, 20, 23, 26, 29
TILES = 33


@device
def _place(plan, at, b, h, row):  # type: ignore[no-untyped-def]
    return b * plan[at] + h * plan[at + 1] + row * plan[at + 2]


@device
def _turn_block(out, x, plan, at, width, high, unit):  # type: ignore[no-untyped-def]
    keys, columns, lanes = plan[KEYS], plan[COLUMNS], plan[LANES]
    blocks = (keys + columns - 1) // columns
    head, first = unit // blocks, unit % blocks * columns
    start, count = _place(plan, at, head // plan[HEADS], head % plan[HEADS], first), min(columns, keys - first)
    for j in range(0, count, lanes):
        transpose_rows(plan[TILES:], out, unit * high * columns + j, columns, x, start + j * plan[at + 2], plan[at + 2],
                       min(lanes, count - j), width)  # fmt: skip


@kernel
def turn(out, x, plan, at, width, high, units):  # type: ignore[no-untyped-def]
    """Blocks of rows of keys or values, transposed: (units, high, COLUMNS)."""
    for unit in prange(units):
        _turn_block(out, x, plan, at, width, high, np.int64(unit))


@device
def _scores(s, q, at_q, turned, at_turned, mask, at_mask, scale, plan, rows, columns, i0, k0):  # type: ignore[no-untyped-def]
    """Scores of a block of queries with a block of keys: scaled, masked."""
    wide, step = plan[COLUMNS], plan[AT_MASK + 3]
    multiply(plan[TILES:], 0, s, 0, wide, q, at_q, plan[AT_Q + 2], 1, 0, turned, at_turned, wide, 1, 2 * plan[LANES], rows, columns,
             plan[WIDTH], 0)  # fmt: skip
    for r in range(rows):
        row = s[r * wide : r * wide + columns]
        for j in range(columns):
            row[j] *= scale
        if mask.size:
            at = at_mask + (i0 + r) * plan[AT_MASK + 2] + k0 * step
            if step == 1:
                added = mask[at : at + columns]
                for j in range(columns):
                    row[j] += added[j]
            else:
                for j in range(columns):
                    row[j] += mask[at + j * step]
        if plan[CAUSAL]:
            for j in range(max(0, i0 + r + 1 - k0), columns):
                row[j] = -np.inf


@device(fastmath=("contract", "reassoc"))
def _exponentials(row, shift):  # type: ignore[no-untyped-def]
    """exp(row - shift) in place; its sum."""
    total = row.dtype.type(0)
    for j in range(row.size):
        e = exp(row[j] - shift)
        row[j] = e
        total += e
    return total


@device
def _soften(row, out, top, total, r):  # type: ignore[no-untyped-def]
    """Scores become their exponentials over the largest so far; what was summed over a smaller one is scaled down."""
    high = maximum(top[r], largest(row))
    base = row.dtype.type(0) if high == -np.inf else high
    found, shrink = _exponentials(row, base), exp(top[r] - base)
    if shrink != 1:
        for j in range(out.size):
            out[j] *= shrink
    total[r] = total[r] * shrink + found
    top[r] = high


@device
def _attend(y, sums, q, turned, v, mask, scratch, scale, plan, unit, at):  # type: ignore[no-untyped-def]
    """One block of queries of one head against all keys."""
    heads, queries, keys, value, tall, wide = plan[HEADS], plan[QUERIES], plan[KEYS], plan[VALUE], plan[ROWS], plan[COLUMNS]
    many, deep = (queries + tall - 1) // tall, (keys + wide - 1) // wide
    head, i0 = unit // many, unit % many * tall
    b, h, rows = head // heads, head % heads, min(tall, queries - i0)
    s, top, total = scratch[at : at + tall * wide], scratch[at + tall * wide :], scratch[at + tall * wide + tall :]
    at_q, at_v, at_y = _place(plan, AT_Q, b, h, i0), _place(plan, AT_V, b, h, 0), _place(plan, AT_Y, b, h, i0)
    at_mask, step_y, step_v = b * plan[AT_MASK] + h * plan[AT_MASK + 1], plan[AT_Y + 2], plan[AT_V + 2]
    for r in range(rows):
        top[r] = -np.inf
        total[r] = 0
        out = y[at_y + r * step_y : at_y + r * step_y + value]
        for j in range(value):
            out[j] = 0
    last = min(keys, i0 + rows) if plan[CAUSAL] else keys
    for block in range((last + wide - 1) // wide):
        k0 = block * wide
        columns = min(wide, last - k0)
        _scores(s, q, at_q, turned, (head * deep + block) * plan[HIGH] * wide, mask, at_mask, scale, plan, rows, columns, i0, k0)
        for r in range(rows):
            _soften(s[r * wide : r * wide + columns], y[at_y + r * step_y : at_y + r * step_y + value], top, total, r)
        multiply(plan[TILES:], 0, y, at_y, step_y, s, 0, wide, 1, 0, v, at_v + k0 * step_v, step_v, 1, 2 * plan[LANES], rows, value, columns, 1)
    for r in range(rows):
        out = y[at_y + r * step_y : at_y + r * step_y + value]
        inverse = out.dtype.type(0) if total[r] == 0 else out.dtype.type(1) / total[r]
        sums[head * queries + i0 + r] = np.inf if total[r] == 0 else top[r] + log(total[r])  # nothing to see: no weight, going back too
        for j in range(value):
            out[j] *= inverse


@kernel
def attend(y, sums, q, turned, v, mask, scratch, scale, plan):  # type: ignore[no-untyped-def]
    """Each query's average of values, and the log of the sum of its exponentials."""
    for worker in prange(plan[WORKERS]):
        at = np.int64(worker) * plan[ROWS] * (plan[COLUMNS] + 2)
        for unit in range(np.int64(worker), plan[UNITS], plan[WORKERS]):
            _attend(y, sums, q, turned, v, mask, scratch, scale, plan, unit, at)


# --- the way back ---------------------------------------------------------------------------------------------------


@device(fastmath=("contract", "reassoc"))
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@device
def _weights_back(p, ds, sum_row, mean, scale):  # type: ignore[no-untyped-def]
    """Scores become weights; gradients of weights become those of scores before the scale."""
    for j in range(p.size):
        p[j] = exp(p[j] - sum_row)
    for j in range(p.size):
        ds[j] = p[j] * (ds[j] - mean) * scale


@device
def _block_back(dq, dk, dv, q, k, turned, turned_v, y, grad, sums, mask, scratch, scale, plan, head, part, i0, at):  # type: ignore[no-untyped-def]
    """What one block of queries adds to the gradients of queries, keys and values."""
    heads, queries, keys, width, value = plan[HEADS], plan[QUERIES], plan[KEYS], plan[WIDTH], plan[VALUE]
    tall, wide, tiles, panel = plan[ROWS], plan[COLUMNS], plan[TILES:], 2 * plan[LANES]
    b, h, rows, deep = head // heads, head % heads, min(tall, queries - i0), (keys + wide - 1) // wide
    s, ds, mean = scratch[at : at + tall * wide], scratch[at + tall * wide : at + 2 * tall * wide], scratch[at + 2 * tall * wide :]
    at_q, at_k, at_mask = _place(plan, AT_Q, b, h, i0), _place(plan, AT_K, b, h, 0), b * plan[AT_MASK] + h * plan[AT_MASK + 1]
    at_y, at_g, step_y, step_g = _place(plan, AT_Y, b, h, i0), _place(plan, AT_GRAD, b, h, i0), plan[AT_Y + 2], plan[AT_GRAD + 2]
    batch = part * (plan[UNITS] // plan[PARTS] // heads) + b  # gradients lie as (batch, row, head, column)
    at_dq = ((b * queries + i0) * heads + h) * width
    for r in range(rows):
        mean[r] = _dot(grad[at_g + r * step_g : at_g + r * step_g + value], y[at_y + r * step_y : at_y + r * step_y + value])
    last = min(keys, i0 + rows) if plan[CAUSAL] else keys
    for block in range((last + wide - 1) // wide):
        k0 = block * wide
        columns, place = min(wide, last - k0), (head * deep + block) * wide
        row = (batch * keys + k0) * heads + h
        _scores(s, q, at_q, turned, place * plan[HIGH], mask, at_mask, scale, plan, rows, columns, i0, k0)
        multiply(tiles, 0, ds, 0, wide, grad, at_g, step_g, 1, 0, turned_v, place * plan[HIGH_VALUE], wide, 1, panel, rows, columns, value, 0)
        for r in range(rows):
            _weights_back(s[r * wide : r * wide + columns], ds[r * wide : r * wide + columns], sums[head * queries + i0 + r], mean[r], scale)
        multiply(tiles, 0, dv, row * value, heads * value, s, 0, 1, wide, 0, grad, at_g, step_g, 1, panel, columns, value, rows, 1)
        multiply(tiles, 0, dk, row * width, heads * width, ds, 0, 1, wide, 0, q, at_q, plan[AT_Q + 2], 1, panel, columns, width, rows, 1)
        multiply(tiles, 0, dq, at_dq, heads * width, ds, 0, wide, 1, 0, k, at_k + k0 * plan[AT_K + 2], plan[AT_K + 2], 1, panel,
                 rows, width, columns, 1)  # fmt: skip


@kernel
def attend_back(dq, dk, dv, q, k, turned, turned_v, y, grad, sums, mask, scratch, scale, plan):  # type: ignore[no-untyped-def]
    """Into zeros: the gradients of queries, and for each part of the queries those of keys and values."""
    for worker in prange(plan[WORKERS]):
        at = np.int64(worker) * plan[ROWS] * (2 * plan[COLUMNS] + 1)
        for unit in range(np.int64(worker), plan[UNITS], plan[WORKERS]):
            head, part = unit // plan[PARTS], unit % plan[PARTS]
            many = (plan[QUERIES] + plan[ROWS] - 1) // plan[ROWS]
            for block in range(part * many // plan[PARTS], (part + 1) * many // plan[PARTS]):
                _block_back(dq, dk, dv, q, k, turned, turned_v, y, grad, sums, mask, scratch, scale, plan, head, part,
                            block * plan[ROWS], at)  # fmt: skip
