"""New tensors: from data, filled, or in steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import check_device, is_half, noted, to_numpy
from ..jit import empty as empty_memory
from ..jit import kernel, launch, prange
from ..jit import zeros as zeroed_memory
from ..jit.memory import LARGE
from ..tensor import Tensor, wrap
from . import half
from .elementwise import copied, copy_into
from .operands import NOT_A_TENSOR
from .outputs import takes_out
from .record import composite, op
from .shape import sizes


def _finish(data: np.ndarray, requires_grad: bool) -> Tensor:
    result = wrap(data)
    if requires_grad:
        result.requires_grad = True
    return result


# --- from data ------------------------------------------------------------------------------------------------------


def _array(data: Any, exact: bool = False) -> np.ndarray:
    """What `tensor` makes of Python data: floats as the default dtype (or `exact`), ints as int64; arrays as they are."""
    if isinstance(data, (list, tuple)) and _has_tensors(data):
        data = _without_tensors(data)
    try:
        found = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"expected sequences of equal length at every level: {error}") from None
    if exact or isinstance(data, (np.ndarray, np.generic)):
        return found
    if found.dtype == np.float64 and not _holds_arrays(data):
        return found.astype(dtypes.default())
    if found.size == 0 and found.dtype.kind == "f":
        return found.astype(dtypes.default())
    return found


def _has_tensors(data: Any) -> bool:
    return any(isinstance(e, Tensor) or (isinstance(e, (list, tuple)) and _has_tensors(e)) for e in data)


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist()
    return [_without_tensors(e) for e in data] if isinstance(data, (list, tuple)) else data


def _holds_arrays(data: Any) -> bool:
    """Whether the innermost elements are NumPy's, whose dtype counts."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic)) and not isinstance(data, (list, tuple))


