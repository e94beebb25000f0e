"""Chi2."""

from __future__ import annotations

from typing import Any

from . import constraints
from .gamma import Gamma
from .utils import broadcast_all

__all__ = ["Chi2"]


class Chi2(Gamma):
    """Sums of `df` squares of standard normal numbers."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None):
        (df,) = broadcast_all(df)
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    df = property(lambda self: self.concentration * 2, doc="Degrees of freedom.")

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        return {name: getattr(self, name).expand(*batch_shape) for name in ("concentration", "rate")}
