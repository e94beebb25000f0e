"""Kernels that subtract the mean of rows and divide by their standard deviation: layer, group, instance and RMS norm.

Statistics are gathered a run at a time, the mean and the sum of squares about it, and runs are merged in their order (Chan,
Golub & LeVeque, "Algorithms for computing the sample variance", 1983): accurate as two passes over memory, for one.
"""

from __future__ import annotations

import numpy as np

from ..jit import Results, Units, device, kernel, prange
from ..jit.vmath import sqrt

#: Elements whose statistics are gathered together; columns that are done at a time; elements of rows that are.
RUN, COLUMNS, TOGETHER = 4096, 256, 2048

# --- sums of a run --------------------------------------------------------------------------------------------------


@device(fastmath=("contract", "reassoc"), inline=True)
def _sum(x):  # type: ignore[no-untyped-def]
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j]
    return total


@device(fastmath=("contract", "reassoc"), inline=True)
def _deviations(x, mean):  # type: ignore[no-untyped-def]
    """The sum of x - mean, and of its square."""
    total = x.dtype.type(0)
    squares = x.dtype.type(0)
    for j in range(x.size):
        d = x[j] - mean
        total += d
        squares += d * d
    return total, squares


@device(fastmath=("contract", "reassoc"), inline=True)
def _sum_and_products(grad, x, mean):  # type: ignore[no-untyped-def]
    """The sum of grad, and of grad times x - mean."""
    total = x.dtype.type(0)
    product = x.dtype.type(0)
    for j in range(x.size):
        total += grad[j]
        product += grad[j] * (x[j] - mean)
    return total, product


@device
def _merge(count, mean, squares, x):  # type: ignore[no-untyped-def]
    """Count, mean and sum of squares about the mean, once the elements of `x` are counted too.

    Deviations are from a number near the mean, and say how near: from the mean so far, or, of the first run, from what its
    sum gives. Where later runs lie far from that, the squares lose digits that are small beside what the distance adds."""
    for start in range(0, x.size, RUN):
        run = x[start : min(x.size, start + RUN)]
        near = x.dtype.type(mean if count > 0 else _sum(run) / run.size)
        off, own = _deviations(run, near)
        total = count + run.size
        away = off * (1.0 / run.size)
        delta = near - mean + away
        share = run.size / total
        squares += own - off * away + delta * delta * (count * share)
        mean += delta * share
        count = total
    return count, mean, squares


@device(apart=True)
def _apply(y, x, mean, scale):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale


@device(apart=True)
def _apply_affine(y, x, mean, scale, weight, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale * weight[j] + bias[j]


@device(apart=True)
def _multiply(y, weight):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] *= weight[j]


@device(apart=True)
def _add(y, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] += bias[j]


