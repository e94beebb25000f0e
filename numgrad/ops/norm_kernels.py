"""Kernels that subtract a mean and divide by a standard deviation: of rows (layer, group, RMS norm) and of channels (batch norm).

Statistics are gathered a run at a time, the mean and the sum of squares about it, and runs are merged in their order (Chan,
Golub & LeVeque, "Algorithms for computing the sample variance", 1983): accurate as two passes over memory, for one.
"""

from __future__ import annotations

from ..jit import device, kernel, prange
from ..jit.vmath import sqrt

#: Elements whose statistics are gathered together; rows whose weight gradients are; columns that are done at a time.
RUN, ROWS, COLUMNS = 4096, 64, 256

# --- sums of a run --------------------------------------------------------------------------------------------------


@device(fastmath=("contract", "reassoc"))
def _sum(x):  # type: ignore[no-untyped-def]
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j]
    return total


@device(fastmath=("contract", "reassoc"))
def _deviations(x, mean):  # type: ignore[no-untyped-def]
    """The sum of x - mean, and of its square."""
    total = x.dtype.type(0)
    squares = x.dtype.type(0)
    for j in range(x.size):
        d = x[j] - mean
        total += d
        squares += d * d
    return total, squares


@device(fastmath=("contract", "reassoc"))
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


@device
def _apply(y, x, mean, scale):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale


@device
def _apply_affine(y, x, mean, scale, weight, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale * weight[j] + bias[j]


@device
def _multiply(y, weight):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] *= weight[j]


@device
def _add(y, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] += bias[j]


@device
def _correct_shifted(out, grad, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = scale * (grad[j] - a - b * (x[j] - mean))


@device
def _correct_weighted(out, grad, weight, x, mean, scale, a, b):  # type: ignore[no-untyped-def]
    for j in range(out.size):
        out[j] = scale * (grad[j] * weight[j] - a - b * (x[j] - mean))


# --- rows -----------------------------------------------------------------------------------------------------------
# `weight` and `bias` have no elements where there are none. Without `centred` the mean is taken to be 0.


@device
def _norm_row(y, means, inverses, x, weight, bias, eps, centred, i):  # type: ignore[no-untyped-def]
    mean, squares = 0.0, 0.0
    if centred:
        _, mean, squares = _merge(0.0, 0.0, 0.0, x)
    else:
        for start in range(0, x.size, RUN):
            squares += _deviations(x[start : min(x.size, start + RUN)], x.dtype.type(0))[1]
    inverse = 1.0 / sqrt(squares / x.size + eps)
    means[i] = mean
    inverses[i] = inverse
    if weight.size and bias.size:
        _apply_affine(y, x, x.dtype.type(mean), x.dtype.type(inverse), weight, bias)
        return
    _apply(y, x, x.dtype.type(mean), x.dtype.type(inverse))
    if weight.size:
        _multiply(y, weight)
    if bias.size:
        _add(y, bias)


@kernel
def norm_rows(y, means, inverses, x, weight, bias, eps, centred):  # type: ignore[no-untyped-def]
    """Each row less its mean, divided by its standard deviation, times weight, plus bias."""
    for i in prange(y.shape[0]):
        _norm_row(y[i], means, inverses, x[i], weight, bias, eps, centred, i)


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
def _norm_row_backward(out, grad, x, mean, inverse, weight, centred):  # type: ignore[no-untyped-def]
    total, product = 0.0, 0.0
    for start in range(0, x.size, RUN):
        stop = min(x.size, start + RUN)
        if weight.size:
            a, b = _weighted_products(grad[start:stop], weight[start:stop], x[start:stop], mean)
        else:
            a, b = _sum_and_products(grad[start:stop], x[start:stop], mean)
        total += a
        product += b
    a = x.dtype.type(total / x.size if centred else 0.0)
    b = x.dtype.type(product / x.size * inverse * inverse)
    if weight.size:
        _correct_weighted(out, grad, weight, x, mean, inverse, a, b)
    else:
        _correct_shifted(out, grad, x, mean, inverse, a, b)


@kernel
def norm_rows_backward(out, grad, x, means, inverses, weight, centred):  # type: ignore[no-untyped-def]
    """The gradient of the rows."""
    for i in prange(out.shape[0]):
        _norm_row_backward(out[i], grad[i], x[i], means[i], inverses[i], weight, centred)


@device
def _weight_row(to_weight, to_bias, grad, x, mean, inverse):  # type: ignore[no-untyped-def]
    for j in range(grad.size):
        to_weight[j] += grad[j] * ((x[j] - mean) * inverse)
        to_bias[j] += grad[j]


@device
def _weight_rows(to_weight, to_bias, g, h, x, z, mean, mean_z, inverse, inverse_z):  # type: ignore[no-untyped-def]
    """`_weight_row` of two rows, for one pass over the sums."""
    for j in range(g.size):
        to_weight[j] += g[j] * ((x[j] - mean) * inverse) + h[j] * ((z[j] - mean_z) * inverse_z)
        to_bias[j] += g[j] + h[j]


@device
def _weight_tile(sums, tile, first, grad, x, means, inverses):  # type: ignore[no-untyped-def]
    last = min(first + COLUMNS, x.shape[1])
    to_weight, to_bias = sums[0, tile, first:last], sums[1, tile, first:last]
    for j in range(last - first):
        to_weight[j] = 0
        to_bias[j] = 0
    i, stop = tile * ROWS, min(x.shape[0], (tile + 1) * ROWS)
    while i + 2 <= stop:
        _weight_rows(to_weight, to_bias, grad[i, first:last], grad[i + 1, first:last], x[i, first:last], x[i + 1, first:last],
                     means[i], means[i + 1], inverses[i], inverses[i + 1])  # fmt: skip
        i += 2
    if i < stop:
        _weight_row(to_weight, to_bias, grad[i, first:last], x[i, first:last], means[i], inverses[i])


@kernel
def norm_rows_weights(sums, grad, x, means, inverses):  # type: ignore[no-untyped-def]
    """sums[0, t] and sums[1, t]: the gradients of weight and bias that tile t of the rows adds."""
    strips = (x.shape[1] + COLUMNS - 1) // COLUMNS
    for unit in prange(sums.shape[1] * strips):
        tile = unit // strips
        _weight_tile(sums, tile, (unit - tile * strips) * COLUMNS, grad, x, means, inverses)


# --- channels -------------------------------------------------------------------------------------------------------


@device
def _norm_channel(y, means, variances, x, weight, bias, eps, c):  # type: ignore[no-untyped-def]
    count, mean, squares = 0.0, 0.0, 0.0
    for i in range(x.shape[0]):
        count, mean, squares = _merge(count, mean, squares, x[i, c])
    variance = squares / count
    means[c] = mean
    variances[c] = variance
    scale = 1.0 / sqrt(variance + eps)
    if weight.size:
        scale *= weight[c]
    shift = bias[c] if bias.size else y.dtype.type(0)
    for i in range(x.shape[0]):
        _apply_shifted(y[i, c], x[i, c], y.dtype.type(mean), y.dtype.type(scale), shift)


@device
def _apply_shifted(y, x, mean, scale, shift):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - mean) * scale + shift


