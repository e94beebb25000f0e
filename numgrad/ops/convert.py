"""Copies and conversions: clone, contiguous, to another dtype, and writing one tensor over another."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOAT32, FLOAT64, INT64, check_device, device, float32, float64, int64, is_half, to_numpy
from ..jit import empty, maker, observers
from ..tensor import Tensor
from .elementwise import broadcast_shape, copied, copy_into, copy_plan
from .operands import NOT_A_TENSOR
from .planned import planned
from .record import REGISTRY, composite, op


def _array(draw: Any, **kwargs: Any) -> Any:
    return draw.array(draw.shape(**kwargs))


def _copied_forward(input: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """A copy, contiguous, perhaps in another dtype; gradients pass through."""
    return copied(input, dtype)


def _prepare_copy(input: np.ndarray, dtype: np.dtype | None = None) -> Any:
    wanted = dtype or input.dtype
    plan = None if is_half(input.dtype) or is_half(wanted) else copy_plan(np.empty(input.shape, wanted), input)
    if plan is None or plan.entry is None:
        return None
    entry, make, shape, geometry = plan.entry, maker(input.shape, wanted), input.shape, plan.geometry

    def run(x: np.ndarray) -> np.ndarray:
        if observers:
            return copied(x, wanted)
        y = make(shape, wanted)
        entry(y, x, *geometry)
        return y

    return run


_clone = planned("clone_copy", lambda input: _copied_forward(input), prepare=_prepare_copy, vjp=(lambda g: g,))
clone = composite("clone", lambda input, *, memory_format=None: _clone(input), doc="A copy, contiguous; gradients pass through it.", reference=np.copy, sample=lambda draw: ((_array(draw),), {}), errors=NOT_A_TENSOR)


def _contiguous_function(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements lie in order in memory, else a copy where they do."""
    return input if input._data.flags.c_contiguous else _clone(input)


contiguous = composite("contiguous", _contiguous_function, reference=np.ascontiguousarray, public=False,
                       sample=lambda draw: ((_array(draw, min_dims=1),), {}), errors=NOT_A_TENSOR)  # fmt: skip

to_dtype = planned("to_dtype", lambda input, dtype: _copied_forward(input, dtype), prepare=_prepare_copy, vjp=(lambda g: g,),
              reference=lambda x, dtype: x.astype(dtype), sample=lambda draw: ((_array(draw), draw.choice([FLOAT64, FLOAT32, INT64])), {}))  # fmt: skip


def _to_function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor as another dtype; `device` may only be the CPU. Itself if nothing changes and `copy` is not set."""
    kwargs.pop("non_blocking", None), kwargs.pop("memory_format", None)
    wanted, copy = kwargs.pop("dtype", None), kwargs.pop("copy", False)
    check_device(kwargs.pop("device", None))
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    switches = [a for a in args if isinstance(a, bool)]  # non_blocking, copy
    copy = copy or (len(switches) > 1 and switches[1])
    for a in (*args, *(() if other is None else (other,))):
        if isinstance(a, Tensor):
            wanted = a.dtype
        elif isinstance(a, (str, device)):
            check_device(a)
        elif a is not None and not isinstance(a, bool):
            wanted = a
    target = input._data.dtype if wanted is None else to_numpy(wanted)
    if target == input._data.dtype:
        return _clone(input) if copy else input
    return to_dtype(input, target)


to = composite("to", _to_function, public=False, reference=lambda x, d: x.astype(d.numpy),
               sample=lambda draw: ((_array(draw), draw.choice([float64, float32, int64])), {}), errors=[((np.ones(2), "nowhere"), RuntimeError, "device"), ((np.ones(2), 1.5), TypeError, "dtype"), *NOT_A_TENSOR])  # fmt: skip


def _copy_into_arrays(out: np.ndarray, source: Any, non_blocking: bool = False) -> None:
    if isinstance(source, np.ndarray) and broadcast_shape([out.shape, source.shape]) != out.shape:
        raise RuntimeError(f"The expanded size of the tensor {list(out.shape)} must match the existing size {list(source.shape)}")
    copy_into(out, source)


def _copy_forward(input: np.ndarray, source: Any, non_blocking: bool = False) -> np.ndarray:
    result = empty(input.shape, input.dtype)
    _copy_into_arrays(result, source)
    return result


def _copy_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.array(draw.broadcastable(shape))), {}


copy = op("copy", _copy_forward, into=_copy_into_arrays, inplace=True, public=False, method=False,
          vjp=(lambda g: REGISTRY["zeros_like"](g), lambda g: g), sample=_copy_sample,
          reference=lambda x, source: np.broadcast_to(source, x.shape).astype(x.dtype))  # fmt: skip
