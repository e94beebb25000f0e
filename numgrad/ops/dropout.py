"""Ops that draw: dropout in its forms, multinomial, and the rarer distributions filled in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..jit import empty, kernel, launch, prange
from ..tensor import Tensor, wrap
from . import philox
from .chances import check_chosen, check_weights
from .elementwise import pointwise
from .random import _drawn_as, _overwrite, default_generator, uniform_array
from .record import composite

# --- dropout --------------------------------------------------------------------------------------------------------

_keep = pointwise("dropout_mask", "where(x < p, 0, scale)", variables=("x", "p", "scale"), kind="arithmetic", vjp=None,
                  public=False, method=False, reference=lambda x, p, scale: np.where(x < p, 0, scale),
                  sample=lambda draw: ((draw.array((4,), 0, 1, avoid=(0.25,)), 0.25, 2.0), {}))  # fmt: skip


def _check_p(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _mask(input: Tensor, shape: tuple[int, ...], p: float) -> Tensor:
    """0 with probability p, else 1 / (1 - p)."""
    scale = 1 / (1 - p) if p < 1 else 0.0
    if _drawn_as(input) == np.float32:
        made = empty(shape, np.float32)
        default_generator.draw(philox.mask, made, _limit(p), scale)
        return wrap(made)
    mask = _keep(wrap(uniform_array(shape, _drawn_as(input))), float(p), scale)
    return mask.to(input.dtype) if input.is_floating_point() else mask  # type: ignore[attr-defined]


def _limit(p: float) -> int:
    """The word from which on the uniform number that `philox.uniform` makes of it is at least p, in float32."""
    return math.ceil(float(np.float32(p)) * 2**24) * 2**8


def _dropout(input: Tensor, p: float = 0.5, train: bool = True) -> Tensor:
    """Elements zeroed with probability p, the others scaled by 1 / (1 - p) (Srivastava et al., JMLR 15, 2014)."""
    _check_p(p)
    if not train or p == 0 or input.numel() == 0:
        return input
    return input * _mask(input, tuple(input.shape), p)


def _feature_dropout(input: Tensor, p: float = 0.5, train: bool = True) -> Tensor:
    """Whole channels (dimension 1) zeroed with probability p, the others scaled by 1 / (1 - p)."""
    _check_p(p)
    if not train or p == 0 or input.numel() == 0:
        return input
    if input.dim() < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return input * _mask(input, (*input.shape[:2], *(1,) * (input.dim() - 2)), p)


# What dropped elements become, so that mean and variance stay (Klambauer et al., "Self-normalizing neural networks", 2017).
_ALPHA = 1.7580993408473766


def _alpha_dropout(input: Tensor, p: float = 0.5, train: bool = False) -> Tensor:
    """Elements set to SELU's negative saturation with probability p, then shifted and scaled to keep mean and variance."""
    return _saturate(input, tuple(input.shape), p, train)


def _feature_alpha_dropout(input: Tensor, p: float = 0.5, train: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    return _saturate(input, (*input.shape[:2], *(1,) * (input.dim() - 2)), p, train)


def _saturate(input: Tensor, shape: tuple[int, ...], p: float, train: bool) -> Tensor:
    _check_p(p)
    if not train or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return input * 0
    scale = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    kept = _mask(input, shape, p) * (1 - p)
    return input * kept * scale + ((kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p)


def _sample(draw: Any) -> Any:
    return (draw.array((2, 3, 2)), 0.5, True), {}


for _name, _function in (
    ("dropout", _dropout), ("feature_dropout", _feature_dropout), ("alpha_dropout", _alpha_dropout),
    ("feature_alpha_dropout", _feature_alpha_dropout),
):  # fmt: skip
    composite(_name, _function, random=True, method=False, sample=_sample, inplace=True,
              errors=[((np.ones(2), 1.5, True), ValueError, "between 0 and 1")])  # fmt: skip

# --- choices --------------------------------------------------------------------------------------------------------


@kernel
def _choose_kernel(out: Any, weights: Any, draws: Any) -> None:
    """With replacement: the first index whose cumulated weight exceeds the draw."""
    for row in prange(out.shape[0]):
        total = 0.0
        for k in range(weights.shape[1]):
            total += weights[row, k]
        for i in range(out.shape[1]):
            aim, cumulated, found, last = draws[row, i] * total, 0.0, -1, 0
            for k in range(weights.shape[1]):
                cumulated += weights[row, k]
                last = k if weights[row, k] > 0 else last
                found = k if found < 0 and cumulated > aim and weights[row, k] > 0 else found
            out[row, i] = found if found >= 0 else last


def _multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Indices drawn with probabilities proportional to each row of `input` (1-D or 2-D); int64 of num_samples a row."""
    if input.dim() not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not input.is_floating_point():
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    weights = input.detach().reshape(-1, input.shape[-1]).double()  # type: ignore[attr-defined]
    check_weights(weights._data)
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = (weights.shape[0], num_samples)
    if replacement:
        found = empty(shape, np.int64)
        draws = uniform_array(shape, dtypes.FLOAT64, generator)
        launch(_choose_kernel, found, weights._data, draws, work=found.size * input.shape[-1])
        chosen = wrap(found)
    else:  # Efraimidis and Spirakis (2006): the largest of log(u) / w are a draw without replacement
        keys = wrap(uniform_array(tuple(weights.shape), dtypes.FLOAT64, generator))
        chosen = (keys.log() / weights).topk(num_samples, dim=1)[1]  # type: ignore[attr-defined]
        check_chosen(weights._data, chosen._data)
    return chosen[0] if input.dim() == 1 else chosen


multinomial = composite("multinomial", _multinomial, random=True, sample=lambda draw: ((draw.array((2, 4), 0.1, 1), 3), {}),
                        errors=[((np.ones(3), 4), RuntimeError, "without replacement"), ((np.array([-1.0, 2]), 1), RuntimeError, "< 0")])  # fmt: skip

# --- filled in place ------------------------------------------------------------------------------------------------


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
    """Fill in place with the exponentials of normal numbers."""
    return self.normal_(mean, std, generator=generator).exp_()  # type: ignore[attr-defined]


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fill in place with Cauchy distributed numbers."""
    draws = wrap(uniform_array(self._data.shape, _drawn_as(self), generator))
    return _overwrite(self, (((draws - 0.5) * math.pi).tan() * sigma + median)._data)  # type: ignore[attr-defined]


def geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Fill in place with the number of trials up to the first success of probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    draws = wrap(uniform_array(self._data.shape, _drawn_as(self), generator))
    return _overwrite(self, (((-draws).log1p() / math.log1p(-p)).floor() + 1)._data)  # type: ignore[attr-defined]


for _method in (log_normal_, cauchy_, geometric_):
    setattr(Tensor, _method.__name__, _method)
