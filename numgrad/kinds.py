"""Kinds: what a plan of an operation may depend on, dtype, shape and strides, as one object that is compared by identity.

A tensor remembers its kind, so that finding the plan of a call is one look-up of a few objects, not of tuples of numbers.
Whoever gives a tensor other memory (`_data`) gives it another kind, or None, with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import FLOATING, noted


class Kind:
    """The dtype, shape and strides (bytes) of an array. There is one object for each combination, until many came and went."""

    __slots__ = ("contiguous", "dtype", "floating", "ndim", "repeats", "shape", "size", "strides")

    def __init__(self, data: np.ndarray):
        self.dtype, self.shape, self.strides = data.dtype, data.shape, data.strides
        self.ndim, self.size, self.contiguous = data.ndim, data.size, data.flags.c_contiguous
        self.floating = data.dtype.kind in FLOATING
        noted(data)
        #: whether one element of memory stands for several, as in an expanded view
        self.repeats = self.size > 0 and any(s == 0 and n > 1 for s, n in zip(self.strides, self.shape, strict=True))

    def __repr__(self) -> str:
        return f"<kind {self.dtype} {self.shape} {self.strides}>"


_kinds: dict[tuple[Any, ...], Kind] = {}
#: Kinds that are kept: a tensor of a kind that was dropped finds a new plan.
_MOST = 10_000


def kind_of(data: np.ndarray) -> Kind:
    """The kind of an array."""
    key = data.dtype, data.shape, data.strides
    found = _kinds.get(key)
    if found is None:
        if len(_kinds) >= _MOST:
            _kinds.clear()
        found = _kinds[key] = Kind(data)
    return found


def learn(tensor: Any) -> Kind:
    """The kind of a tensor that does not know it yet."""
    kind = tensor._kind = kind_of(tensor._data)
    return kind
