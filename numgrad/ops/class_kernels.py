"""Cross entropy and negative log likelihood of class indices: their kernels and gradients; `class_loss` is what is called.

An input (N, C, d1, ...) is seen as (outer, classes, inner), and a target has one index for each (outer, inner). Along with
the losses goes the weight of each target, 0 where it is ignored: all that the gradients need besides.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..dtypes import INT64
from ..jit import Units, device, empty, kernel, launch, prange, verify, zeros
from ..jit.search import largest
from ..jit.vmath import exp, log
from ..jit.vmath.exponential import exp_lowered
from ..tensor import Tensor, wrap
from .elementwise import copied
from .planned import planned
from .record import op
from .shape import reshape
from .softmax import COST, columns_log_sum_exp, columns_max, rows, softmax, softmax_backward, strip, units
from .softmax_rows import RAISED, RUN, SHORT_LOG, UNIT, exp_rows, log_sum_exp, run_sum, run_sum_exp

#: Targets of one unit of work, and elements of the rows of one.
TARGETS, ELEMENTS = 4096, 8192

# --- weights of targets, and totals ---------------------------------------------------------------------------------


@device
def _weigh_tile(weights, bad, unit, target, table, step, classes, ignored):  # type: ignore[no-untyped-def]
    wrong = -1
    for r in range(unit * TARGETS, min(weights.size, (unit + 1) * TARGETS)):
        t = target[r]
        weights[r] = 0
        if t >= 0 and t < classes and t != ignored:
            weights[r] = table[t * step]
        elif t != ignored and wrong < 0:
            wrong = r
    bad[unit] = wrong


@kernel
def _weigh(weights, bad, target, table, step, classes, ignored):  # type: ignore[no-untyped-def]
    """The weight of each target: that of its class in `table` (or, with step 0, the only one there); the first bad target."""
    for unit in prange(0, bad.size):
        _weigh_tile(weights, bad, unit, target, table, step, classes, ignored)


@device(fastmath=("contract", "reassoc"))
def _sum(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(x.size):
        total += x[j]
    return total


@kernel
def _reduce(total, divisor, loss, weights, mean):  # type: ignore[no-untyped-def]
    for i in prange(total.size):
        mass = _sum(weights) if mean else 1.0
        divisor[i] = mass
        total[i] = _sum(loss) / np.float64(mass)  # as Python, a number of its own that is 0 would raise


def _weights(target: np.ndarray, weight: np.ndarray | None, classes: int, ignore_index: int, dtype: np.dtype) -> np.ndarray:
    """The weight of each target; IndexError for one that is neither a class nor ignored."""
    weights = empty(target.size, dtype)
    _weigh_into(weights, target, weight, classes, ignore_index)
    return weights


def _weigh_into(weights: np.ndarray, target: np.ndarray, weight: np.ndarray | None, classes: int, ignore_index: int) -> None:
    bad = empty(-(-target.size // TARGETS), INT64)
    launch(_weigh, weights, bad, target, *_table(weight, weights.dtype), classes, ignore_index)
    verify(bad, _refuse_target, target)


def _table(weight: np.ndarray | None, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """The weights of classes, and how far one class lies from the next: all may share one."""
    return (_one(dtype), 0) if weight is None else (copied(weight), 1)


@functools.cache
def _one(dtype: np.dtype) -> np.ndarray:
    return np.ones(1, dtype)


def _refuse_target(bad: np.ndarray, target: np.ndarray) -> None:
    raise IndexError(f"Target {target[bad[bad >= 0][0]]} is out of bounds.")


def _reduced(loss: np.ndarray, weights: np.ndarray, shape: tuple[int, ...], reduction: str) -> tuple[np.ndarray, np.ndarray]:
    """The losses, their sum or their weighted mean, and what they were divided by."""
    if reduction == "none":
        return loss.reshape(shape), np.ones((), loss.dtype)
    total, divisor = empty(1, loss.dtype), empty(1, loss.dtype)
    launch(_reduce, total, divisor, loss, weights, int(reduction == "mean"), work=0)
    return total.reshape(()), divisor.reshape(())


def class_dim(shape: tuple[int, ...]) -> int:
    """Which dimension holds the classes."""
    return 1 if len(shape) > 1 else 0


def _flat(x: np.ndarray, dtype: Any = None) -> np.ndarray:
    """A contiguous array in one dimension."""
    if not x.flags.c_contiguous or (dtype is not None and x.dtype != dtype):
        x = copied(x, dtype)
    return x.reshape(-1)


# --- negative log likelihood ----------------------------------------------------------------------------------------


@kernel
def _pick(loss, x, target, weights, divisor):  # type: ignore[no-untyped-def]
    """The weighted negative of each row's element at its target."""
    inner = x.shape[2]
    for r in prange(loss.size):
        o, w = r // inner, weights[r]
        loss[r] = 0 if w == 0 else -w * x[o, target[r], r - o * inner] / divisor[0]


