"""Dropout: in training a random part of the input becomes zero, and the rest larger."""

from __future__ import annotations

import warnings

from numgrad import ops
from numgrad.nn.functional._common import apply
from numgrad.tensor import Tensor


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training each element becomes 0 with probability ``p``, the others are divided by 1 - p."""
    _check_probability(p)
    return apply(ops.dropout, inplace, input, p, training) if training else input


def _channels(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Dropout of whole channels."""
    if not training:
        return input
    if batched:
        return apply(ops.feature_dropout, inplace, input, p, True)
    result = ops.feature_dropout(input.unsqueeze(0), p, True).squeeze(0)
    return input.copy_(result) if inplace else result


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    _check_probability(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input: it drops whole "
                           "channels of inputs with one spatial dimension")
    return _channels(input, p, training, inplace, batched=input.dim() == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, H, W); a 3-d input is taken for (N, C, L)."""
    _check_probability(p)
    if input.dim() not in (3, 4):
        warnings.warn(f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated: it drops whole "
                      "channels of inputs with 2 spatial dimensions. Use dropout for this one.", stacklevel=2)
    if input.dim() == 3:
        warnings.warn("dropout2d: Received a 3D input to dropout2d, which is taken for (N, C, L). Use dropout1d for "
                      "that, and unsqueeze(0) for a single image.", stacklevel=2)
    return _channels(input, p, training, inplace, batched=True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check_probability(p)
    if input.dim() not in (4, 5):
        warnings.warn(f"dropout3d: Received a {input.dim()}-D input to dropout3d, which is deprecated: it drops whole "
                      "channels of inputs with 3 spatial dimensions. Use dropout for this one.", stacklevel=2)
    return _channels(input, p, training, inplace, batched=input.dim() == 5)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance of SELU's outputs (Klambauer et al. 2017)."""
    _check_probability(p)
    return apply(ops.alpha_dropout, inplace, input, p, training)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels."""
    _check_probability(p)
    return apply(ops.feature_alpha_dropout, inplace, input, p, training)
