"""Kernels of batch norm: the channels of (N, C, inner) less their mean, divided by their standard deviation.

Where inner is large, a plane of it is a run of memory, gathered as rows are. Where it is small, x is a matrix of N rows and
C * inner columns: sums are kept for each column of a tile of rows, then tiles are merged, then the columns of a channel.
"""

from __future__ import annotations

import numpy as np

from ..jit import Results, device, kernel, prange
from ..jit.vmath import sqrt
from .norm_kernels import RUN, _correct_shifted, _sum, _sum_and_products
from .norm_kernels import _deviations as _deviations_of_run

#: Rows of a tile, and how many of them say what numbers to expect; elements of planes whose deviations are summed together.
ROWS, FIRST, TOGETHER = 64, 16, 1024

# --- large planes ---------------------------------------------------------------------------------------------------


@device
def _plane_deviations(x, near):  # type: ignore[no-untyped-def]
    off, own = 0.0, 0.0
    for start in range(0, x.size, RUN):
        a, b = _deviations_of_run(x[start : min(x.size, start + RUN)], near)
        off += a
        own += b
    return off, own


@device
def _gather_planes(x, c):  # type: ignore[no-untyped-def]
    """Mean and variance of a channel, some planes at a time (Chan, Golub & LeVeque, 1983)."""
    count, mean, squares = 0.0, 0.0, 0.0
    n, inner = x.shape[0], x.shape[2]
    some = max(1, TOGETHER // inner)
    for first in range(0, n, some):
        last, off, own = min(n, first + some), 0.0, 0.0
        near = x.dtype.type(mean if first > 0 else _sum(x[0, c, : min(inner, RUN)]) / min(inner, RUN))
        for i in range(first, last):
            a, b = _plane_deviations(x[i, c], near)
            off += a
            own += b
        more = float((last - first) * inner)
        away, total = off / more, count + more
        delta, share = near - mean + away, more / total
        squares += own - off * away + delta * delta * (count * share)
        mean += delta * share
        count = total
    return mean, squares / count


@device
def _norm_channel(y, means, variances, x, weight, bias, eps, c):  # type: ignore[no-untyped-def]
    mean, variance = _gather_planes(x, c)
    means[c] = mean
    variances[c] = variance
    scale = 1.0 / sqrt(variance + eps)
    if weight.size:
        scale *= weight[c]
    shift = bias[c] if bias.size else y.dtype.type(0)
    for i in range(x.shape[0]):
        _apply_shifted(y[i, c], x[i, c], y.dtype.type(mean), y.dtype.type(scale), shift)


@device(inline=True, apart=True)
def _apply_shifted(y, x, mean, scale, shift):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale + shift


@kernel
def norm_channels(y, means, variances, x, weight, bias, eps):  # type: ignore[no-untyped-def]
    """Each channel of (N, C, inner) less its mean, divided by its standard deviation, times weight, plus bias."""
    for c in prange(y.shape[1]):
        _norm_channel(y, means, variances, x, weight, bias, eps, np.int64(c))


norm_channels.results = Results("np.int64(c) * y.shape[2]", "y.shape[2]", "y.shape[0]", "y.shape[1] * y.shape[2]")


@device
def _norm_channel_backward(out, to_weight, to_bias, grad, x, means, variances, weight, eps, c):  # type: ignore[no-untyped-def]
    total, product, mean = 0.0, 0.0, means[c]
    for i in range(x.shape[0]):
        for start in range(0, x.shape[2], RUN):
            stop = min(x.shape[2], start + RUN)
            a, b = _sum_and_products(grad[i, c, start:stop], x[i, c, start:stop], mean)
            total += a
            product += b
    inverse, count = 1.0 / sqrt(variances[c] + eps), x.shape[0] * x.shape[2]
    to_weight[c] = product * inverse
    to_bias[c] = total
    a, b = x.dtype.type(total / count), x.dtype.type(product / count * inverse * inverse)
    scale = x.dtype.type(inverse * weight[c] if weight.size else inverse)
    for i in range(x.shape[0]):
        _correct_shifted(out[i, c], grad[i, c], x[i, c], mean, scale, a, b)


@kernel
def norm_channels_backward(out, to_weight, to_bias, grad, x, means, variances, weight, eps):  # type: ignore[no-untyped-def]
    """The gradients of input, weight and bias."""
    for c in prange(out.shape[1]):
        _norm_channel_backward(out, to_weight, to_bias, grad, x, means, variances, weight, eps, np.int64(c))


norm_channels_backward.results = Results("np.int64(c) * x.shape[2]", "x.shape[2]", "x.shape[0]", "x.shape[1] * x.shape[2]")


# --- small planes, or none: columns ---------------------------------------------------------------------------------
# Of the deviations d of a tile of rows from a number `near` a column's mean, `off` is the sum and `own` that of the squares:
# `parts` holds the three for each tile. `wide` is scratch in float64, and `terms` what a result is made of, for each column.


@device
def place(unit, size, inner, channels):  # type: ignore[no-untyped-def]
    """The tile of rows and the first and last channel of a unit of work."""
    strips = (size // inner + channels - 1) // channels
    tile = unit // strips
    begin = (unit - tile * strips) * channels
    return tile, begin, min(size // inner, begin + channels)


@device(inline=True)
def _clear(a, b):  # type: ignore[no-untyped-def]
    for j in range(a.size):
        a[j] = 0
        b[j] = 0


@device(inline=True, apart=True)
def _add_deviations(off, own, near, p, q, r, s):  # type: ignore[no-untyped-def]
    for j in range(off.size):
        a, b, c, d = p[j] - near[j], q[j] - near[j], r[j] - near[j], s[j] - near[j]
        off[j] += (a + b) + (c + d)
        own[j] += (a * a + b * b) + (c * c + d * d)


@device
def _deviations(off, own, near, x, i, stop, first, last):  # type: ignore[no-untyped-def]
    _clear(off, own)
    while i + 4 <= stop:
        _add_deviations(off, own, near, x[i, first:last], x[i + 1, first:last], x[i + 2, first:last], x[i + 3, first:last])
        i += 4
    while i < stop:
        row = x[i, first:last]
        for j in range(off.size):
            d = row[j] - near[j]
            off[j] += d
            own[j] += d * d
        i += 1


@device
def _gather(near, off, own, x, start, stop, first, last):  # type: ignore[no-untyped-def]
    _clear(near, near)
    few = min(stop, start + FIRST)
    _deviations(off, own, near, x, start, few, first, last)
    share = near.dtype.type(1.0 / (few - start))
    for j in range(near.size):
        near[j] = off[j] * share
    _deviations(off, own, near, x, start, stop, first, last)


@kernel
def gather_columns(parts, x, inner, channels, units):  # type: ignore[no-untyped-def]
    """near, off and own of each tile of rows."""
    for unit in prange(units):
        tile, begin, end = place(np.int64(unit), x.shape[1], inner, channels)
        first, last = begin * inner, end * inner
        _gather(parts[0, tile, first:last], parts[1, tile, first:last], parts[2, tile, first:last], x,
                tile * ROWS, min(x.shape[0], (tile + 1) * ROWS), first, last)  # fmt: skip


@device
def _merge_tile(mean, squares, near, off, own, count, more):  # type: ignore[no-untyped-def]
    """Means, and squares about them, of `count` rows and `more`."""
    share, inverse = more / (count + more), 1.0 / more
    for j in range(mean.size):
        away = off[j] * inverse
        delta = near[j] - mean[j] + away
        squares[j] += own[j] - off[j] * away + delta * delta * (count * share)
        mean[j] += delta * share


@device
def _merge_columns(mean, squares, rows):  # type: ignore[no-untyped-def]
    """Mean and variance of the numbers in columns of so many rows, from those of each."""
    middle, total, between = 0.0, 0.0, 0.0
    for j in range(mean.size):
        middle += mean[j]
        total += squares[j]
    middle /= mean.size
    for j in range(mean.size):
        between += (mean[j] - middle) * (mean[j] - middle)
    return middle, (total / rows + between) / mean.size


@device
def _channel_terms(means, variances, terms, mean, squares, weight, bias, eps, rows, inner, begin, end):  # type: ignore[no-untyped-def]
    for c in range(begin, end):
        at = (c - begin) * inner
        middle, variance = mean[at], squares[at] / rows
        if inner > 1:
            middle, variance = _merge_columns(mean[at : at + inner], squares[at : at + inner], rows)
        means[c] = middle
        variances[c] = variance
        scale = 1.0 / sqrt(variance + eps)
        if weight.size:
            scale *= weight[c]
        shift = bias[c] if bias.size else weight.dtype.type(0)
        for j in range(c * inner, (c + 1) * inner):
            terms[0, j] = middle
            terms[1, j] = scale
            terms[2, j] = shift


@device
def _merge_tiles(mean, squares, parts, rows, first, last):  # type: ignore[no-untyped-def]
    _clear(mean, squares)
    for tile in range(parts.shape[1]):
        start, stop = tile * ROWS, min(rows, (tile + 1) * ROWS)
        near, off, own = parts[0, tile, first:last], parts[1, tile, first:last], parts[2, tile, first:last]
        _merge_tile(mean, squares, near, off, own, float(start), float(stop - start))


@kernel
def norm_columns_terms(terms, means, variances, wide, parts, weight, bias, eps, rows, inner, channels):  # type: ignore[no-untyped-def]
    """Mean, scale and shift of each column, out of its parts; mean and variance of each channel."""
    for unit in prange(0, (means.size + channels - 1) // channels):
        begin, end = unit * channels, min(means.size, (unit + 1) * channels)
        mean, squares = wide[0, begin * inner : end * inner], wide[1, begin * inner : end * inner]
        _merge_tiles(mean, squares, parts, rows, begin * inner, end * inner)
        _channel_terms(means, variances, terms, mean, squares, weight, bias, eps, rows, inner, begin, end)


@device(inline=True, apart=True)
def _apply_columns(y, x, mean, scale, shift):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean[j]) * scale[j] + shift[j]


@kernel
def apply_columns(y, x, terms, inner, channels, units):  # type: ignore[no-untyped-def]
    """(x - mean) * scale + shift."""
    for unit in prange(units):
        tile, begin, end = place(np.int64(unit), x.shape[1], inner, channels)
        first, last = begin * inner, end * inner
        for i in range(tile * ROWS, min(x.shape[0], (tile + 1) * ROWS)):
            _apply_columns(y[i, first:last], x[i, first:last], terms[0, first:last], terms[1, first:last], terms[2, first:last])


@device(inline=True, apart=True)
def _add_products(total, product, mean, g, h, x, z):  # type: ignore[no-untyped-def]
    for j in range(total.size):
        total[j] += g[j] + h[j]
        product[j] += g[j] * (x[j] - mean[j]) + h[j] * (z[j] - mean[j])


@device
def _products(total, product, mean, grad, x, i, stop, first, last):  # type: ignore[no-untyped-def]
    _clear(total, product)
    while i + 2 <= stop:
        _add_products(total, product, mean, grad[i, first:last], grad[i + 1, first:last], x[i, first:last], x[i + 1, first:last])
        i += 2
    if i < stop:
        g, row = grad[i, first:last], x[i, first:last]
        for j in range(total.size):
            total[j] += g[j]
            product[j] += g[j] * (row[j] - mean[j])


@device
def _repeat(row, values, inner, begin, end):  # type: ignore[no-untyped-def]
    for c in range(begin, end):
        for j in range((c - begin) * inner, (c - begin + 1) * inner):
            row[j] = values[c]


@kernel
def gather_products(parts, grad, x, means, inner, channels, units):  # type: ignore[no-untyped-def]
    """The mean of each column, and of each tile of rows the sums of grad and of grad * (x - mean)."""
    for unit in prange(units):
        tile, begin, end = place(np.int64(unit), x.shape[1], inner, channels)
        first, last = begin * inner, end * inner
        _repeat(parts[0, tile, first:last], means, inner, begin, end)
        _products(parts[1, tile, first:last], parts[2, tile, first:last], parts[0, tile, first:last], grad, x,
                  tile * ROWS, min(x.shape[0], (tile + 1) * ROWS), first, last)  # fmt: skip


@device
def _sum_parts(parts, first, last):  # type: ignore[no-untyped-def]
    """The sums of a channel's columns."""
    total, product = 0.0, 0.0
    for tile in range(parts.shape[1]):
        a, b = parts[1, tile, first:last], parts[2, tile, first:last]
        for j in range(a.size):
            total += a[j]
            product += b[j]
    return total, product


@kernel
def gradient_terms(terms, to_weight, to_bias, parts, means, variances, weight, eps, rows, inner):  # type: ignore[no-untyped-def]
    """What the gradient of each column is made of, and the gradients of weight and bias."""
    for c in prange(0, means.size):
        total, product = _sum_parts(parts, c * inner, (c + 1) * inner)
        inverse, share = 1.0 / sqrt(variances[c] + eps), 1.0 / (rows * inner)
        to_weight[c] = product * inverse
        to_bias[c] = total
        for j in range(c * inner, (c + 1) * inner):
            terms[0, j] = means[c]
            terms[1, j] = inverse * weight[c] if weight.size else inverse
            terms[2, j] = total * share
            terms[3, j] = product * share * inverse * inverse


@device(inline=True, apart=True)
def _correct_columns(out, grad, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = scale[j] * (grad[j] - a[j] - b[j] * (x[j] - mean[j]))


@kernel
def correct_columns(out, grad, x, terms, inner, channels, units):  # type: ignore[no-untyped-def]
    """The gradient of the input."""
    for unit in prange(units):
        tile, begin, end = place(np.int64(unit), x.shape[1], inner, channels)
        first, last = begin * inner, end * inner
        for i in range(tile * ROWS, min(x.shape[0], (tile + 1) * ROWS)):
            _correct_columns(out[i, first:last], grad[i, first:last], x[i, first:last],
                             terms[0, first:last], terms[1, first:last], terms[2, first:last], terms[3, first:last])  # fmt: skip


apply_columns.results = correct_columns.results = Results(
    "tile * ROWS * x.shape[1] + first", "last - first", "min(x.shape[0], (tile + 1) * ROWS) - tile * ROWS", "x.shape[1]"
)


# --- running statistics ---------------------------------------------------------------------------------------------


@kernel
def move_running(mean, var, batch_mean, batch_var, momentum, correction):  # type: ignore[no-untyped-def]
    """Move running statistics towards the batch's, the variance times `correction`; those without elements are none."""
    for c in prange(batch_mean.size):
        if mean.size:
            mean[c] = (1.0 - momentum) * mean[c] + momentum * batch_mean[c]
        if var.size:
            var[c] = (1.0 - momentum) * var[c] + momentum * correction * batch_var[c]