@kernel
def _unpick(out, grad, step, target, weights, divisor):  # type: ignore[no-untyped-def]
    """Into zeros: what `_pick` would have passed back to each row's element at its target."""
    inner = out.shape[2]
    for r in prange(target.size):
        o, w = r // inner, weights[r]
        if w != 0:
            out[o, target[r], r - o * inner] = -w * grad[r * step] / divisor[0]


def _nll_forward(input: np.ndarray, target: np.ndarray, weight: Any, ignore_index: int, reduction: str) -> Any:
    x, t = rows(input, class_dim(input.shape)), _flat(target, INT64)
    weights, loss = _weights(t, weight, x.shape[1], ignore_index, input.dtype), empty(t.size, input.dtype)
    launch(_pick, loss, x, t, weights, _one(input.dtype))
    return *_reduced(loss, weights, target.shape if input.ndim > 1 else (), reduction), weights


def _pick_forward(input: np.ndarray, target: np.ndarray, weights: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    loss, x = empty(target.shape, input.dtype), rows(input, class_dim(input.shape))
    launch(_pick, loss.reshape(-1), x, _flat(target, INT64), weights, divisor.reshape(1))
    return loss


def _nll_backward_forward(grad: Any, target: Any, weights: Any, divisor: Any, shape: tuple[int, ...]) -> np.ndarray:
    out = zeros(shape, grad.dtype)
    launch(_unpick, rows(out, class_dim(shape)), _flat(grad), int(grad.size > 1), _flat(target, INT64), weights,
           divisor.reshape(1), work=target.size)  # fmt: skip
    return out


_hidden: Any = {"public": False, "method": False}
_nll_backward = op("nll_loss_backward", _nll_backward_forward, **_hidden,
                   vjp=(lambda g, target, weights, divisor: _picked(g, target, weights, divisor),))  # fmt: skip
_picked = op("nll_loss_pick", _pick_forward, **_hidden,
             vjp=(lambda g, input_shape, target, weights, divisor: _nll_backward(g, target, weights, divisor, input_shape),))  # fmt: skip
nll = op("_nll_loss", _nll_forward, **_hidden, saved=1,
         vjp=(lambda g, y, input_shape, target: _nll_backward(g[0], target, y[2], y[1], input_shape),))  # fmt: skip

# --- cross entropy --------------------------------------------------------------------------------------------------
# `state` holds, for each row, the weight of its target, its largest element and log(sum(exp(x - largest))): the two apart lose
# nothing to rounding.


@device
def _entropy(x, largest, rest, mean, smoothing):  # type: ignore[no-untyped-def]
    """The loss of a row whose target has the logit x; `mean` is that of all logits less the largest."""
    return rest - (1.0 - smoothing) * (x - largest) - smoothing * mean


@device(fastmath=("contract", "reassoc"))
def _mean_below(x, largest):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(x.size):
        total += x[j] - largest
    return total / x.size


@device
def _sort_out(loss, state, x, target, table, step, ignored, r):  # type: ignore[no-untyped-def]
    """The weight of a target; nothing else for ones without. False where it is neither a class nor ignored."""
    t = target[r]
    within = t >= 0 and t < x.shape[1] and t != ignored
    loss[r] = 0
    state[0, r] = table[t * step] if within else x.dtype.type(0)
    state[1, r] = 0
    state[2, r] = 0
    return within or t == ignored


@device
def _sum_several(state, x, first, last):  # type: ignore[no-untyped-def]
    """The same of several rows in turn, for one thing alone waits for the one before."""
    for r in range(first, last):
        if state[0, r] != 0:
            state[1, r] = largest(x[r])
    for r in range(first, last):
        state[2, r] = run_sum_exp(x[r], state[1, r]) if state[0, r] != 0 else x.dtype.type(RAISED)
    rest = state[2, first:last]
    for r in range(rest.size):
        rest[r] = log(rest[r] * x.dtype.type(1 / RAISED))


@device
def _sum_rows(state, x, exps, first, last):  # type: ignore[no-untyped-def]
    """The largest element and log(sum(exp(x - largest))) of each row: of short ones all at once, with `exps` as scratch."""
    if exps.size:
        exp_rows(exps[first:last], x[first:last])
        rest = state[2, first:last]
        for r in range(first, last):
            state[1, r] = largest(x[r])
            rest[r - first] = run_sum(exps[r])
        for r in range(rest.size):
            rest[r] = log(rest[r])
    elif x.shape[1] > RUN:
        for r in range(first, last):
            if state[0, r] != 0:
                state[1, r] = largest(x[r])
                state[2, r] = log_sum_exp(x[r], state[1, r])
    else:
        _sum_several(state, x, first, last)


@device
def _entropy_tile(loss, state, bad, exps, x, target, table, step, ignored, smoothing, first, last, unit):  # type: ignore[no-untyped-def]
    wrong = -1
    for r in range(first, last):
        if not _sort_out(loss, state, x, target, table, step, ignored, r) and wrong < 0:
            wrong = r
    bad[unit] = wrong
    _sum_rows(state, x, exps, first, last)
    for r in range(first, last):
        if state[0, r] != 0:
            mean = _mean_below(x[r], state[1, r]) if smoothing > 0 else 0.0
            loss[r] = state[0, r] * _entropy(x[r, target[r]], state[1, r], state[2, r], mean, smoothing)


@kernel
def _entropy_rows(loss, state, bad, exps, x, target, table, step, ignored, smoothing, per):  # type: ignore[no-untyped-def]
    for unit in prange(0, bad.size):
        first, last = unit * per, min(loss.size, (unit + 1) * per)
        _entropy_tile(loss, state, bad, exps, x, target, table, step, ignored, smoothing, first, last, unit)


_entropy_rows.units = Units("x", "np.int64(unit) * per * x.shape[1]", "min(loss.size, (np.int64(unit) + 1) * per) * x.shape[1]")


@device
def _entropy_strip(loss, state, x, target, smoothing, o, first, last):  # type: ignore[no-untyped-def]
    out, largest, rest = loss[o, first:last], state[1, o, first:last], state[2, o, first:last]
    columns_max(largest, x, o, first, last)
    columns_log_sum_exp(rest, largest, x, o, first, last)
    for j in range(out.size):
        out[j] = 0
    if smoothing > 0:
        for k in range(x.shape[1]):
            row = x[o, k, first:last]
            for j in range(out.size):
                out[j] += row[j] - largest[j]
    for j in range(out.size):
        w = state[0, o, first + j]
        if w == 0:
            out[j] = 0
        else:
            logit = x[o, target[o, first + j], first + j]
            out[j] = w * _entropy(logit, largest[j], rest[j], out[j] / x.shape[1], smoothing)


@kernel
def _entropy_columns(loss, state, x, target, smoothing, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, first, last = strip(unit, x.shape[2])
        _entropy_strip(loss, state, x, target, smoothing, o, first, last)


@kernel
def _factors(factor, weights, grad, step, divisor):  # type: ignore[no-untyped-def]
    """What each row's gradient is multiplied with; 0 for ignored ones, whatever the divisor."""
    for r in prange(factor.size):
        w = weights[r]
        factor[r] = 0 if w == 0 else w * grad[r * step] / divisor[0]


@device
def _entropy_backward_row(to, row, t, f, top, rest, share, one):  # type: ignore[no-untyped-def]
    for j in range(to.size):
        to[j] = f * (exp_lowered((row[j] - top) - rest) - share)
    to[t] -= f * one


@device
def _entropy_backward_tile(out, x, state, grad, step, divisor, target, smoothing, first, last):  # type: ignore[no-untyped-def]
    one = out.dtype.type(1) - out.dtype.type(smoothing)
    share = out.dtype.type(smoothing / out.shape[1])
    for r in range(first, last):
        w, to = state[0, r], out[r]
        if w == 0:
            for j in range(to.size):
                to[j] = 0
        else:
            _entropy_backward_row(to, x[r], target[r], w * grad[r * step] / divisor[0], state[1, r], state[2, r], share, one)


@kernel
def _entropy_backward_rows(out, x, state, grad, step, divisor, target, smoothing, per):  # type: ignore[no-untyped-def]
    for unit in prange(0, (out.shape[0] + per - 1) // per):
        _entropy_backward_tile(out, x, state, grad, step, divisor, target, smoothing, unit * per, min(out.shape[0], (unit + 1) * per))


@device
def _entropy_backward_strip(out, x, state, factor, target, smoothing, o, first, last):  # type: ignore[no-untyped-def]
    one = out.dtype.type(1)
    share = out.dtype.type(smoothing / out.shape[1])
    largest, rest, f = state[1, o, first:last], state[2, o, first:last], factor[o, first:last]
    for k in range(out.shape[1]):
        to, row = out[o, k, first:last], x[o, k, first:last]
        for j in range(f.size):
            to[j] = 0 if f[j] == 0 else f[j] * (exp((row[j] - largest[j]) - rest[j]) - share)
    for j in range(f.size):
        if f[j] != 0:
            out[o, target[o, first + j], first + j] -= f[j] * (one - out.dtype.type(smoothing))


@kernel
def _entropy_backward_columns(out, x, state, factor, target, smoothing, units):  # type: ignore[no-untyped-def]
    for unit in prange(0, units):
        o, first, last = strip(unit, x.shape[2])
        _entropy_backward_strip(out, x, state, factor, target, smoothing, o, first, last)


def _per(classes: int) -> int:
    """Rows of one unit of work."""
    return max(1, (UNIT if classes <= SHORT_LOG else ELEMENTS) // max(classes, 1))


def _entropy_forward(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    x, t = rows(input, class_dim(input.shape)), _flat(target, INT64)
    outer, classes, inner = x.shape
    loss, state = empty(t.size, input.dtype), empty((3, t.size), input.dtype)
    if inner == 1:
        per = _per(classes)
        bad, exps = empty(-(-t.size // per), INT64), empty((outer, classes) if classes <= SHORT_LOG else (0, 0), input.dtype)
        launch(_entropy_rows, loss, state, bad, exps, x.reshape(outer, classes), t, *_table(weight, input.dtype), ignore_index, smoothing, per,
               work=COST * x.size)  # fmt: skip
        verify(bad, _refuse_target, target)
    else:
        _weigh_into(state[0], t, weight, classes, ignore_index)
        whole = (outer, inner)
        if x.size:
            launch(_entropy_columns, loss.reshape(whole), state.reshape(3, *whole), x, t.reshape(whole), smoothing, units(x.shape),
                   work=COST * x.size)  # fmt: skip
    return *_reduced(loss, state[0], target.shape if input.ndim > 1 else (), reduction), state


def _entropy_backward_forward(grad: Any, input: Any, target: Any, divisor: Any, state: Any, smoothing: float) -> np.ndarray:
    out = empty(input.shape, input.dtype)
    if not out.size:
        return out
    dim, t, g, step, divisor = class_dim(input.shape), _flat(target, INT64), _flat(grad), int(grad.size > 1), divisor.reshape(1)
    y, x = rows(out, dim), rows(input, dim)
    outer, classes, inner = x.shape
    if inner == 1:
        whole = (outer, classes)
        launch(_entropy_backward_rows, y.reshape(whole), x.reshape(whole), state, g, step, divisor, t, smoothing, _per(classes),
               work=COST * x.size)  # fmt: skip
    else:
        whole, factor = (outer, inner), empty(t.size, input.dtype)
        launch(_factors, factor, state[0], g, step, divisor)
        launch(_entropy_backward_columns, y, x, state.reshape(3, *whole), factor.reshape(whole), t.reshape(whole), smoothing,
               units(x.shape), work=COST * x.size)  # fmt: skip
    return out


def _entropy_backward_vjp(g: Tensor, grad: Tensor, input: Tensor, target: Any, divisor: Any, state: Any, smoothing: float) -> Any:
    """The op is f (softmax(x) - q) with f = grad * weights / divisor, and q does not depend on x."""
    shape = input._data.shape
    dim = class_dim(shape)
    one = wrap(np.ones((), input._data.dtype))
    by_grad = (g * _entropy_backward(one, input, target, divisor, state, smoothing)).sum(dim)  # type: ignore[attr-defined]
    row = (*shape[:dim], 1, *shape[dim + 1 :])
    scale = reshape(grad, row if grad.dim() else ()) * reshape(state[0], row) / divisor
    return reshape(by_grad, target.shape), softmax_backward(g * scale, softmax(input, dim), dim)  # type: ignore[operator]


_entropy_backward = planned("cross_entropy_backward", _entropy_backward_forward, vjp=_entropy_backward_vjp)
cross_entropy_of_classes = planned("cross_entropy_loss", _entropy_forward, saved=1, vjp=(
    lambda g, y, input, target, smoothing: _entropy_backward(g[0], input, target, y[1], y[2], smoothing),))  # fmt: skip
