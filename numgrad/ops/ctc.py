"""Connectionist temporal classification (Graves et al., 2006): the probability of a labelling, over all its alignments, in log space.

A target of L labels has 2 L + 1 places, blanks around and between its labels. alpha(t, s) sums over the ways to be at place s at
step t, beta(t, s) over those to get from there to the end; one sequence of the batch is one unit of work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange, read, zeros
from ..jit.vmath import exp, log1p
from ..tensor import Tensor, wrap
from . import creation
from .again import gradients_again
from .bounds import as_index, check_index
from .elementwise import copied
from .record import REGISTRY, composite, op

# --- kernels --------------------------------------------------------------------------------------------------------


@device
def _log_add(a, b):  # type: ignore[no-untyped-def]
    top, low = (a, b) if a > b else (b, a)
    return top if low == -np.inf else top + log1p(exp(low - top))


@device
def _label(targets, start, s, blank):  # type: ignore[no-untyped-def]
    return targets[start + s // 2] if s % 2 else blank


@device
def _may_skip(targets, start, s, blank):  # type: ignore[no-untyped-def]
    """Whether place s can be reached from s - 2: not a blank, and not the label before again."""
    return s > 1 and s % 2 == 1 and targets[start + s // 2] != targets[start + s // 2 - 1]


@device
def _ways(alpha, x, n, targets, start, steps, labels, blank):  # type: ignore[no-untyped-def]
    """Fill alpha (steps, places); the log of the sum over all alignments."""
    places, none = 2 * labels + 1, -np.inf
    if steps == 0:
        return alpha.dtype.type(0) if labels == 0 else alpha.dtype.type(none)
    for t in range(steps):
        for s in range(places):
            total = alpha.dtype.type(none)
            if t == 0:
                total = alpha.dtype.type(0) if s < 2 else total
            else:
                total = alpha[t - 1, s]
                if s > 0:
                    total = _log_add(total, alpha[t - 1, s - 1])
                if _may_skip(targets, start, s, blank):
                    total = _log_add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + x[t, n, _label(targets, start, s, blank)]
    last = alpha[steps - 1, places - 1]
    return last if labels == 0 else _log_add(last, alpha[steps - 1, places - 2])


@kernel
def _ctc(loss, alpha, x, targets, starts, steps, labels, blank):  # type: ignore[no-untyped-def]
    for n in prange(0, loss.size):
        loss[n] = -_ways(alpha[n], x, n, targets, starts[n], steps[n], labels[n], blank)


@device
def _back(out, beta, alpha, x, n, loss, grad, targets, start, steps, labels, blank):  # type: ignore[no-untyped-def]
    """Take from out[t, n, c] the share of the alignments that have label c at step t."""
    places = 2 * labels + 1
    for t in range(steps - 1, -1, -1):
        now, after = beta[t % 2], beta[(t + 1) % 2]  # after holds beta and the probabilities of its own step
        for s in range(places):
            total = beta.dtype.type(-np.inf)
            if t == steps - 1:
                total = beta.dtype.type(0) if s >= places - 2 else total
            else:
                total = after[s]
                if s + 1 < places:
                    total = _log_add(total, after[s + 1])
                if s + 2 < places and _may_skip(targets, start, s + 2, blank):
                    total = _log_add(total, after[s + 2])
            c = _label(targets, start, s, blank)
            out[t, n, c] -= grad * exp(alpha[t, s] + total + loss)
            now[s] = total + x[t, n, c]


@kernel
def _ctc_back(out, beta, alpha, x, loss, grad, targets, starts, steps, labels, blank):  # type: ignore[no-untyped-def]
    """Into zeros."""
    for n in prange(0, loss.size):
        if grad[n] != 0:
            _back(out, beta[n], alpha[n], x, n, loss[n], grad[n], targets, starts[n], steps[n], labels[n], blank)


# --- ops ------------------------------------------------------------------------------------------------------------

Lengths = tuple[int, ...]


def _starts(targets: np.ndarray, labels: Lengths) -> list[int]:
    """Where each sequence's labels begin: in rows, or one after another."""
    if targets.ndim == 2:
        return [n * targets.shape[1] for n in range(len(labels))]
    return [sum(labels[:n]) for n in range(len(labels))]


def _layout(targets: np.ndarray, steps: Lengths, labels: Lengths) -> tuple[np.ndarray, ...]:
    return tuple(np.array(numbers, INT64) for numbers in (_starts(targets, labels), steps, labels))


