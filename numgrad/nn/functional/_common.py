"""What the functions of several files share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from numgrad.ops.inplace import InPlace
from numgrad.ops.record import Op
from numgrad.tensor import Tensor


def reduction_name(reduction: str, size_average: bool | None = None, reduce: bool | None = None,
                   allowed: Sequence[str] = ("none", "mean", "sum")) -> str:
    """The reduction to use: ``reduction``, or what the two old arguments, where given, say instead."""
    if size_average is not None or reduce is not None:
        size_average = True if size_average is None else size_average
        old = "none" if reduce is False else "mean" if size_average else "sum"
        warnings.warn("size_average and reduce args will be deprecated, please use "
                      f"reduction='{old}' instead.", stacklevel=3)
        return old
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=3)
        return "mean"
    if reduction not in allowed:
        raise ValueError(f"{reduction} is not a valid value for reduction: expected one of {', '.join(allowed)}")
    return reduction


def reduce_loss(loss: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or the losses as they are."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def apply(op: Op, inplace: bool, input: Tensor, *args: Any) -> Tensor:
    """``op(input, *args)``, written over ``input`` where that is asked for."""
    return InPlace(op)(input, *args) if inplace else op(input, *args)
