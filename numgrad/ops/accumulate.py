"""In-place products: `x.addmm_(a, b)` adds to what x holds while it multiplies, where nothing has to be recorded."""

from __future__ import annotations

from typing import Any

from ..autograd import mode
from ..dtypes import is_half
from ..tensor import Tensor
from . import gemm
from .inplace import InPlace, check_writeable
from .record import REGISTRY
from .tape import requires_grad


class Accumulating(InPlace):
    """The in-place form of an op that adds products of matrices of `dims` dimensions: in one launch where the factors are 1."""

    def __init__(self, name: str, dims: int):
        self.name, self.dims = name, dims
        self.__name__, self.__doc__ = name + "_", f"In-place `{name}`."

    def __call__(self, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        operands = (target, *args)
        if len(args) == 2 and not kwargs.keys() - {"beta", "alpha"} and all(v == 1 for v in kwargs.values()) and self._fits(operands):
            check_writeable(target)
            gemm.product(args[0]._data, args[1]._data, out=target._data)
            target.bump()
            return target
        self.op = REGISTRY[self.name]
        return super().__call__(target, *args, **kwargs)

    def _fits(self, operands: tuple[Any, ...]) -> bool:
        if not all(isinstance(x, Tensor) and x._data.ndim == self.dims for x in operands):
            return False
        if is_half(operands[0]._data.dtype):
            return False
        return not (mode.enabled and requires_grad(operands)) and gemm.accumulates(*[x._data for x in operands])


ADDMM, BADDBMM = Accumulating("addmm", 2), Accumulating("baddbmm", 3)
