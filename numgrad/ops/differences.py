"""`gradient`: derivatives of a function that is known at points, by differences of second order."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .record import REGISTRY, composite
from .shape import dimension


def _numbers(value: Any) -> bool:
    return isinstance(value, (int, float))


def _spacings(input: Tensor, spacing: Any, dim: Any) -> list[tuple[int, Any]]:
    """The dimensions to differentiate along, each with its step or the places of its points."""
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [dimension(d, input.dim()) for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"dim {next(d for d in dims if dims.count(d) > 1)} appears multiple times in the list of dims")
    steps = [1.0 if spacing is None else spacing] * len(dims) if spacing is None or _numbers(spacing) else list(spacing)
    if len(steps) != len(dims):
        raise RuntimeError(f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length {len(dims)}, but got a list of length {len(steps)}")
    return list(zip(dims, steps, strict=True))


def _along(f: Any, step: Any, order: int) -> Any:
    """The derivative along the last dimension."""
    n = f.shape[-1]
    if _numbers(step):
        inner = (f[..., 2:] - f[..., :-2]) / (2 * step)
        h = None
        first = last = step
    else:
        h = step.to(f.dtype).diff()
        a, b = h[:-1], h[1:]
        inner = -b / (a * (a + b)) * f[..., :-2] + (b - a) / (a * b) * f[..., 1:-1] + a / (b * (a + b)) * f[..., 2:]
        first, last = h[0], h[-1]
    if order == 1:
        left, right = (f[..., 1:2] - f[..., :1]) / first, (f[..., n - 1 :] - f[..., n - 2 : n - 1]) / last
    elif h is None:  # the tensors are divided: they may be divided by 0
        left = (-1.5 * f[..., :1] + 2 * f[..., 1:2] - 0.5 * f[..., 2:3]) / step
        right = (1.5 * f[..., n - 1 :] - 2 * f[..., n - 2 : n - 1] + 0.5 * f[..., n - 3 : n - 2]) / step
    else:
        left = sum(w * f[..., i : i + 1] for i, w in enumerate(_edge(h[0], h[1])))
        right = sum(-w * f[..., n - 1 - i : n - i] for i, w in enumerate(_edge(h[-1], h[-2])))
    return REGISTRY["cat"]([left, inner, right], -1)


def _edge(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Factors of the three points at an end for the derivative there, with steps a and b between them."""
    return -(2 * a + b) / (a * (a + b)), (a + b) / (a * b), -a / (b * (a + b))


def _gradient_function(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivatives along each dimension (or those of `dim`) of values at points `spacing` apart, or at places given by a tensor a dimension."""
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    x: Any = input if input.is_floating_point() else input.to(dtypes.get_default_dtype())  # type: ignore[attr-defined]
    found = []
    for d, step in _spacings(input, spacing, dim):
        if x.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if isinstance(step, Tensor) and step.shape != (x.shape[d],):
            raise RuntimeError(f"torch.gradient expected each element of spacing to have one dimension of {x.shape[d]} elements, but got {list(step.shape)}")
        found.append(_along(x.transpose(d, -1), step, edge_order).transpose(d, -1))
    return tuple(found)


def _gradient_reference(x: Any, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    axes = range(x.ndim) if dim is None else (dim,)
    return tuple(np.gradient(x.astype(np.float64), *([] if spacing is None else [spacing]), axis=d, edge_order=edge_order).astype(
        x.dtype if x.dtype.kind == "f" else dtypes.default()) for d in axes)  # fmt: skip


def _gradient_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, min_side=3))
    return (x,), {"spacing": draw.choice([None, 0.5, 2]), "dim": draw.choice([None, draw.dim(x.ndim)]), "edge_order": draw.choice([1, 2])}


gradient = composite("gradient", _gradient_function, method=False, reference=_gradient_reference, sample=_gradient_sample,
                     errors=[((np.ones(1),), RuntimeError, "at least edge_order"), (("text",), TypeError, "must be Tensor")])  # fmt: skip
