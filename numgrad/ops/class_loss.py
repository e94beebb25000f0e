"""Losses of classes: cross entropy and negative log likelihood, for targets that are class indices or probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..tensor import Tensor
from .class_kernels import class_dim, cross_entropy_of_classes, nll
from .convert import to_dtype
from .planned import front
from .record import composite
from .shape import reshape
from .softmax import log_softmax


def _check(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """What must hold of the arguments where targets are class indices."""
    x, t = input._data, target._data
    if x.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if x.ndim > 1 and (t.ndim == 0 or x.shape[0] != t.shape[0]):
        found = t.shape[0] if t.ndim else "none, for it has no dimension"
        raise ValueError(f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({found}).")
    if x.ndim < 3 and t.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported; the target has shape "
                           f"{list(t.shape)}, the input {list(x.shape)}")  # fmt: skip
    if x.ndim == 1 and t.size != 1:
        raise ValueError(f"For 1D input, 1D target must have 1 element, but got target size: {t.size}")
    if x.ndim > 2 and t.shape != (x.shape[0], *x.shape[2:]):
        raise RuntimeError(f"Expected target size {[x.shape[0], *x.shape[2:]]}, got {list(t.shape)}")
    if t.dtype not in (INT64, np.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {scalar_name(t.dtype)}")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"losses of classes are not implemented for '{scalar_name(x.dtype)}'")
    _check_weight(weight, x.shape[class_dim(x.shape)])
    if weight is not None and weight._data.dtype != x.dtype:
        raise RuntimeError(f"expected scalar type {scalar_name(x.dtype)} but found {scalar_name(weight._data.dtype)} for weight")


def _check_weight(weight: Tensor | None, classes: int) -> None:
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(f"weight tensor should be defined either for all {classes} classes or no classes "
                           f"but got weight tensor of shape: {list(weight.shape)}")  # fmt: skip


def check_reduction(reduction: str) -> None:
    """ValueError for what is none of "none", "mean", "sum"."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")


