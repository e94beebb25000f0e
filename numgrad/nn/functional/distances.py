"""Distances and similarities between vectors, and norms."""

from __future__ import annotations

import numgrad
from numgrad.tensor import Tensor


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along ``dim``."""
    x1, x2 = numgrad.broadcast_tensors(x1, x2)
    first = x1 / x1.norm(2.0, dim, True).clamp(min=eps)
    second = x2 / x2.norm(2.0, dim, True).clamp(min=eps)
    return (first * second).sum(dim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """input / max(|input|_p, eps), the norm along ``dim``."""
    result = input / input.norm(p, dim, True).clamp(min=eps)
    return result if out is None else out.copy_(result)