@kernel
def norm_channels(y, means, variances, x, weight, bias, eps):  # type: ignore[no-untyped-def]
    """Each channel of (N, C, inner) less its mean, divided by its standard deviation, times weight, plus bias."""
    for c in prange(y.shape[1]):
        _norm_channel(y, means, variances, x, weight, bias, eps, c)


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
        _norm_channel_backward(out, to_weight, to_bias, grad, x, means, variances, weight, eps, c)


# --- channels without inner dimensions: a matrix (N, C), whose columns are channels ---------------------------------
# `sums` is scratch in float64: three numbers for each channel.


@device
def _sum_columns(sums, x, first, last):  # type: ignore[no-untyped-def]
    for j in range(sums.size):
        sums[j] = 0
    for i in range(x.shape[0]):
        row = x[i, first:last]
        for j in range(sums.size):
            sums[j] += row[j]


@device
def _norm_columns(y, means, variances, sums, x, weight, bias, eps, first, last):  # type: ignore[no-untyped-def]
    n, mean, scale = x.shape[0], sums[0, first:last], sums[1, first:last]
    _sum_columns(mean, x, first, last)
    for j in range(mean.size):
        mean[j] /= n
        scale[j] = 0
    for i in range(n):
        row = x[i, first:last]
        for j in range(mean.size):
            d = row[j] - mean[j]
            scale[j] += d * d
    for j in range(mean.size):
        means[first + j] = mean[j]
        variances[first + j] = scale[j] / n
        scale[j] = 1.0 / sqrt(scale[j] / n + eps)
        if weight.size:
            scale[j] *= weight[first + j]
    for i in range(n):
        out, row = y[i, first:last], x[i, first:last]
        for j in range(mean.size):
            out[j] = (row[j] - mean[j]) * scale[j]
        if bias.size:
            _add(out, bias[first:last])


@kernel
def norm_columns(y, means, variances, sums, x, weight, bias, eps):  # type: ignore[no-untyped-def]
    """`norm_channels` of (N, C)."""
    for unit in prange((y.shape[1] + COLUMNS - 1) // COLUMNS):
        _norm_columns(y, means, variances, sums, x, weight, bias, eps, unit * COLUMNS, min(y.shape[1], (unit + 1) * COLUMNS))


@device
def _norm_columns_backward(out, to_weight, to_bias, sums, grad, x, means, variances, weight, eps, first, last):  # type: ignore[no-untyped-def]
    n, total, product, mean = x.shape[0], sums[0, first:last], sums[1, first:last], means[first:last]
    inverse = sums[2, first:last]
    _sum_columns(total, grad, first, last)
    for j in range(total.size):
        product[j] = 0
    for i in range(n):
        g, row = grad[i, first:last], x[i, first:last]
        for j in range(total.size):
            product[j] += g[j] * (row[j] - mean[j])
    for j in range(total.size):
        inverse[j] = 1.0 / sqrt(variances[first + j] + eps)
        to_weight[first + j] = product[j] * inverse[j]
        to_bias[first + j] = total[j]
        total[j] /= n
        product[j] *= inverse[j] * inverse[j] / n
    for i in range(n):
        to, g, row = out[i, first:last], grad[i, first:last], x[i, first:last]
        for j in range(total.size):
            to[j] = inverse[j] * (g[j] - total[j] - product[j] * (row[j] - mean[j]))
        if weight.size:
            _multiply(to, weight[first:last])


@kernel
def norm_columns_backward(out, to_weight, to_bias, sums, grad, x, means, variances, weight, eps):  # type: ignore[no-untyped-def]
    """`norm_channels_backward` of (N, C)."""
    for unit in prange((out.shape[1] + COLUMNS - 1) // COLUMNS):
        _norm_columns_backward(out, to_weight, to_bias, sums, grad, x, means, variances, weight, eps,
                               unit * COLUMNS, min(out.shape[1], (unit + 1) * COLUMNS))  # fmt: skip


# --- running statistics ---------------------------------------------------------------------------------------------


@kernel
def move_running(running, batch, momentum, correction):  # type: ignore[no-untyped-def]
    """Move running statistics towards the batch's times `correction`."""
    for c in prange(running.size):
        running[c] = (1.0 - momentum) * running[c] + momentum * correction * batch[c]
