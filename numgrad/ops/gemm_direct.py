"""Products that are one launch, of which all is known but the operands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..jit import empty, maker, observers
from .elementwise import copied
from .gemm import NOTHING, plan_for, product
from .gemm_plan import Plan


class Direct:
    """A product that is one launch, with all but its operands known; `turned`: of the second operand's transpose."""

    __slots__ = ("dtype", "entry", "make", "nothing", "numbers", "scratch", "shape", "swapped", "turned")

    def __init__(self, plan: Plan, shape: tuple[int, ...], dtype: np.dtype, turned: bool):
        self.entry, self.numbers, self.swapped, self.shape, self.dtype, self.turned = plan.entry, plan.numbers, plan.swapped, shape, dtype, turned
        self.scratch = plan.scratch
        self.make, self.nothing = maker(shape, dtype), NOTHING[dtype]

    def __call__(self, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        if self.turned:
            b = b.T
        if observers:
            return product(a, b, bias)
        y, nothing = self.make(self.shape, self.dtype), self.nothing
        if self.swapped:
            a, b = b, a
        scratch = empty(self.scratch, self.dtype) if self.scratch else nothing
        self.entry(y, a, b, nothing if bias is None else bias, scratch, self.numbers)
        return y


class Copying:
    """A product of copies of operands that a kernel cannot read where they lie."""

    __slots__ = ("copies", "inner", "turned")

    def __init__(self, inner: Any, copies: tuple[bool, ...], turned: bool):
        self.inner, self.copies, self.turned = inner, copies, turned

    def __call__(self, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        if self.turned:
            b = b.T
        return self.inner(copied(a) if self.copies[0] else a, copied(b) if self.copies[1] else b, bias)


def direct(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, turned: bool = False) -> Direct | Copying | None:
    """What computes the product of such arrays, if it is one launch and the second operand a matrix."""
    if turned:
        b = b.T
    shape = (*a.shape[:-1], b.shape[-1])
    if b.ndim != 2 or not math.prod(shape):
        return None
    plan = plan_for(np.empty(shape, a.dtype), a, b, bias)
    if plan.copies and a.ndim == 2:
        a, b = (np.empty(x.shape, x.dtype) if c else x for x, c in zip((a, b), plan.copies, strict=False))
        inner = None if bias is not None and plan.copies[2] else direct(a, b, bias)
        return inner and Copying(inner, plan.copies, turned)
    return None if plan.entry is None or plan.sums else Direct(plan, shape, a.dtype, turned)