def _ctc_forward(input: np.ndarray, targets: np.ndarray, steps: Lengths, labels: Lengths, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """Each sequence's loss, and alpha, as integers: it has no gradient."""
    check_index(targets, "embedding", 0, input.shape[2])
    x, places = input if input.flags.c_contiguous else copied(input), 2 * max(labels, default=0) + 1
    loss, alpha = empty(len(labels), x.dtype), empty((len(labels), x.shape[0], places), x.dtype)
    if loss.size:
        launch(_ctc, loss, alpha, x, as_index(targets, targets.shape), *_layout(targets, steps, labels), blank, work=32 * alpha.size)
    return loss, alpha.view(f"i{x.itemsize}")


def _back_forward(grad: np.ndarray, loss: np.ndarray, alpha: np.ndarray, input: np.ndarray, targets: np.ndarray, steps: Lengths, labels: Lengths, blank: int) -> np.ndarray:
    x = input if input.flags.c_contiguous else copied(input)
    out, beta = zeros(x.shape, x.dtype), empty((len(labels), 2, alpha.shape[2]), x.dtype)
    if loss.size:
        launch(_ctc_back, out, beta, alpha.view(x.dtype), x, loss, grad if grad.flags.c_contiguous else copied(grad),
               as_index(targets, targets.shape), *_layout(targets, steps, labels), blank, work=64 * alpha.size)  # fmt: skip
    return out


def _ctc_vjp(g: Any, y: Any, input: Tensor, targets: Tensor, steps: Lengths, labels: Lengths, blank: int) -> Any:
    if mode.enabled:
        return gradients_again(lambda x: (_in_ops(x, targets, steps, labels, blank),), (input,), g[:1])
    return _ctc_backward(g[0], y[0], y[1], input, targets, steps, labels, blank)


_hidden: Any = {"public": False, "method": False}
_ctc_backward = op("ctc_backward", _back_forward, **_hidden)
_losses = op("ctc", _ctc_forward, vjp=_ctc_vjp, **_hidden)

#: Stands for log 0 where gradients are written in ops: they must not meet infinities.
_NEVER = -1e30


def _in_ops(x: Any, targets: Tensor, steps: Lengths, labels: Lengths, blank: int) -> Tensor:
    """The losses, step by step in ops, for gradients of gradients."""
    cat, stack, flat = REGISTRY["cat"], REGISTRY["stack"], targets._data.reshape(-1)
    losses = []
    for n, start in enumerate(_starts(targets._data, labels)):
        count = labels[n]
        path = np.full(2 * count + 1, blank, INT64)
        path[1::2] = flat[start : start + count]
        if steps[n] == 0:
            losses.append(x[:0].sum() + (math.inf if count else 0.0))
            continue
        skips = np.zeros(path.size, bool)
        skips[2:] = (path[2:] != path[:-2]) & (path[2:] != blank)
        rows, blocked = x[: steps[n], n].index_select(1, wrap(path)), wrap(~skips)
        alpha = rows[0].masked_fill(wrap(np.arange(path.size) > 1), _NEVER)
        never = creation.full((2,), _NEVER, dtype=x.dtype)
        for t in range(1, steps[n]):
            longer = cat([never, alpha])
            two = longer[: path.size].masked_fill(blocked, _NEVER)
            alpha = stack([alpha, longer[1 : path.size + 1], two]).logsumexp(0) + rows[t]
        losses.append(-alpha[-2:].logsumexp(0))
    return stack(losses)


# --- what is called -------------------------------------------------------------------------------------------------


def _lengths(name: str, given: Any, count: int, most: int) -> Lengths:
    found = tuple(int(n) for n in (read(given._data).reshape(-1).tolist() if isinstance(given, Tensor) else given))
    if len(found) != count:
        raise RuntimeError(f"{name} must be of size batch_size, {count}, but got {len(found)}")
    for n in found:
        if not 0 <= n <= most:
            raise RuntimeError(f"Expected {name} to have value at most {most}, and not negative, but got value {n}")
    return found


_REDUCTIONS = ("none", "mean", "sum")


def _function(log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: Any = "mean", zero_infinity: bool = False) -> Tensor:
    """-log of the probability of each target, summed over its alignments, of log_probs (T, N, C) or (T, C).

    targets are (N, S), or one after another in one dimension. "mean" divides each loss by its target's length, then by the batch.
    zero_infinity: a target that has no alignment costs nothing, instead of infinity."""
    if log_probs._data.dtype.kind != "f":
        raise NotImplementedError(f'"ctc_loss" not implemented for \'{scalar_name(log_probs._data.dtype)}\'')
    batched = log_probs.dim() == 3
    if log_probs.dim() not in (2, 3):
        raise RuntimeError(f"log_probs must have 2 or 3 dimensions, (T, C) or (T, N, C), but has {log_probs.dim()}")
    x = log_probs if batched else log_probs.unsqueeze(1)  # type: ignore[attr-defined]
    total, batch, classes = x.shape
    if not isinstance(blank, int):
        raise TypeError(f"ctc_loss(): argument 'blank' (position 5) must be int, not {type(blank).__name__}")
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range, 0 to {classes - 1}, but is {blank}")
    if targets._data.dtype.kind not in "iu" or targets.dim() not in (1, 2):
        raise RuntimeError(f"targets must be integers in one or two dimensions, but got {targets.dtype} in {targets.dim()}")
    both = (input_lengths, target_lengths) if batched else tuple(
        x if isinstance(x, Tensor) or not isinstance(x, int) else (x,) for x in (input_lengths, target_lengths))  # fmt: skip
    steps = _lengths("input_lengths", both[0], batch, total)
    labels = _lengths("target_lengths", both[1], batch, targets.shape[-1])
    if targets.dim() == 1 and sum(labels) != targets.shape[0]:
        raise RuntimeError(f"targets in one dimension must have the sum of target_lengths, {sum(labels)}, as size, but got {targets.shape[0]}")
    if targets.dim() == 2 and targets.shape[0] != batch:
        raise RuntimeError(f"Expected targets to have size {batch} at dimension 0, but got {targets.shape[0]}")
    if targets.dim() == 2 and any(n < targets.shape[1] for n in labels):  # what fills rows up may be anything
        targets = targets.masked_fill(wrap(np.arange(targets.shape[1]) >= np.array(labels, INT64)[:, None]), blank)  # type: ignore[attr-defined]
    loss = _losses(x, targets, steps, labels, int(blank))[0]
    if zero_infinity:
        loss = loss.masked_fill(loss == math.inf, 0.0)
    reduction = _REDUCTIONS[reduction] if isinstance(reduction, int) else reduction
    if reduction == "mean":
        return (loss / creation.tensor([max(n, 1) for n in labels], dtype=loss.dtype)).mean()
    if reduction == "sum":
        return loss.sum()
    return loss if batched else loss[0]


def _paths(steps: int, classes: int) -> Any:
    return np.stack(np.meshgrid(*[np.arange(classes)] * steps, indexing="ij"), -1).reshape(-1, steps)


def _collapsed(path: Sequence[int], blank: int) -> list[int]:
    kept = [c for t, c in enumerate(path) if t == 0 or c != path[t - 1]]
    return [c for c in kept if c != blank]


def _reference(x: Any, targets: Any, steps: Any, labels: Any, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> Any:
    """Every path of every length, and those that collapse to the target."""
    found = []
    for n, start in enumerate(_starts(targets, tuple(labels))):
        target, t = targets.reshape(-1)[start : start + labels[n]].tolist(), steps[n]
        scores = [x[np.arange(t), n, p].sum() for p in _paths(t, x.shape[2]) if _collapsed(p, blank) == target]
        found.append(-np.log(np.sum(np.exp(scores))) if scores else (0 * x.sum() if zero_infinity else np.inf))
    losses = np.array(found).astype(x.dtype)
    if reduction == "mean":
        return (losses / np.maximum(labels, 1)).mean(dtype=x.dtype)
    return losses.sum() if reduction == "sum" else losses


def _sample(draw: Any) -> Any:
    batch, classes = draw.integer(1, 2), draw.integer(2, 3)
    blank = draw.integer(0, classes - 1)
    steps = tuple(draw.integer(2, 4) for _ in range(batch))
    labels = tuple(draw.integer(0, n // 2) for n in steps)  # so that there is an alignment, even where a label comes twice
    wide = max(labels) + draw.integer(0, 1)
    targets = np.arange(classes)[draw.integers((batch, wide), 0, classes - 2)]
    targets = np.where(targets >= blank, targets + 1, targets)
    targets = np.where(np.arange(wide) < np.array(labels)[:, None], targets, draw.choice([-1, 99]))
    if draw.boolean():
        targets = np.concatenate([row[:n] for row, n in zip(targets, labels, strict=True)])
    x = draw.array((max(steps), batch, classes), -3, 0)
    return (x, targets.astype(INT64), steps, labels, blank, draw.choice(["none", "mean", "sum"]), draw.boolean()), {}


_x, _t = np.zeros((3, 1, 2)), np.ones((1, 2), np.int64)
ctc_loss = composite("ctc_loss", _function, method=False, reference=_reference, sample=_sample, errors=[
    ((_x, _t, (4,), (2,)), RuntimeError, "input_lengths to have value at most 3"), ((_x, _t, (3,), (3,)), RuntimeError, "target_lengths to have value at most 2"),
    ((_x, _t, (3, 3), (2,)), RuntimeError, "must be of size batch_size"), ((_x, _t, (3,), (2,), 2), RuntimeError, "label range"),
    ((_x, _t + 1, (3,), (2,)), IndexError, "out of range"), ((_x, np.ones((1, 2)), (3,), (2,)), RuntimeError, "must be integers")])  # fmt: skip
