"""Covariance and correlation of variables, the rows of a matrix, over observations, its columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .convert import to_dtype
from .record import composite


def _weights(name: str, given: Tensor, count: int, integers: bool) -> None:
    """Errors of weights that do not fit the observations."""
    if given.dim() > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {name} with {given.dim()} dimensions")
    if given.is_floating_point() == integers or given.dtype is dtypes.bool:
        kind = "integral" if integers else "floating point"
        raise RuntimeError(f"cov(): expected {name} to have {kind} dtype but got {name} with {dtypes.scalar_name(given._data.dtype)} dtype")
    if given.numel() != count:
        raise RuntimeError(f"cov(): expected {name} to have the same numel as there are observations in the input but got {given.numel()} != {count}")
    if count and bool((given < 0).any()):  # type: ignore[operator, attr-defined]
        raise RuntimeError(f"cov(): {name} cannot be negative")


def _cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariances of the rows. `correction` is taken from the number of observations; `fweights` says how often each was made,
    `aweights` how much it weighs. A vector is one variable, whose variance has no dimensions."""
    if input.dim() > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions")
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for inputs")
    x: Any = input if input.is_floating_point() else to_dtype(input, dtypes.default())
    x = x if x.dim() == 2 else x.reshape(1, -1)
    count = x.shape[1]
    for name, given, integers in (("fweights", fweights, True), ("aweights", aweights, False)):
        if given is not None:
            _weights(name, given, count, integers)
    w: Any = fweights if aweights is None else aweights if fweights is None else fweights * aweights  # type: ignore[operator]
    w = None if w is None else w.reshape(-1).to(x.dtype)
    total: Any = count if w is None else w.sum()
    mean = x.mean(1, keepdim=True) if w is None else (x * w).sum(1, keepdim=True) / total
    freedom = total - correction
    if aweights is not None and correction:
        freedom = total - correction * (w * aweights.reshape(-1)).sum() / total  # type: ignore[attr-defined]
    if float(freedom) <= 0:
        warnings.warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.", stacklevel=4)
        freedom = freedom * 0
    apart = x - mean
    found = (apart if w is None else apart * w) @ apart.mT / freedom
    return found if input.dim() == 2 and len(found) != 1 else found.squeeze()


def _corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows, between -1 and 1; of one variable 1, without dimensions."""
    if input.dim() > 2:
        raise RuntimeError(f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.dim()} dimensions")
    found: Any = _cov(input)
    if found.dim() == 0:
        return found / found
    deviation = found.diagonal().sqrt()
    return (found / deviation.unsqueeze(1) / deviation.unsqueeze(0)).clip(-1, 1)


def _cov_sample(draw: Any) -> Any:
    shape = (draw.integer(1, 3), draw.integer(3, 5))
    counts = draw.integers((shape[1],), 1, 3) if draw.boolean() else None
    weights = draw.array((shape[1],), 0.5, 2) if draw.boolean() else None
    x = draw.array(shape) if draw.boolean() else draw.array((shape[1],))
    return (x,), {"correction": draw.integer(0, 1), "fweights": counts, "aweights": weights}


def _cov_reference(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


cov = composite("cov", _cov, reference=_cov_reference, sample=_cov_sample, tolerance=4,  # squares of what is left of a difference
                errors=[((np.ones((1, 1, 1)),), RuntimeError, "two or fewer dimensions"), ((np.ones(2, bool),), RuntimeError, "bool dtype")])  # fmt: skip
corrcoef = composite("corrcoef", _corrcoef, reference=np.corrcoef, tolerance=16,  # and a quotient of these
                     sample=lambda draw: ((draw.array((3, 4), distinct=True) if draw.boolean() else draw.array((4,), distinct=True),), {}),
                     errors=[((np.ones((1, 1, 1)),), RuntimeError, "two or fewer dimensions")])  # fmt: skip