@device(inline=True, apart=True)
def _correct_shifted(out, grad, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = scale * (grad[j] - a - b * (x[j] - mean))


@device(apart=True)
def _correct_weighted(out, grad, weight, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = scale * (grad[j] * weight[j] - a - b * (x[j] - mean))


# --- rows -----------------------------------------------------------------------------------------------------------
# `weight` and `bias` have no elements where there are none. Without `centred` the mean is taken to be 0. `stats` holds the mean
# of each row and the inverse of its standard deviation.


@device
def _row_stats(x, eps, centred, share):  # type: ignore[no-untyped-def]
    """Mean, and inverse standard deviation, of a row longer than RUN; `share` is 1 over its size."""
    mean, squares = 0.0, 0.0
    if centred:
        _, mean, squares = _merge(0.0, 0.0, 0.0, x)
    else:
        for start in range(0, x.size, RUN):
            squares += _deviations(x[start : min(x.size, start + RUN)], x.dtype.type(0))[1]
    return mean, 1.0 / sqrt(squares * share + eps)


@device
def _norm_some(y, mean, inverse, x, weight, bias, eps, centred, share):  # type: ignore[no-untyped-def]
    """Of several rows each step in turn, for one thing alone waits for the one before."""
    for i in range(mean.size):
        if x.shape[1] > RUN:
            mean[i], inverse[i] = _row_stats(x[i], eps, centred, share)
        else:
            mean[i] = _sum(x[i]) * share if centred else 0.0
    if x.shape[1] <= RUN:
        for i in range(mean.size):
            near = mean[i]
            off, squares = _deviations(x[i], near)
            away = off * share if centred else 0.0
            mean[i] = near + away
            inverse[i] = squares * share - away * away + eps
        for i in range(mean.size):
            inverse[i] = 1.0 / sqrt(np.float64(inverse[i]))
    for i in range(mean.size):
        _norm_row(y[i], x[i], mean[i], inverse[i], weight, bias)


@device
def _norm_row(y, x, mean, inverse, weight, bias):  # type: ignore[no-untyped-def]
    if weight.size and bias.size:
        _apply_affine(y, x, mean, inverse, weight, bias)
        return
    _apply(y, x, mean, inverse)
    if weight.size:
        _multiply(y, weight)
    if bias.size:
        _add(y, bias)


@kernel
def norm_rows(y, stats, x, weight, bias, eps, centred):  # type: ignore[no-untyped-def]
    """Each row less its mean, divided by its standard deviation, times weight, plus bias."""
    share, some = 1.0 / y.shape[1], max(1, TOGETHER // y.shape[1])
    for unit in prange((y.shape[0] + some - 1) // some):
        first, last = unit * some, min(y.shape[0], unit * some + some)
        _norm_some(y[first:last], stats[0, first:last], stats[1, first:last], x[first:last], weight, bias, eps, centred, share)


norm_rows.results = Results("np.int64(unit) * some * y.shape[1]", "(min(y.shape[0], (np.int64(unit) + 1) * some) - np.int64(unit) * some) * y.shape[1]")
norm_rows.units = Units("x", "np.int64(unit) * some * x.shape[1]", "min(y.shape[0], (np.int64(unit) + 1) * some) * x.shape[1]")


@device(fastmath=("contract", "reassoc"))
def _weighted_products(grad, weight, x, mean):  # type: ignore[no-untyped-def]
    """The sum of grad * weight, and of that times x - mean."""
    total = x.dtype.type(0)
    product = x.dtype.type(0)
    for j in range(x.size):
        g = grad[j] * weight[j]
        total += g
        product += g * (x[j] - mean)
    return total, product


@device
def _row_terms(grad, x, mean, inverse, weight, centred, share):  # type: ignore[no-untyped-def]
    """The gradient of a row is inverse * (grad * weight - a - b * (x - mean)): a and b."""
    total, product = 0.0, 0.0
    for start in range(0, x.size, RUN):
        stop = min(x.size, start + RUN)
        if weight.size:
            a, b = _weighted_products(grad[start:stop], weight[start:stop], x[start:stop], mean)
        else:
            a, b = _sum_and_products(grad[start:stop], x[start:stop], mean)
        total += a
        product += b
    return x.dtype.type(total * share if centred else 0.0), x.dtype.type(product * share * inverse * inverse)


@kernel
def norm_rows_backward(out, grad, x, stats, weight, centred):  # type: ignore[no-untyped-def]
    """The gradient of the rows."""
    for i in prange(out.shape[0]):
        _norm_row_backward(out[i], grad[i], x[i], stats[0, i], stats[1, i], weight, centred, 1.0 / out.shape[1])


norm_rows_backward.results = Results("np.int64(i) * x.shape[1]", "x.shape[1]")
norm_rows_backward.units = Units("grad", "np.int64(i) * x.shape[1]", "(np.int64(i) + 1) * x.shape[1]")


@device
def _norm_row_backward(out, grad, x, mean, inverse, weight, centred, share):  # type: ignore[no-untyped-def]
    a, b = _row_terms(grad, x, mean, inverse, weight, centred, share)
    if weight.size:
        _correct_weighted(out, grad, weight, x, mean, inverse, a, b)
    else:
        _correct_shifted(out, grad, x, mean, inverse, a, b)


@device(inline=True, apart=True)
def _correct_and_add(out, to_weight, to_bias, grad, weight, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        g, d = grad[j], x[j] - mean
        out[j] = scale * (g * weight[j] - a - b * d)
        to_weight[j] += g * (d * scale)
        to_bias[j] += g


@device(inline=True, apart=True)
def _correct_and_add_two(out, out2, to_weight, to_bias, grad, grad2, weight, x, x2, mean, mean2, scale, scale2, a, a2, b, b2):  # type: ignore[no-untyped-def]
    """Of two rows, so that what both are added to is read and written once."""
    for j in range(out.size):
        g, d, h, e = grad[j], x[j] - mean, grad2[j], x2[j] - mean2
        out[j] = scale * (g * weight[j] - a - b * d)
        out2[j] = scale2 * (h * weight[j] - a2 - b2 * e)
        to_weight[j] += g * (d * scale) + h * (e * scale2)
        to_bias[j] += g + h


@kernel
def norm_rows_gradients(out, to_weight, to_bias, terms, grad, x, stats, weight, centred, rows):  # type: ignore[no-untyped-def]
    """The gradient of the rows; to_weight[t] and to_bias[t]: what tile t of so many rows adds to those of weight and bias."""
    share, some = 1.0 / out.shape[1], max(1, TOGETHER // out.shape[1])
    for t in prange(0, to_weight.shape[0]):
        _rows_tile(out, to_weight[t], to_bias[t], terms, grad, x, stats, weight, centred, share, t * rows, min(out.shape[0], (t + 1) * rows), some)


norm_rows_gradients.results = Results("np.int64(t) * rows * x.shape[1]", "(min(x.shape[0], (np.int64(t) + 1) * rows) - np.int64(t) * rows) * x.shape[1]")
norm_rows_gradients.units = Units("grad", "np.int64(t) * rows * x.shape[1]", "min(x.shape[0], (np.int64(t) + 1) * rows) * x.shape[1]")


@device
def _rows_tile(out, to_weight, to_bias, terms, grad, x, stats, weight, centred, share, first, last, some):  # type: ignore[no-untyped-def]
    for j in range(to_weight.size):
        to_weight[j] = 0
        to_bias[j] = 0
    for start in range(first, last, some):
        stop = min(last, start + some)
        for i in range(start, stop):
            terms[0, i], terms[1, i] = _row_terms(grad[i], x[i], stats[0, i], stats[1, i], weight, centred, share)
        mean, scale, a, b = stats[0], stats[1], terms[0], terms[1]
        for i in range(start, stop - 1, 2):
            k = i + 1
            _correct_and_add_two(
                out[i], out[k], to_weight, to_bias, grad[i], grad[k], weight, x[i], x[k], mean[i], mean[k], scale[i], scale[k], a[i], a[k], b[i], b[k]
            )
        if (stop - start) % 2:
            i = stop - 1
            _correct_and_add(out[i], to_weight, to_bias, grad[i], weight, x[i], mean[i], scale[i], a[i], b[i])


@device
def _add_parts(total, parts, first, last):  # type: ignore[no-untyped-def]
    for j in range(last - first):
        total[j] = 0
    t = 0
    while t + 4 <= parts.shape[0]:
        p, q, r, s = parts[t, first:last], parts[t + 1, first:last], parts[t + 2, first:last], parts[t + 3, first:last]
        for j in range(total.size):
            total[j] += (p[j] + q[j]) + (r[j] + s[j])
        t += 4
    while t < parts.shape[0]:
        _add(total, parts[t, first:last])
        t += 1


@kernel
def add_parts(to_weight, to_bias, weights, biases):  # type: ignore[no-untyped-def]
    """The sums of the rows of two matrices."""
    for unit in prange(0, (to_weight.size + COLUMNS - 1) // COLUMNS):
        first, last = unit * COLUMNS, min(to_weight.size, (unit + 1) * COLUMNS)
        _add_parts(to_weight[first:last], weights, first, last)
        _add_parts(to_bias[first:last], biases, first, last)
