"""Ops on float16 and bfloat16: computed in float32, results rounded once. No op knows of it.

Whoever calls an op with tensors of two-byte floats comes through `computed`: operands are widened, which loses nothing, the op
runs on float32, and those of its results that PyTorch gives in the two-byte dtype are rounded to it. Widening and rounding are
recorded, so gradients go the same way back: computed in float32, rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import FLOAT32, FLOAT64, is_half
from ..tensor import Tensor
from .tape import REGISTRY

#: Ops that move memory as it is, most of them to views, or give their argument back.
AS_STORED = frozenset((
    "to_dtype", "to", "contiguous", "clone_copy", "clone", "positive", "view", "reshape", "flatten", "ravel", "unflatten", "permute",
    "transpose", "swapaxes", "swapdims", "t", "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "broadcast_to", "expand_as", "view_as",
    "reshape_as", "broadcast_tensors", "narrow", "select", "diagonal", "unfold", "as_strided", "getitem", "atleast_1d", "atleast_2d",
    "atleast_3d", "unbind", "split", "split_with_sizes", "chunk", "tensor_split", "hsplit", "vsplit", "dsplit", "adjoint", "meshgrid",
    "view_scatter", "empty_like", "zeros_like", "ones_like", "unbind_parts", "split_parts",
))  # fmt: skip
#: Norms take parameters and statistics of float32 beside a two-byte input; the result is of the input's dtype.
_MIXED = frozenset(("layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm"))
#: Sums in float64 of whatever is no float32.
_DOUBLE = frozenset(("bincount",))
_DTYPES = (dtypes.dtype, np.dtype)


def concerned(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether two-byte floats are among arguments, as tensors or as a dtype that is asked for."""
    for a in args:
        if isinstance(a, Tensor):
            if is_half(a._data.dtype):
                return True
        elif type(a) is tuple or type(a) is list:
            if concerned(a, {}):
                return True
        elif isinstance(a, _DTYPES) and _asks(a):
            return True
    return bool(kwargs) and concerned(tuple(kwargs.values()), {})


def _asks(wanted: Any) -> bool:
    return wanted in (dtypes.float16, dtypes.bfloat16) if isinstance(wanted, dtypes.dtype) else is_half(wanted)


class _Call:
    """A call of an op: what its operands are computed in, and what becomes of results."""

    def __init__(self, name: str, args: Any, kwargs: dict[str, Any]):
        given = (args, tuple(kwargs.values()))
        kinds = tuple((t._data.dtype, t._data.ndim) for t in _leaves(given, Tensor))
        floats = {d for d, n in kinds if d.kind in dtypes.FLOATING and n}
        self.name, self.wanted = name, _wanted(name, kinds, next(_leaves(given, (*_DTYPES, type)), None))
        #: The half that float64 stands for where another dtype is beside it, so that an op which wants one dtype refuses.
        self.beside = next(filter(is_half, floats), None) if len(floats) > 1 and FLOAT64 not in floats and name not in _MIXED else None
        self.wide = FLOAT64 if name in _DOUBLE or self.beside else FLOAT32
        self.stored: list[tuple[Tensor, Tensor]] = []  # what an operand became, and the operand

    def widened(self, value: Any) -> Any:
        """An argument with float32 for two-byte floats."""
        if isinstance(value, Tensor):
            if not is_half(value._data.dtype):
                return value
            found = REGISTRY["to_dtype"](value, self.wide)
            self.stored.append((found, value))
            return found
        if isinstance(value, (tuple, list)):
            return _same(value, [self.widened(v) for v in value])
        return FLOAT32 if isinstance(value, _DTYPES) and _asks(value) else value

    def rounded(self, result: Any) -> Any:
        """A result in the dtype that is wanted; an operand that came back as it was."""
        if isinstance(result, (tuple, list)):
            return _same(result, [self.rounded(r) for r in result])
        if not isinstance(result, Tensor):
            return result
        for wide, value in self.stored:
            if result is wide:
                return value
        found = result._data.dtype
        if found == self.wanted or found not in (FLOAT32, self.wide):
            return result
        made = REGISTRY["to_dtype"](result, self.wanted)
        if made._node is not None:
            made._node.title = self.name
        return made


def computed(name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """`function` of the arguments with two-byte floats widened; its float32 results in the dtype PyTorch gives."""
    call = _Call(name, args, kwargs)
    try:
        result = function(*[call.widened(a) for a in args], **{k: call.widened(v) for k, v in kwargs.items()})
    except RuntimeError as error:
        if call.beside is None:
            raise
        known = dtypes.scalar_name(call.beside)
        raise RuntimeError(str(error).replace("Double", known).replace("double", known)) from None
    return call.rounded(result)


def _wanted(name: str, kinds: tuple[tuple[np.dtype, int], ...], asked: Any) -> np.dtype:
    """The dtype of results that are float32 where operands are."""
    if asked is not None:
        return dtypes.to_numpy(asked)
    if name in _MIXED:
        return kinds[0][0]
    if name in _DOUBLE:
        return FLOAT64
    return dtypes.promote(kinds)


def _same(like: Any, values: list[Any]) -> Any:
    return type(like)(*values) if hasattr(like, "_fields") else type(like)(values)


def _leaves(tree: Any, kind: Any) -> Iterator[Any]:
    for value in tree:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _leaves(value, kind)
