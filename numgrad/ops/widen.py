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
    "atleast_3d", "unbind", "split", "split_with_sizes", "chunk", "tensor_split", "meshgrid", "view_scatter",
    "empty_like", "zeros_like", "ones_like",
))  # fmt: skip
#: Norms take parameters and statistics of float32 beside a two-byte input; the result is of the input's dtype.
_MIXED = frozenset(("layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm"))
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


def computed(name: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """`function` of the arguments with two-byte floats widened; its float32 results in the dtype PyTorch gives."""
    tensors = list(_leaves((args, tuple(kwargs.values())), Tensor))
    asked = next(_leaves((args, tuple(kwargs.values())), (*_DTYPES, type)), None)
    kinds = tuple((t._data.dtype, t._data.ndim) for t in tensors)
    wanted = _wanted(name, kinds, asked)
    floats = {d for d, n in kinds if d.kind in dtypes.FLOATING and n}
    mixed = len(floats) > 1 and name not in _MIXED
    partner = FLOAT64 if mixed and FLOAT64 not in floats else FLOAT32

    def widened(value: Any) -> Any:
        if isinstance(value, Tensor):
            return REGISTRY["to_dtype"](value, partner) if is_half(value._data.dtype) else value
        if isinstance(value, (tuple, list)):
            return _same(value, [widened(v) for v in value])
        return FLOAT32 if isinstance(value, _DTYPES) and _asks(value) else value

    try:
        result = function(*[widened(a) for a in args], **{k: widened(v) for k, v in kwargs.items()})
    except RuntimeError as error:
        if not mixed or partner != FLOAT64:
            raise
        name = dtypes.scalar_name(next(filter(is_half, floats)))  # an op that wants one dtype refused: float64 stood in for this
        raise RuntimeError(str(error).replace("Double", name).replace("double", name)) from None
    return _rounded(name, result, wanted, (FLOAT32, FLOAT64) if partner == FLOAT64 else (FLOAT32,))


def _wanted(name: str, kinds: tuple[tuple[np.dtype, int], ...], asked: Any) -> np.dtype:
    """The dtype of results that are float32 where operands are."""
    if asked is not None:
        return dtypes.to_numpy(asked)
    if name in _MIXED:
        return kinds[0][0]
    return dtypes.promote(kinds)


def _rounded(name: str, result: Any, wanted: np.dtype, computed_in: tuple[np.dtype, ...]) -> Any:
    if isinstance(result, Tensor):
        found = result._data.dtype
        if found not in computed_in or found == wanted:
            return result
        rounded = REGISTRY["to_dtype"](result, wanted)
        if rounded._node is not None:
            rounded._node.title = name
        return rounded
    if isinstance(result, (tuple, list)):
        return _same(result, [_rounded(name, r, wanted, computed_in) for r in result])
    return result


def _same(like: Any, values: list[Any]) -> Any:
    return type(like)(*values) if hasattr(like, "_fields") else type(like)(values)


def _leaves(tree: Any, kind: Any) -> Iterator[Any]:
    for value in tree:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _leaves(value, kind)