def checked(data: np.ndarray, what: str) -> np.ndarray:
    """An array numgrad can hold; TypeError otherwise."""
    if data.dtype not in dtypes.FROM_NUMPY or data.dtype == dtypes.BFLOAT16:
        native = data.dtype.newbyteorder("=")
        if native in dtypes.FROM_NUMPY and native.kind != "V":
            return data.astype(native)
        raise TypeError(
            f"can't convert {what} of type numpy.{data.dtype}. The only supported types are: "
            + ", ".join(str(d.numpy) for d in dtypes.ALL[:-1]) + "."
        )  # fmt: skip
    return data


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new leaf tensor with a copy of the data: a number, nested sequences, an array or a tensor."""
    check_device(device)
    if isinstance(data, Tensor):
        found = data._data
    elif isinstance(data, str) or data is None:
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    else:
        found = _array(data, exact=dtype is not None)
        if dtype is None:
            found = noted(checked(found, "np.ndarray"))
    target = found.dtype if dtype is None else to_numpy(dtype)
    if target == found.dtype:
        return _finish(np.array(found, order="C"), requires_grad)
    if is_half(target) or is_half(found.dtype):
        return _finish(copied(_ordered(found), target), requires_grad)
    return _finish(found.astype(target), requires_grad)


def _ordered(data: np.ndarray) -> np.ndarray:
    """An array as kernels take it, whatever Python made it of."""
    return data if data.dtype in dtypes.FROM_NUMPY else data.astype(dtypes.FLOAT64)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The data as a tensor, without a copy where it is a tensor or an array of the right dtype."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)  # type: ignore[attr-defined]
    if isinstance(data, np.ndarray):
        found = from_numpy(data)
        return found if dtype is None else found.to(dtype)  # type: ignore[attr-defined]
    return tensor(data, dtype=dtype)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """The data as a tensor; `copy=True` copies always, `copy=False` never."""
    found = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    if requires_grad:
        found = found.detach()
        found.requires_grad = True
    return found


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory. A read-only array gives a tensor that cannot be written in place."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently "
            "supported. (You can probably work around this by making a copy of your array with array.copy().)"
        )
    if any(s % ndarray.itemsize for s in ndarray.strides) or not ndarray.flags.aligned:
        raise ValueError("given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory.")
    if ndarray.dtype not in dtypes.FROM_NUMPY or ndarray.dtype == dtypes.BFLOAT16:
        raise TypeError(f"can't convert np.ndarray of type numpy.{ndarray.dtype}: numgrad has {', '.join(map(repr, dtypes.ALL))}; use .astype first")
    return wrap(noted(ndarray if type(ndarray) is np.ndarray else np.asarray(ndarray)))


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of any object with `__dlpack__`."""
    return from_numpy(np.from_dlpack(ext_tensor))


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A one-dimensional tensor over the memory of a buffer."""
    return _finish(np.frombuffer(buffer, to_numpy(dtype), count, offset), requires_grad)


def legacy(args: tuple[Any, ...], dtype: np.dtype | None = None) -> np.ndarray:
    """The array of `Tensor(...)`: sizes give uninitialised memory, a sequence or array a copy, always of one dtype."""
    target = dtypes.default() if dtype is None else dtype
    if len(args) == 1 and not isinstance(args[0], int):
        if isinstance(args[0], dtypes.Size):
            return empty_memory(tuple(args[0]), target)
        return tensor(args[0], dtype=target)._data
    return empty_memory(sizes(args) if args else (0,), target)


# --- filled ---------------------------------------------------------------------------------------------------------


@kernel
def _fill_kernel(out: Any, value: Any) -> None:
    for i in prange(out.size):
        out[i] = value[0]


def filled(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> np.ndarray:
    """New memory with one value everywhere."""
    if type(value) is int and value == 0 and math.prod(shape) * dtype.itemsize < LARGE:
        return zeroed_memory(shape, dtype)
    out = empty_memory(shape, dtype)
    if out.size:
        one = _one(value, dtype)
        if is_half(dtype):
            launch(_fill_kernel, half.bits(out).reshape(-1), half.bits(one))
        else:
            launch(_fill_kernel, out.reshape(-1), one)
    return out


def _one(value: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.item()
    try:
        if is_half(dtype):
            return half.number(value, dtype)
        return np.array([value]).astype(dtype) if dtype.kind != "f" else np.array([value], dtype)
    except (OverflowError, TypeError, ValueError):
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}") from None


def _checked_sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    shape = sizes(size)
    if shape and min(shape) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def _maker(name: str, value: Any) -> Any:
    def make(
        *args: Any, size: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        check_device(device, layout)
        if not args and size is None:
            raise TypeError(f"{name}() missing required argument 'size'")
        shape, target = _checked_sizes(args or (size,)), dtypes.default() if dtype is None else to_numpy(dtype)
        data = empty_memory(shape, target) if value is None else filled(shape, value, target)
        return _finish(data, requires_grad)

    make.__name__ = make.__qualname__ = name
    what = "Uninitialised memory" if value is None else f"A tensor of {name}"
    make.__doc__ = f"{what} of the given shape: sizes one by one or as a sequence; dtype defaults to the default dtype."
    return make


empty, zeros, ones = _maker("empty", None), _maker("zeros", 0), _maker("ones", 1)


def full(size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with `fill_value` everywhere; its dtype follows the value's type."""
    check_device(device, layout)
    target = _dtype_of(fill_value) if dtype is None else to_numpy(dtype)
    return _finish(filled(_checked_sizes((size,)), fill_value, target), requires_grad)


def _dtype_of(value: Any) -> np.dtype:
    if isinstance(value, Tensor):
        return value._data.dtype
    return dtypes.BOOL if isinstance(value, bool) else dtypes.INT64 if isinstance(value, int) else dtypes.default()


