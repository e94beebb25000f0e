"""Losses of one prediction and one target each: formulas, then their mean or sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import scalar_name
from ..tensor import Tensor
from .chances import check_between
from .class_loss import check_reduction
from .elementwise import pointwise
from .record import composite

_hidden: Any = {"public": False, "method": False}


def _reduced(loss: Any, reduction: str) -> Tensor:
    """The losses, their mean or their sum."""
    check_reduction(reduction)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _reference(loss: Any) -> Any:
    """A reference that reduces what `loss` gives of the same arguments."""

    def reference(input: Any, target: Any, reduction: str = "mean", *rest: Any, **kwargs: Any) -> Any:
        found = loss(input, target, *rest, **kwargs)
        return found if reduction == "none" else found.sum() if reduction == "sum" else found.mean()

    return reference


def _pair(draw: Any) -> Any:
    """An input and a target 0.1 to 2.6 above or below it, and not just 1 or 1.4: the samples' kinks, where gradients jump or bend."""
    shape = draw.shape(min_side=1)
    distance = draw.array(shape, 0.1, 1.3, (0.5, 0.7, 1.0)) * np.where(draw.booleans(shape), 1, -1)
    x = draw.array(shape)
    return x, x + np.where(draw.booleans(shape), distance, 2 * distance).astype(x.dtype)


def _sample(*options: tuple[Any, ...]) -> Any:
    def sample(draw: Any) -> Any:
        return (*_pair(draw), draw.choice(["mean", "none", "sum", "none"]), *(draw.choice(options) if options else ())), {}

    return sample


_errors: Any = [((np.ones(2), np.ones(2), "max"), ValueError, "reduction"), ((np.ones(2), np.ones(3)), RuntimeError, "size of tensor")]

# --- distances ------------------------------------------------------------------------------------------------------

_squared = pointwise("squared_error", "(x - z) * (x - z)", grad=("2 * g * (x - z)", "2 * g * (z - x)"), kind="arithmetic", **_hidden,
                     sample=lambda draw: (_pair(draw), {}), reference=lambda x, z: (x - z) ** 2)  # fmt: skip
_absolute = pointwise("absolute_error", "abs(x - z)", grad=("g * sign(x - z)", "g * sign(z - x)"), kind="number", **_hidden,
                      sample=lambda draw: (_pair(draw), {}), reference=lambda x, z: np.abs(x - z))  # fmt: skip
_smooth = pointwise("smooth_absolute_error", "where(abs(x - z) < beta, 0.5 * (x - z) * (x - z) / beta, abs(x - z) - 0.5 * beta)",
                    grad=("g * where(abs(x - z) >= beta, sign(x - z), (x - z) / beta)", "g * where(abs(x - z) >= beta, sign(z - x), (z - x) / beta)"),
                    variables=("x", "z", "beta"), constants=("beta",), sample=None, **_hidden)  # fmt: skip
_huber = pointwise("huber_error", "where(abs(x - z) < delta, 0.5 * (x - z) * (x - z), delta * (abs(x - z) - 0.5 * delta))",
                   grad=("g * where(abs(x - z) >= delta, delta * sign(x - z), x - z)", "g * where(abs(x - z) >= delta, delta * sign(z - x), z - x)"),
                   variables=("x", "z", "delta"), constants=("delta",), sample=None, **_hidden)  # fmt: skip


def _mse_function(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input - target)^2."""
    return _reduced(_squared(input, target), reduction)


def _l1_function(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    return _reduced(_absolute(input, target), reduction)


def _smooth_l1_function(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| < beta, d - beta / 2 elsewhere (Girshick, 2015)."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}.")
    return _reduced(_smooth(input, target, beta) if beta else _absolute(input, target), reduction)


def _huber_function(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where d = |input - target| < delta, delta (d - delta / 2) elsewhere (Huber, 1964)."""
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    return _reduced(_huber(input, target, delta), reduction)


def _huber_reference(x: Any, z: Any, delta: float = 1.0) -> Any:
    d = np.abs(x * 1.0 - z)
    return np.where(d < delta, d * d / 2, delta * (d - delta / 2))


def _smooth_l1_reference(x: Any, z: Any, beta: float = 1.0) -> Any:
    return _huber_reference(x, z, beta) / beta if beta else np.abs(x - z)


mse_loss = composite("mse_loss", _mse_function, reference=_reference(lambda x, z: (x - z) ** 2), sample=_sample(), errors=_errors, **_hidden)
l1_loss = composite("l1_loss", _l1_function, reference=_reference(lambda x, z: np.abs(x - z)), sample=_sample(), errors=_errors, **_hidden)
smooth_l1_loss = composite("smooth_l1_loss", _smooth_l1_function, reference=_reference(_smooth_l1_reference), sample=_sample((), (1.4,), (0,)),
                           errors=[*_errors, ((np.ones(2), np.ones(2), "mean", -1), RuntimeError, "negative")], **_hidden)  # fmt: skip
huber_loss = composite("huber_loss", _huber_function, reference=_reference(_huber_reference), sample=_sample((), (1.4,)),
                       errors=[*_errors, ((np.ones(2), np.ones(2), "mean", 0), RuntimeError, "non-positive")], **_hidden)  # fmt: skip

