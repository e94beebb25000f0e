"""Distances and similarities between vectors, and norms."""

from __future__ import annotations

import numgrad
from numgrad.tensor import Tensor


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return _norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along ``dim``."""
    x1, x2 = numgrad.broadcast_tensors(x1, x2)
    first = x1 / _norm(x1, 2.0, dim, True).clamp(min=eps)
    second = x2 / _norm(x2, 2.0, dim, True).clamp(min=eps)
    return (first * second).sum(dim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """input / max(|input|_p, eps), the norm along ``dim``."""
    result = input / _norm(input, p, dim, True).clamp(min=eps)
    return result if out is None else out.copy_(result)


def _norm(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    return numgrad.linalg.vector_norm(x, p, dim, keepdim)
