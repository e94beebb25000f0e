"""softmax and log_softmax of rows that lie in one piece: kernels, for long rows and for many short ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import Results, Units, device, kernel, prange
from ..jit.search import largest
from ..jit.vmath import log
from ..jit.vmath.exponential import exp_lowered, exp_raised

#: Elements of a row that one number of its dtype sums.
RUN = 4096
#: A row of at most so many elements is short (less so where there are logs), and done with others that together
#: have so many.
SHORT, SHORT_LOG, UNIT = 112, 40, 1024
#: Sums of `exp_raised` are so many times too large.
RAISED = 2.0**64

# --- a row in one piece ---------------------------------------------------------------------------------------------


@device(fastmath=("contract", "reassoc"))
def run_sum_exp(x, shift):  # type: ignore[no-untyped-def]
    """The sum of `exp_raised` of x - shift over at most RUN elements."""
    total = x.dtype.type(0)
    for j in range(x.size):
        total += exp_raised(x[j] - shift)
    return total


@device
def log_sum_exp(x: Any, shift: Any) -> Any:
    """log of the sum of exp(x - shift), where shift is the largest of a row, in float64."""
    total = 0.0
    for start in range(0, x.size, RUN):
        total += run_sum_exp(x[start : min(x.size, start + RUN)], shift)
    return log(total / RAISED)


@device(fastmath=("contract", "reassoc"), inline=True)
def _run_exp(y, x, shift):  # type: ignore[no-untyped-def]
    total = x.dtype.type(0)
    for j in range(x.size):
        e = exp_raised(x[j] - shift)
        y[j] = e
        total += e
    return total


@device
def _softmax_row(y, x, shift):  # type: ignore[no-untyped-def]
    total = 0.0
    for start in range(0, x.size, RUN):
        stop = min(x.size, start + RUN)
        total += _run_exp(y[start:stop], x[start:stop], shift)
    factor = x.dtype.type(1.0 / total)
    for j in range(y.size):
        y[j] *= factor


@device
def _softmax_rows(y, x):  # type: ignore[no-untyped-def]
    """Of several rows the same is done in turn, for one thing alone waits for the one before; y is where it is kept."""
    for i in range(y.shape[0]):
        y[i, 0] = largest(x[i])
    for i in range(y.shape[0]):
        _softmax_row(y[i], x[i], y[i, 0])


@device
def _log_softmax_row(y, x):  # type: ignore[no-untyped-def]
    shift = largest(x)
    _subtract(y, x, shift, x.dtype.type(log_sum_exp(x, shift)))


@device
def _subtract(y, x, shift, rest):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = (x[j] - shift) - rest


@device
def _log_softmax_rows(y, x):  # type: ignore[no-untyped-def]
    """As `_softmax_rows`."""
    for i in range(y.shape[0]):
        y[i, 0] = largest(x[i])
    for i in range(y.shape[0]):
        y[i, 1] = run_sum_exp(x[i], y[i, 0])
    for i in range(y.shape[0]):
        y[i, 1] = log(y[i, 1] * y.dtype.type(1 / RAISED))
    for i in range(y.shape[0]):
        _subtract(y[i], x[i], y[i, 0], y[i, 1])


@device(fastmath=("contract", "reassoc"), inline=True)
def _run_dot(a, b):  # type: ignore[no-untyped-def]
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@device(fastmath=("contract", "reassoc"))
def run_sum(a):  # type: ignore[no-untyped-def]
    """The sum of a row, in its dtype."""
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j]
    return total


@device
def _softmax_backward_row(out, grad, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for start in range(0, y.size, RUN):
        stop = min(y.size, start + RUN)
        total += _run_dot(grad[start:stop], y[start:stop])
    mean = y.dtype.type(total)
    for j in range(y.size):
        out[j] = y[j] * (grad[j] - mean)


@device(overlap=4)
def _log_softmax_backward_row(out, grad, y):  # type: ignore[no-untyped-def]
    total = 0.0
    for start in range(0, y.size, RUN):
        total += run_sum(grad[start : min(y.size, start + RUN)])
    mass = y.dtype.type(total)
    for j in range(y.size):
        out[j] = grad[j] - exp_lowered(y[j]) * mass


# --- several short rows at a time -----------------------------------------------------------------------------------
# Such a row is few vectors, so what takes long, exp, runs over all the rows of a unit as one.


@device(overlap=4)
def _exp_all(y):  # type: ignore[no-untyped-def]
    flat = y.reshape(y.size)
    for j in range(flat.size):
        flat[j] = exp_lowered(flat[j])


@device
def exp_rows(y, x):  # type: ignore[no-untyped-def]
    """y = exp(x - the largest of its row)."""
    for i in range(y.shape[0]):
        out, row = y[i], x[i]
        shift = largest(row)
        for j in range(out.size):
            out[j] = row[j] - shift
    _exp_all(y)


@device
def _softmax_short(y, x):  # type: ignore[no-untyped-def]
    exp_rows(y, x)
    for i in range(y.shape[0]):
        out = y[i]
        factor = x.dtype.type(1.0 / np.float64(run_sum(out)))
        for j in range(out.size):
            out[j] *= factor


@device
def _log_softmax_short(y, x):  # type: ignore[no-untyped-def]
    exp_rows(y, x)
    for i in range(y.shape[0]):
        out, row = y[i], x[i]
        _subtract(out, row, largest(row), log(run_sum(out)))


@device
def _log_softmax_backward_short(out, grad, y):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        into, row = out[i], y[i]
        for j in range(into.size):
            into[j] = row[j]
    _exp_all(out)
    for i in range(out.shape[0]):
        into, g = out[i], grad[i]
        mass = run_sum(g)
        for j in range(into.size):
            into[j] = g[j] - into[j] * mass


@device
def _together(n, most):  # type: ignore[no-untyped-def]
    """How many rows of n elements are a unit of work, if they are short."""
    return UNIT // n if n <= most else 1


@kernel
def softmax_rows(y, x):  # type: ignore[no-untyped-def]
    count, some = y.shape[0], _together(y.shape[1], UNIT // 2)
    for unit in prange((count + some - 1) // some):
        first, last = unit * some, min(count, unit * some + some)
        if y.shape[1] <= SHORT:
            _softmax_short(y[first:last], x[first:last])
        else:
            _softmax_rows(y[first:last], x[first:last])


@kernel
def log_softmax_rows(y, x):  # type: ignore[no-untyped-def]
    count, some = y.shape[0], _together(y.shape[1], UNIT // 2)
    for unit in prange((count + some - 1) // some):
        first, last = unit * some, min(count, unit * some + some)
        if y.shape[1] <= SHORT_LOG:
            _log_softmax_short(y[first:last], x[first:last])
        elif some > 1:
            _log_softmax_rows(y[first:last], x[first:last])
        else:
            _log_softmax_row(y[first], x[first])


softmax_rows.results = Results("np.int64(unit) * some * y.shape[1]", "(min(y.shape[0], (np.int64(unit) + 1) * some) - np.int64(unit) * some) * y.shape[1]")
softmax_rows.units = log_softmax_rows.units = Units("x", "np.int64(unit) * some * x.shape[1]", "min(y.shape[0], (np.int64(unit) + 1) * some) * x.shape[1]")


@kernel
def softmax_backward_rows(out, grad, y):  # type: ignore[no-untyped-def]
    for i in prange(y.shape[0]):
        _softmax_backward_row(out[i], grad[i], y[i])


softmax_backward_rows.results = Results("np.int64(i) * y.shape[1]", "y.shape[1]")
softmax_backward_rows.units = Units("grad", "np.int64(i) * y.shape[1]", "(np.int64(i) + 1) * y.shape[1]")


@kernel
def log_softmax_backward_rows(out, grad, y):  # type: ignore[no-untyped-def]
    count, some = y.shape[0], _together(y.shape[1], SHORT_LOG)
    for unit in prange((count + some - 1) // some):
        first, last = unit * some, min(count, unit * some + some)
        if some > 1:
            _log_softmax_backward_short(out[first:last], grad[first:last], y[first:last])
        else:
            _log_softmax_backward_row(out[first], grad[first], y[first])
