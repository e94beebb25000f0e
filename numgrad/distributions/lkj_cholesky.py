"""LKJCholesky."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.tensor import Tensor

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of dim x dim correlation matrices C with density det(C)^(concentration - 1): all alike at 1, near the identity above.

    Lewandowski, Kurowicka and Joe 2009, "Generating random correlation matrices based on vines and extended onion method".
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def _rows(self) -> tuple[Tensor, Tensor]:
        """For rows 1, 2, ...: how many elements are before the diagonal, k, and the exponent b of (1 - |row|^2)^(b - 1)."""
        k = numgrad.arange(1, self.dim).to(self.concentration.dtype)
        return k, self.concentration.unsqueeze(-1) + (self.dim - 1 - k) / 2

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Row by row: a direction, and the square of a length, which is a Beta number."""
        with numgrad.no_grad():
            k, b = self._rows()
            square = Beta(k / 2, b, validate_args=False).sample(sample_shape).unsqueeze(-1)
            below = numgrad.randn(*self._extended_shape(sample_shape), dtype=square.dtype).tril(-1)[..., 1:, :]
            rows = square.sqrt() * below / linalg.vector_norm(below, dim=-1, keepdim=True)
            rows = numgrad.cat([numgrad.zeros_like(rows[..., :1, :]), rows], -2)
            left = (1 - (rows**2).sum(-1)).clamp(min=numgrad.finfo(rows.dtype).tiny)
            return rows + left.sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        """The integral over a row, a ball, is pi^(k / 2) Gamma(b) / Gamma(b + k / 2)."""
        if self._validate_args:
            self._validate_sample(value)
        k, b = self._rows()
        normaliser = (k / 2 * math.log(math.pi) + numgrad.lgamma(b) - numgrad.lgamma(b + k / 2)).sum(-1)
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        return (2 * (b - 1) * diagonal.log()).sum(-1) - normaliser