def _like(name: str, value: Any) -> Any:
    def make(
        input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        check_device(device, layout)
        target = input._data.dtype if dtype is None else to_numpy(dtype)
        data = empty_memory(input._data.shape, target) if value is None else filled(input._data.shape, value, target)
        return _finish(data, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of the same shape and dtype: {name.split('_')[0]}."
    return make


def _shaped(draw: Any) -> Any:
    return (draw.array(draw.shape()),), {}


_like_errors: Any = [*NOT_A_TENSOR, ((np.ones(2), np.float32), TypeError, "positional")]
empty_like = composite("empty_like", _like("empty_like", None), method=False, random=True, sample=_shaped, errors=_like_errors)
zeros_like = composite("zeros_like", _like("zeros_like", 0), method=False, reference=np.zeros_like, sample=_shaped, errors=_like_errors)
ones_like = composite("ones_like", _like("ones_like", 1), method=False, reference=np.ones_like, sample=_shaped, errors=_like_errors)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None) -> Tensor:
    """A tensor of the same shape and dtype with one value everywhere."""
    return full(tuple(input.shape), fill_value, dtype=input.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


def _fill_into(out: np.ndarray, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    copy_into(out, value)


def _fill_forward(input: np.ndarray, value: Any) -> np.ndarray:
    out = empty_memory(input.shape, input.dtype)
    _fill_into(out, value)
    return out


fill = op("fill", _fill_forward, doc="One value everywhere, in the tensor's shape and dtype.", into=_fill_into, inplace=True, public=True, method=False,
          vjp=(lambda g: zeros_like(g), lambda g: g.sum()), reference=lambda x, value: np.full_like(x, value),
          sample=lambda draw: ((draw.array(draw.shape()), draw.choice([0.5, draw.array(())])), {}),
          errors=[((np.ones(2), np.ones(2)), RuntimeError, "0-dimension"), ((np.ones(2), "text"), TypeError, "must be Tensor or number"), (("text", 1.0), TypeError, "must be Tensor")])  # fmt: skip



def _computed(dtype: np.dtype) -> np.dtype:
    """What kernels write where this dtype is wanted."""
    return dtypes.FLOAT32 if is_half(dtype) else dtype


def _as(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return data if data.dtype == dtype else copied(data, dtype)


# --- in steps -------------------------------------------------------------------------------------------------------


@kernel
def _arange_kernel(out: Any, start: Any, step: Any) -> None:
    for i in prange(out.size):
        out[i] = start[0] + i * step[0]


def arange(*args: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, start: Any = 0, end: Any = None, step: Any = 1) -> Tensor:
    """start, start + step, ... up to but not including end; integers unless an argument is a float."""
    check_device(device, layout)
    if end is None:
        start, end, step = {1: lambda: (start, args[0], step), 2: lambda: (*args, step), 3: lambda: args}[len(args)]()
    elif args:
        start = args[0]
    start, end, step = (v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    exact = all(isinstance(v, int) for v in (start, end, step))
    target = (dtypes.INT64 if exact else dtypes.default()) if dtype is None else to_numpy(dtype)
    count = -((start - end) // step) if exact else math.ceil((end - start) / step)
    data = empty_memory((count,), _computed(target))
    wide = np.int64 if exact else np.float64
    if count:
        launch(_arange_kernel, data, np.array([start], wide), np.array([step], wide))
    return _finish(_as(data, target), requires_grad)


def range_(start: Any = 0, end: Any = None, step: Any = 1, **kwargs: Any) -> Tensor:
    """start, start + step, ... up to and including end; deprecated by PyTorch in favour of `arange`."""
    data = [start + i * step for i in range(math.floor((end - start) / step) + 1)]
    return tensor(data, dtype=kwargs.pop("dtype", None) or dtypes.get_default_dtype(), **kwargs)


@kernel
def _linspace_kernel(out: Any, ends: Any, steps: int) -> None:
    half = steps // 2
    for i in prange(out.size):  # from both ends, so that both are exact
        step = (ends[1] - ends[0]) / max(steps - 1, 1)
        out[i] = ends[0] + i * step if i < half or steps == 1 else ends[1] - (steps - 1 - i) * step


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` evenly spaced values from start to end, both included."""
    check_device(device, layout)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    target = dtypes.default() if dtype is None else to_numpy(dtype)
    data = empty_memory((int(steps),), _computed(target))
    if steps:
        launch(_linspace_kernel, data, np.array([float(start), float(end)]), int(steps))
    return _finish(_as(data, target), requires_grad)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """base ** x for `steps` evenly spaced x from start to end."""
    powers = (linspace(start, end, steps, dtype=dtypes.float64, device=device) * math.log(base)).exp()  # type: ignore[attr-defined]
    return _finish(copied(powers._data, dtypes.default() if dtype is None else to_numpy(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal of an n by m matrix, zeros elsewhere."""
    check_device(device, layout)
    shape = _checked_sizes((n, n if m is None else m))
    data = filled(shape, 0, dtypes.default() if dtype is None else to_numpy(dtype))
    if min(shape):
        copy_into(np.lib.stride_tricks.as_strided(data, (min(shape),), ((shape[1] + 1) * data.itemsize,)), 1)
    return _finish(data, requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of the default dtype."""
    return tensor(s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, device=device, requires_grad=requires_grad)


FUNCTIONS = {
    "tensor": tensor, "as_tensor": as_tensor, "asarray": asarray, "from_numpy": from_numpy, "from_dlpack": from_dlpack, "frombuffer": frombuffer,
    "empty": empty, "zeros": zeros, "ones": ones, "full": full, "full_like": full_like, "arange": arange, "range": range_, "linspace": linspace,
    "logspace": logspace, "eye": eye, "scalar_tensor": scalar_tensor,
}  # fmt: skip
for _name in ("empty", "zeros", "ones", "full", "arange", "range", "linspace", "logspace", "eye"):
    FUNCTIONS[_name] = takes_out(FUNCTIONS[_name])
