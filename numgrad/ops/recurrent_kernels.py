"""Recurrent layers over a whole sequence: one kernel walks all steps of a block of sequences, forwards or back.

Rows of a step lie together, those of the next step after them, and `sizes` says how many sequences still run at each step (they
are sorted by length, as in a packed sequence). So that the way back need not go forward again, each row keeps its gates and the
state before it: of LSTM [i f g o h c], of GRU [r z n' n h] with n' the part of n that r gates, of a plain RNN [h' h].
"""

from __future__ import annotations

import numpy as np

from ..jit import device, kernel, prange
from ..jit.vmath import maximum, sigmoid, tanh
from .gemm import multiply

TANH, RELU, LSTM, GRU = range(4)
#: Of each kind: parts of the gates that products make, and parts that a row keeps.
GATES, KEPT = (1, 1, 4, 3), (2, 2, 6, 5)


@device
def _sigmoid(y, x, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = sigmoid(y[j] + x[j] + bias[j])


@device
def _tanh(y, x, bias):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = tanh(y[j] + x[j] + bias[j])


@device
def _relu(y, x, bias):  # type: ignore[no-untyped-def]
    zero = y.dtype.type(0)
    for j in range(y.size):
        y[j] = maximum(y[j] + x[j] + bias[j], zero)


@device
def _copy(y, x):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = x[j]


@device
def _lstm(y, h, c, kept, x, bias):  # type: ignore[no-untyped-def]
    n = h.size
    i, f, g, o, before = kept[:n], kept[n : 2 * n], kept[2 * n : 3 * n], kept[3 * n : 4 * n], kept[5 * n :]
    _sigmoid(kept[: 2 * n], x[: 2 * n], bias[: 2 * n])
    _tanh(g, x[2 * n : 3 * n], bias[2 * n : 3 * n])
    _sigmoid(o, x[3 * n :], bias[3 * n :])
    _copy(before, c)
    for j in range(n):
        c[j] = f[j] * c[j] + i[j] * g[j]
    for j in range(n):
        h[j] = o[j] * tanh(c[j])


@device
def _gru(y, h, kept, x, bias):  # type: ignore[no-untyped-def]
    n = h.size
    z, gated, new = kept[n : 2 * n], kept[2 * n : 3 * n], kept[3 * n : 4 * n]
    _sigmoid(kept[: 2 * n], x[: 2 * n], bias[: 2 * n])
    r, x_new, bias_new = kept[:n], x[2 * n :], bias[2 * n :]
    for j in range(n):
        gated[j] += bias_new[j]
    for j in range(n):
        new[j] = tanh(x_new[j] + r[j] * gated[j])
    for j in range(n):
        h[j] = new[j] + z[j] * (h[j] - new[j])


@device
def _step(y, h, c, kept, x, bias, kind):  # type: ignore[no-untyped-def]
    """One row of one step: kept holds the products with the state before, and then all that the way back wants."""
    n, at_h = h.size, kept.size - (2 * h.size if kind == LSTM else h.size)
    _copy(kept[at_h : at_h + n], h)
    if kind == LSTM:
        _lstm(y, h, c, kept, x, bias)
    elif kind == GRU:
        _gru(y, h, kept, x, bias)
    else:
        if kind == TANH:
            _tanh(kept[:n], x, bias)
        else:
            _relu(kept[:n], x, bias)
        _copy(h, kept[:n])
    _copy(y, h)


@device
def _forward_block(y, h, c, kept, x, bias, weight, plan, sizes, starts, first, last):  # type: ignore[no-untyped-def]
    n, gates, width, kind, reverse = plan[0], plan[1], plan[2], plan[3], plan[4]
    for s in range(sizes.size):
        t = sizes.size - 1 - s if reverse else s
        rows, at = min(last, sizes[t]) - first, starts[t] + first
        if rows > 0:
            multiply(plan[8:], 0, kept, at * width, width, h, first * n, n, 1, 0, weight, 0, plan[5], 1, plan[6], rows, gates, n, 0)
        for k in range(rows):
            r, b = at + k, first + k
            cell = c[b * n : (b + 1) * n] if kind == LSTM else c
            _step(y[r * n : (r + 1) * n], h[b * n : (b + 1) * n], cell, kept[r * width : (r + 1) * width],
                  x[r * gates : (r + 1) * gates], bias, kind)  # fmt: skip


@kernel
def forward(y, h, c, kept, x, bias, weight, plan, sizes, starts):  # type: ignore[no-untyped-def]
    """y, the state after each step, and what is kept of it; h and c come as the state before and leave as that after all steps."""
    block, batch = plan[7], h.size // plan[0]
    for unit in prange((batch + block - 1) // block):
        first = np.int64(unit) * block  # the loop counts in unsigned numbers
        _forward_block(y, h, c, kept, x, bias, weight, plan, sizes, starts, first, min(batch, first + block))


# --- the way back ---------------------------------------------------------------------------------------------------


@device
def _lstm_back(dx, dh, dc, kept):  # type: ignore[no-untyped-def]
    n = dh.size
    i, f, g, o, before = kept[:n], kept[n : 2 * n], kept[2 * n : 3 * n], kept[3 * n : 4 * n], kept[5 * n :]
    di, df, dg, do = dx[:n], dx[n : 2 * n], dx[2 * n : 3 * n], dx[3 * n :]
    one = dh.dtype.type(1)
    for j in range(n):
        di[j] = tanh(f[j] * before[j] + i[j] * g[j])
    for j in range(n):
        dc[j] += dh[j] * o[j] * (one - di[j] * di[j])
    for j in range(n):
        do[j] = dh[j] * di[j] * o[j] * (one - o[j])
    for j in range(n):
        df[j] = dc[j] * before[j] * f[j] * (one - f[j])
    for j in range(n):
        dg[j] = dc[j] * i[j] * (one - g[j] * g[j])
    for j in range(n):
        di[j] = dc[j] * g[j] * i[j] * (one - i[j])
    for j in range(n):
        dc[j] *= f[j]


@device
def _gru_back(dx, through, dh, kept):  # type: ignore[no-untyped-def]
    n = dh.size
    r, z, gated, new, before = kept[:n], kept[n : 2 * n], kept[2 * n : 3 * n], kept[3 * n : 4 * n], kept[4 * n :]
    dr, dz, dn, dgated = dx[:n], dx[n : 2 * n], dx[2 * n :], through[2 * n :]
    one = dh.dtype.type(1)
    for j in range(n):
        dn[j] = dh[j] * (one - z[j]) * (one - new[j] * new[j])
    for j in range(n):
        dz[j] = dh[j] * (before[j] - new[j]) * z[j] * (one - z[j])
    for j in range(n):
        dr[j] = dn[j] * gated[j] * r[j] * (one - r[j])
    for j in range(n):
        dgated[j] = dn[j] * r[j]
    _copy(through[: 2 * n], dx[: 2 * n])
    for j in range(n):
        dh[j] *= z[j]


@device
def _step_back(dx, through, dh, dc, kept, dy, kind):  # type: ignore[no-untyped-def]
    """From the gradient of the state after a step to that of its gates; of what goes around the gates, dh and dc get their parts."""
    n, zero, one = dh.size, dh.dtype.type(0), dh.dtype.type(1)
    for j in range(n):
        dh[j] += dy[j]
    if kind == LSTM:
        _lstm_back(dx, dh, dc, kept)
    elif kind == GRU:
        _gru_back(dx, through, dh, kept)
    elif kind == TANH:
        for j in range(n):
            dx[j] = dh[j] * (one - kept[j] * kept[j])
    else:
        for j in range(n):
            dx[j] = dh[j] if kept[j] > zero else zero


@device
def _backward_block(dx, through, dh, dc, kept, dy, weight, plan, sizes, starts, first, last):  # type: ignore[no-untyped-def]
    n, gates, width, kind, reverse = plan[0], plan[1], plan[2], plan[3], plan[4]
    for s in range(sizes.size):
        t = s if reverse else sizes.size - 1 - s
        rows, at = min(last, sizes[t]) - first, starts[t] + first
        for k in range(rows):
            r, b = at + k, first + k
            cell = dc[b * n : (b + 1) * n] if kind == LSTM else dc
            around = through[r * gates : (r + 1) * gates] if kind == GRU else through
            _step_back(dx[r * gates : (r + 1) * gates], around, dh[b * n : (b + 1) * n], cell, kept[r * width : (r + 1) * width],
                       dy[r * n : (r + 1) * n], kind)  # fmt: skip
        if rows > 0:
            source = through if kind == GRU else dx
            multiply(plan[8:], 0, dh, first * n, n, source, at * gates, gates, 1, 0, weight, 0, plan[5], 1, plan[6],
                     rows, n, gates, 1 if kind == GRU else 0)  # fmt: skip


@kernel
def backward(dx, through, dh, dc, kept, dy, weight, plan, sizes, starts):  # type: ignore[no-untyped-def]
    """dx and `through`, the gradients of the gates' products with inputs and states (for GRU; the others have one for both).

    dh and dc come as the gradients of the state after all steps and leave as those of the state before."""
    block, batch = plan[7], dh.size // plan[0]
    for unit in prange((batch + block - 1) // block):
        first = np.int64(unit) * block  # the loop counts in unsigned numbers
        _backward_block(dx, through, dh, dc, kept, dy, weight, plan, sizes, starts, first, min(batch, first + block))
