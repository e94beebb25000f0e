"""Losses between predictions and targets."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numgrad
from numgrad import ops
from numgrad.nn.functional._common import reduce_loss, reduction_name
from numgrad.tensor import Tensor


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
                  ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits ``input`` (C), (N, C) or (N, C, d1, ...) and ``target``.

    The target holds class indices (input's shape without C) or probabilities (input's shape)."""
    reduction = reduction_name(reduction, size_average, reduce)
    return ops.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)


def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
             ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """-weight[target] * input[target]: the negative log likelihood of class indices under log-probabilities."""
    reduction = reduction_name(reduction, size_average, reduce)
    return ops.nll_loss(input, target, weight, ignore_index, reduction)


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    for name, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"argument '{name}' of a loss must be Tensor, not {type(value).__name__}")
    if target._data.shape != input._data.shape:
        warnings.warn(f"Using a target size ({target.shape}) that is different to the input size ({input.shape}): they "
                      "are broadcast, which is seldom meant. Please ensure they have the same size.", stacklevel=3)


def _weighted(loss: Tensor, weight: Tensor, input: Tensor, reduction: str, divide_by_weight: bool) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError(f"Weights and input must have the same size, got {weight.shape} and {input.shape}.")
    loss = loss * weight
    if reduction == "mean" and divide_by_weight:
        return loss.sum() / weight.sum()
    return reduce_loss(loss, reduction)


def mse_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
             reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """(input - target)^2; a weighted mean where ``weight`` is given."""
    _warn_sizes(input, target)
    reduction = reduction_name(reduction, size_average, reduce)
    if weight is None:
        return ops.mse_loss(input, target, reduction)
    return _weighted(ops.mse_loss(input, target, "none"), weight, input, reduction, divide_by_weight=True)


def l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
            reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """|input - target|; a weighted mean where ``weight`` is given."""
    _warn_sizes(input, target)
    reduction = reduction_name(reduction, size_average, reduce)
    if weight is None:
        return ops.l1_loss(input, target, reduction)
    return _weighted(ops.l1_loss(input, target, "none"), weight, input, reduction, divide_by_weight=True)


def smooth_l1_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                   reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| < beta, d - beta / 2 elsewhere (Girshick 2015)."""
    _warn_sizes(input, target)
    reduction = reduction_name(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}.")
    return ops.smooth_l1_loss(input, target, reduction, beta) if beta else ops.l1_loss(input, target, reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """d^2 / 2 where d = |input - target| < delta, delta * (d - delta / 2) elsewhere (Huber 1964)."""
    _warn_sizes(input, target)
    reduction = reduction_name(reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    if weight is None:
        return ops.huber_loss(input, target, reduction, delta)
    return _weighted(ops.huber_loss(input, target, "none", delta), weight, input, reduction, divide_by_weight=False)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
                         reduce: bool | None = None, reduction: str = "mean") -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities; the logs are limited to -100, so that no loss is infinite."""
    reduction = reduction_name(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"binary_cross_entropy: the target size ({target.shape}) must be the input size "
                         f"({input.shape})")
    return ops.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None,
                                     size_average: bool | None = None, reduce: bool | None = None,
                                     reduction: str = "mean", pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross entropy of sigmoid(input), computed without overflow; ``pos_weight`` weighs the positive targets."""
    reduction = reduction_name(reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    return ops.binary_cross_entropy_with_logits(input, target, weight, reduction, pos_weight)


def kl_div(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
           reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t * (log t - input): the Kullback-Leibler divergence of log-probabilities ``input`` from ``target``."""
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn("reduction: 'mean' divides the loss by the number of elements; 'batchmean' divides it by the "
                      "batch size, which is what the KL divergence means.", stacklevel=2)
    reduction = reduction_name(reduction, size_average, reduce, ("none", "mean", "sum", "batchmean"))
    loss = target.exp() * (target - input) if log_target else ops.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.dim() else loss.sum()
    return reduce_loss(loss, reduction)


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False,
                     size_average: bool | None = None, eps: float = 1e-8, reduce: bool | None = None,
                     reduction: str = "mean") -> Tensor:
    """exp(x) - t x, or x - t log(x + eps) without ``log_input``; ``full`` adds Stirling's approximation of log t!."""
    reduction = reduction_name(reduction, size_average, reduce)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduce_loss(loss, reduction)


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """(log var + (input - target)^2 / var) / 2, var at least ``eps`` (Nix & Weigend 1994); ``full`` adds the constant.

    ``var`` has input's shape, or input's without the last dimension, or 1 in one dimension."""
    reduction = reduction_name(reduction)
    if not isinstance(var, Tensor):
        var = numgrad.full_like(input, var, requires_grad=False)
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or [n for m, n in zip(input.shape, var.shape) if m != n] != [1]:
            raise ValueError(f"var is of incorrect size: got {tuple(var.shape)} for an input of {tuple(input.shape)}")
    with numgrad.no_grad():
        shortfall = var.clamp(min=eps) - var
    var = var + shortfall  # limited from below, but the gradient passes as if it were not
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduce_loss(loss, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
                     reduction: str = "mean") -> Tensor:
    """log(1 + exp(-t x)), t being 1 or -1."""
    reduction = reduction_name(reduction, size_average, reduce)
    return reduce_loss((-target * input).exp().log1p(), reduction)


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """Connectionist temporal classification: -log of a target's probability, over all its alignments.

    log_probs (T, N, C) or (T, C); targets (N, S), or one after another in one dimension. "mean" divides each loss by its
    target's length first. With ``zero_infinity`` a target too long for its input costs nothing, instead of infinity."""
    return ops.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction_name(reduction), zero_infinity)