def _nll_function(input: Tensor, target: Tensor, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """-weight[target] * input[target] for log-probabilities (C), (N, C) or (N, C, d1, ...); "mean" divides by the weights."""
    check_reduction(reduction)
    _check(input, target, weight)
    if weight is not None and weight.requires_grad:
        return _composed(input, target, weight, ignore_index, reduction)
    return nll(input, target, weight, ignore_index, reduction)[0]


def _cross_entropy_arguments(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """Cross entropy of logits (C), (N, C) or (N, C, d1, ...) and class indices, or probabilities in the input's shape."""
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input._data.shape == target._data.shape:
        return _of_probabilities(input, target, weight, ignore_index, reduction, label_smoothing)
    _check(input, target, weight)
    if weight is not None and (label_smoothing > 0 or weight.requires_grad):
        logs = log_softmax(input, class_dim(input._data.shape))
        return _composed(logs, target, weight, ignore_index, reduction, label_smoothing)
    arguments = input, target, weight, ignore_index, reduction, float(label_smoothing)
    return arguments if weight is None else cross_entropy_of_classes(*arguments)[0]  # for that depends on what needs a gradient


def _per_class(weight: Tensor, ndim: int) -> Tensor:
    """Weights of classes, to be multiplied with an input of `ndim` dimensions."""
    return reshape(weight, (-1, *(1,) * (ndim - 2)))


def _composed(logs: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float = 0.0) -> Tensor:
    """What the kernels do not: weights that need a gradient, or smoothed targets of weighted classes.

    The uniform part of a smoothed target weighs each class; the mean is still over the weights of the targets."""
    dim = class_dim(logs._data.shape)
    ignored = target == ignore_index
    weights = weight[to_dtype(target, INT64).masked_fill(ignored, 0)].masked_fill(ignored, 0)
    loss = nll(logs, target, None, ignore_index, "none")[0] * weights
    if smoothing > 0:
        uniform = -(logs * _per_class(weight, logs.dim())).sum(dim) * (smoothing / logs._data.shape[dim])
        loss = (1 - smoothing) * loss + reshape(uniform, target.shape).masked_fill(ignored, 0)
    if reduction == "mean":
        return loss.sum() / weights.sum()
    return loss.sum() if reduction == "sum" else loss


def _of_probabilities(input: Tensor, target: Tensor, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    if target._data.dtype.kind != "f":
        found = scalar_name(target._data.dtype)
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {found}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    shape = input._data.shape
    dim = class_dim(shape)
    classes = shape[dim] if shape else 1
    _check_weight(weight, classes)
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes  # type: ignore[operator]
    terms: Any = log_softmax(input, dim) * target
    terms = terms if weight is None else terms * _per_class(weight, len(shape))
    if reduction == "mean":
        return -terms.sum() / float(math.prod(shape) // max(classes, 1))
    return -terms.sum() if reduction == "sum" else -terms.sum(dim)


# --- references and samples -----------------------------------------------------------------------------------------


def _nll_reference(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    dim = class_dim(input.shape)
    weight = np.ones(input.shape[dim], input.dtype) if weight is None else weight
    counts = target != ignore_index
    w = np.where(counts, weight[np.where(counts, target, 0)], 0).astype(input.dtype)
    index = np.where(counts, target, 0).reshape(*input.shape[:dim], 1, *input.shape[dim + 1 :])
    loss = np.where(counts, -np.take_along_axis(input, index, dim).reshape(target.shape) * w, 0)
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.sum() / w.sum()


def _cross_entropy_reference(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
) -> Any:
    dim, shape = class_dim(input.shape), input.shape
    logs = input - np.logaddexp.reduce(input, dim, keepdims=True)
    per_class = np.ones(shape[dim]) if weight is None else weight
    per_class = per_class.reshape([-1 if d == dim else 1 for d in range(input.ndim)])
    if target.shape == shape:
        soft = target * (1 - label_smoothing) + label_smoothing / shape[dim]
        loss, mass = -(logs * soft * per_class).sum(dim), input.size / shape[dim]
    else:
        loss = (1 - label_smoothing) * _nll_reference(logs, target, weight, ignore_index, "none")
        uniform = -(logs * per_class).sum(dim).reshape(target.shape) * label_smoothing / shape[dim]
        loss = loss + np.where(target == ignore_index, 0, uniform)
        mass = -_nll_reference(np.ones_like(logs), target, weight, ignore_index, "sum")
    loss = loss.astype(input.dtype)
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.sum() / np.asarray(mass, input.dtype)


def _sample(draw: Any) -> Any:
    """Logits, indices (some ignored, the first never: the mean of nothing is NaN), weights and the rest."""
    shape = draw.choice([(3,), (3, 4), (2, 1), (2, 3, 2), (2, 3, 2, 2)])
    dim = class_dim(shape)
    target = draw.integers((*shape[:dim], *shape[dim + 1 :]), 0, shape[dim] - 1)
    ignored = draw.choice([-100, 1])
    first = target.reshape(-1)[:1]
    first[first == ignored] = 0
    weight = draw.array((shape[dim],), 0.2, 2) if draw.boolean() else None
    return (draw.array(shape), target, weight, ignored, draw.choice(["mean", "sum", "none"])), {}


def _cross_entropy_sample(draw: Any) -> Any:
    (x, target, weight, ignored, reduction), _ = _sample(draw)
    if draw.integer(0, 3) == 0:
        target, ignored = draw.array(x.shape, 0, 1), -100
    return (x, target, weight, ignored, reduction), {"label_smoothing": draw.choice([0.0, 0.25])}


_x, _t = np.zeros((2, 3)), np.array([0, 1])
_errors: Any = [((_x, np.array([0, 12])), IndexError, "Target 12 is out of bounds."), ((_x, np.array([0])), ValueError, "batch_size"),
                ((_x, _t.astype(np.int32)), RuntimeError, "Long or Byte"), ((_x, _t, np.ones(2)), RuntimeError, "all 3 classes"),
                ((_x, np.zeros((2, 2), int)), RuntimeError, "multi-target"), ((_x, _t, None, 0, "max"), ValueError, "reduction"),
                ((np.zeros((2, 3, 4)), np.zeros((2, 3), int)), RuntimeError, "Expected target size")]  # fmt: skip
nll_loss = composite("nll_loss", _nll_function, reference=_nll_reference, sample=_sample, errors=_errors, public=False, method=False)
# tolerance: that of log_softmax
cross_entropy = front("cross_entropy", cross_entropy_of_classes, _cross_entropy_arguments, public=False, method=False, reference=_cross_entropy_reference, tolerance=400 / 16,
                          sample=_cross_entropy_sample,
                          errors=[*_errors, ((_x, _x.astype(int)), RuntimeError, "floating point type"),
                                  ((_x, _t, None, 0, "mean", 1.5), RuntimeError, "label_smoothing"),
                                  ((_x, _x, None, 1), RuntimeError, "ignore_index")])  # fmt: skip
