"""Losses that ask for a margin: between pairs, triplets, classes."""

from __future__ import annotations

from collections.abc import Callable

import numgrad
from numgrad import ops
from numgrad.nn.functional._common import reduce_loss, reduction_name
from numgrad.nn.functional.distances import pairwise_distance
from numgrad.tensor import Tensor


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_name(reduction, size_average, reduce)
    apart = (margin - input).clamp(min=0).masked_fill(target == 1, 0)
    together = input.masked_fill(target == -1, 0)
    return reduce_loss(apart + together, reduction)


def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                        size_average: bool | None = None, reduce: bool | None = None,
                        reduction: str = "mean") -> Tensor:
    """max(0, -target * (input1 - input2) + margin): target 1 wants input1 to rank higher, -1 input2."""
    reduction = reduction_name(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError("margin_ranking_loss: all input tensors should have the same number of dimensions but got "
                           f"sizes: input1: {input1.shape}, input2: {input2.shape}, target: {target.shape}")
    return reduce_loss((-target * (input1 - input2) + margin).clamp(min=0), reduction)


def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0,
                          size_average: bool | None = None, reduce: bool | None = None,
                          reduction: str = "mean") -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; inputs (N, D) with (N,), or (D,) with ()."""
    reduction = reduction_name(reduction, size_average, reduce)
    if target.dim() not in (0, 1):
        raise RuntimeError(f"0D or 1D target tensor expected, got {target.dim()} dimensions")
    if not input1.dim() == input2.dim() == target.dim() + 1:
        raise RuntimeError(f"a {target.dim()}D target expects {target.dim() + 1}D input tensors, but found inputs with "
                           f"sizes {tuple(input1.shape)} and {tuple(input2.shape)}")
    epsilon = 1e-12  # added to the squares, so that the cosine of a zero vector is 0 with a finite gradient
    product = (input1 * input2).sum(-1)
    squares = ((input1 * input1).sum(-1) + epsilon) * ((input2 * input2).sum(-1) + epsilon)
    cosine = product / squares.sqrt()
    zeros = numgrad.zeros_like(cosine, requires_grad=False)
    together = numgrad.where(target == 1, 1 - cosine, zeros)
    apart = numgrad.where(target == -1, (cosine - margin).clamp(min=0), zeros)
    return reduce_loss(together + apart, reduction)


def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, size_average: bool | None = None,
                        reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin), d the p-norm distance; ``swap`` takes d(p, n) where it is smaller.

    See Balntas et al. 2016."""
    reduction = reduction_name(reduction, size_average, reduce)

    def distance(first: Tensor, second: Tensor) -> Tensor:
        return pairwise_distance(first, second, p, eps)

    return triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=distance, margin=margin,
                                             swap=swap, reduction=reduction)


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
                                      margin: float = 1.0, swap: bool = False, reduction: str = "mean") -> Tensor:
    """The triplet margin loss with a distance of your own (default: :func:`pairwise_distance`)."""
    reduction = reduction_name(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError("The anchor, positive, and negative tensors are expected to have the same number of "
                           f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and negative "
                           f"{negative.dim()}D inputs")
    distance_function = distance_function or pairwise_distance
    near = distance_function(anchor, positive)
    far = distance_function(anchor, negative)
    if swap:
        far = numgrad.minimum(far, distance_function(positive, negative))
    return reduce_loss((margin + near - far).clamp(min=0), reduction)


def _check_classes(name: str, input: Tensor, target: Tensor, target_dims: int) -> None:
    if input.dim() not in (1, 2) or input.shape[-1] == 0:
        raise RuntimeError(f"{name}: Expected non-empty vector or matrix input, got {tuple(input.shape)}")
    expected = tuple(input.shape) if target_dims == input.dim() else tuple(input.shape[:-1])
    if tuple(target.shape) != expected:
        raise RuntimeError(f"{name}: inconsistent target size: expected {expected}, got {tuple(target.shape)}")


def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
                      size_average: bool | None = None, reduce: bool | None = None,
                      reduction: str = "mean") -> Tensor:
    """sum over the wrong classes of max(0, margin - x[target] + x[i])^p / C; input (N, C) or (C), target (N) or ()."""
    reduction = reduction_name(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
    if weight is not None and weight.dim() != 1:
        raise ValueError(f"weight must be one-dimensional, got {weight.dim()} dimensions")
    shape = target.shape
    if input.dim() == 1:
        target = target.reshape(())
    _check_classes("multi_margin_loss", input, target, input.dim() - 1)
    index = target.unsqueeze(-1)
    loss = (margin - input.gather(-1, index) + input).clamp(min=0)
    loss = loss if p == 1 else loss * loss
    if weight is not None:
        loss = loss * weight[target].unsqueeze(-1)
    own = numgrad.arange(input.shape[-1]) == index
    return reduce_loss((loss.masked_fill(own, 0).sum(-1) / input.shape[-1]).reshape(shape), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None,
                           reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """sum over labels j and other classes i of max(0, 1 - (x[j] - x[i])) / C; input and target (N, C) or (C).

    The target lists the labels of a row, ended by the first -1."""
    reduction = reduction_name(reduction, size_average, reduce)
    _check_classes("multilabel_margin_loss", input, target, input.dim())
    classes = input.shape[-1]
    if bool(((target < -1) | (target >= classes)).any()):
        raise RuntimeError(f"multilabel_margin_loss: labels must be in [0, {classes}) or -1")
    listed = (target == -1).to(numgrad.int64).cumsum(-1) == 0
    label = target.masked_fill(~listed, 0)
    hits = (label.unsqueeze(-1) == numgrad.arange(classes)) & listed.unsqueeze(-1)
    other = ~hits.any(-2)
    gap = (1 - input.gather(-1, label).unsqueeze(-1) + input.unsqueeze(-2)).clamp(min=0)
    counted = listed.unsqueeze(-1) & other.unsqueeze(-2)
    return reduce_loss(gap.masked_fill(~counted, 0).sum((-1, -2)) / classes, reduction)


def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                size_average: bool | None = None, reduce: bool | None = None,
                                reduction: str = "mean") -> Tensor:
    """The mean over classes of the binary cross entropy of sigmoid(input), target 0 or 1; shapes (N, C)."""
    reduction = reduction_name(reduction, size_average, reduce)
    loss = -(target * ops.logsigmoid(input) + (1 - target) * ops.logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduce_loss(loss.sum(-1) / input.shape[-1], reduction)