# --- binary cross entropy -------------------------------------------------------------------------------------------


_bce = pointwise("binary_cross_entropy_formula", "(z - 1) * maximum(log1p(-x), -100) - z * maximum(log(x), -100)",
                 grad=("g * (x - z) / maximum(x * (1 - x), 0.000000000001)", "g * (maximum(log1p(-x), -100) - maximum(log(x), -100))"),
                 **_hidden, low=0.1, high=0.9, reference=lambda x, z: -z * np.log(x) - (1 - z) * np.log(1 - x))  # fmt: skip
# Nothing cancels where the loss is small.
_logits = pointwise("logits_formula", "where(x < 0, -z * x, (1 - z) * x) + softplus(-abs(x))", grad=("g * (sigmoid(x) - z)", "-g * x"), **_hidden,
                    reference=lambda x, z: np.where(x < 0, -z * x, (1 - z) * x) + np.log1p(np.exp(-np.abs(x))))  # fmt: skip
_weighted_logits = pointwise("weighted_logits_formula", "where(x < 0, -pos_weight * z * x, (1 - z) * x) + (1 + (pos_weight - 1) * z) * softplus(-abs(x))", **_hidden,
                             grad=("g * (1 - z - (1 + (pos_weight - 1) * z) * sigmoid(-x))", None, "g * z * softplus(-x)"),
                             variables=("x", "z", "pos_weight"),
                             reference=lambda x, z, p: np.where(x < 0, -p * z * x, (1 - z) * x) + (1 + (p - 1) * z) * np.log1p(np.exp(-np.abs(x))))  # fmt: skip


def _bce_function(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities; logarithms are limited to -100, so that no loss is infinite."""
    x, t = input._data, target._data
    if x.dtype.kind != "f":
        raise NotImplementedError(f"binary_cross_entropy is not implemented for '{scalar_name(x.dtype)}'")
    if x.dtype != t.dtype:
        raise RuntimeError(f"Found dtype {scalar_name(t.dtype)} of the target but expected {scalar_name(x.dtype)}")
    if x.shape != t.shape:
        raise ValueError(f"Using a target size ({list(t.shape)}) that is different to the input size ({list(x.shape)}) is not allowed")
    check_between(x, 0.0, 1.0, "all elements of input should be between 0 and 1")
    check_between(t, 0.0, 1.0, "all elements of target should be between 0 and 1")
    loss = _bce(input, target)
    return _reduced(loss if weight is None else loss * weight, reduction)


def _logits_function(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None
) -> Tensor:
    """Binary cross entropy of sigmoid(input), computed without overflow; `pos_weight` weighs positive targets."""
    if input._data.shape != target._data.shape:
        raise ValueError(f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)})")
    if input._data.dtype.kind != "f" or target._data.dtype.kind != "f":
        found = scalar_name(input._data.dtype), scalar_name(target._data.dtype)
        raise RuntimeError(f"binary_cross_entropy_with_logits: input and target must be of floating point, but got {found[0]} and {found[1]}")
    loss = _logits(input, target) if pos_weight is None else _weighted_logits(input, target, pos_weight)
    return _reduced(loss if weight is None else loss * weight, reduction)


def _binary_reference(loss: Any) -> Any:
    def reference(x: Any, z: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = 1.0) -> Any:
        found = loss(x, z, pos_weight) if weight is None else loss(x, z, pos_weight) * weight
        return found if reduction == "none" else found.sum() if reduction == "sum" else found.mean()

    return reference


def _binary_sample(low: float, high: float, *, with_pos_weight: bool) -> Any:
    def sample(draw: Any) -> Any:
        shape = draw.shape(min_side=1)
        weight = draw.array(draw.broadcastable(shape), 0.2, 2) if draw.boolean() else None
        rest = {"pos_weight": draw.array(shape[-1:], 0.2, 2)} if with_pos_weight and draw.boolean() else {}
        return (draw.array(shape, low, high), draw.array(shape, 0.1, 0.9), weight, draw.choice(["mean", "sum", "none"])), rest

    return sample


binary_cross_entropy = composite(
    "binary_cross_entropy", _bce_function, **_hidden, sample=_binary_sample(0.1, 0.9, with_pos_weight=False),
    reference=_binary_reference(lambda x, z, p: -z * np.log(x) - (1 - z) * np.log(1 - x)),
    errors=[((np.full(2, 1.5), np.ones(2)), RuntimeError, "between 0 and 1"), ((np.ones(2), np.full(2, -0.5)), RuntimeError, "target"),
            ((np.ones(2), np.ones(3)), ValueError, "target size"), ((np.ones(2), np.ones(2, int)), RuntimeError, "Long")],
)  # fmt: skip
binary_cross_entropy_with_logits = composite(
    "binary_cross_entropy_with_logits", _logits_function, **_hidden, sample=_binary_sample(-3, 3, with_pos_weight=True),
    reference=_binary_reference(lambda x, z, p: (1 - z) * x + (1 + (p - 1) * z) * np.log1p(np.exp(-x))),
    errors=[((np.ones(2), np.ones(3)), ValueError, "Target size"), ((np.ones(2), np.ones(2), None, "max"), ValueError, "reduction")],
)  # fmt: skip
