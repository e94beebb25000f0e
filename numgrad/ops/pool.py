"""Pooling: the largest element, or the mean, of each window; with strides, or adaptively to a given number of windows."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..tensor import Tensor
from . import windows as planes
from .conv import ntuple
from .record import REGISTRY, composite, op
from .windows import Windows

# --- the ops --------------------------------------------------------------------------------------------------------

_max = op("window_max", lambda input, windows: planes.largest(input, windows), public=False, method=False, saved=1,
          vjp=(lambda g, y, windows: _scatter(g[0], y[1], windows.sizes, True),))  # fmt: skip
_scatter = op("plane_scatter", lambda input, index, sizes, adding: planes.scatter(input, index, sizes, adding), public=False, method=False,
              vjp=(lambda g, index, sizes: _gather(g, index, len(sizes)), None))  # fmt: skip
_gather = op("plane_gather", lambda input, index, dims: planes.gather(input, index, dims), public=False, method=False,
             vjp=(lambda g, index, input_shape, dims: _scatter(g, index, input_shape[len(input_shape) - dims :], True), None))  # fmt: skip
_mean = op("window_mean", lambda input, windows: planes.mean(input, windows), public=False, method=False,
           vjp=(lambda g, windows: _mean_gradient(g, windows),))  # fmt: skip
_mean_gradient = op("window_mean_gradient", lambda grad, windows: planes.mean_gradient(grad, windows), public=False, method=False,
                    vjp=(lambda g, windows: _mean(g, windows),))  # fmt: skip

# --- checks ---------------------------------------------------------------------------------------------------------


def _check_input(name: str, dims: int, input: Tensor, integers: bool = False) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}: Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got: {list(input.shape)}")
    if 0 in input.shape[input.dim() - dims - 1 :]:
        raise RuntimeError(f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(input.shape)}")
    kind = input._data.dtype.kind
    if kind == "b" or (kind != "f" and not integers):
        raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_name(input._data.dtype)}'")


def _windows(name: str, dims: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, *rest: Any) -> Windows:
    numbers = (tuple(v) if type(v) is list else v for v in (kernel_size, stride, padding, *rest))
    return _windows_of(name, dims, input._data.shape[-dims - 1 :], *numbers)


@functools.lru_cache(maxsize=512, typed=True)
def _windows_of(name: str, dims: int, shape: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
                count_padding: bool = True, divisor: int = 0) -> Windows:  # fmt: skip
    kernel = ntuple(kernel_size, dims, "kernel_size")
    steps = kernel if stride is None or stride == () else ntuple(stride, dims, "stride")
    pads, gaps = ntuple(padding, dims, "padding"), ntuple(dilation, dims, "dilation")
    for argument, values in (("kernel_size", kernel), ("stride", steps), ("dilation", gaps)):
        if any(v <= 0 for v in values):
            raise RuntimeError(f"{name}: {argument} should be greater than zero, but got {argument}={list(values)}")
    if any(not 0 <= 2 * p <= k for p, k in zip(pads, kernel, strict=True)):
        raise RuntimeError(f"{name}: pad should be at least 0 and at most half of kernel size, but got pad={list(pads)} and kernel_size={list(kernel)}")
    sizes = shape[1:]
    output = tuple(_output_size(*axis, ceil_mode) for axis in zip(sizes, kernel, steps, pads, gaps, strict=True))
    if any(n < 1 for n in output):
        raise RuntimeError(f"{name}: Given input size: ({'x'.join(map(str, shape))}). Calculated output size: ({'x'.join(map(str, (shape[0], *output)))}). Output size is too small")
    return planes.strided(sizes, kernel, steps, pads, gaps, output, count_padding, divisor)


def _output_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows; ceil_mode lets the last one hang over, if it starts on the input or the padding before it."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


# --- the largest ----------------------------------------------------------------------------------------------------


def _max_pool(dims: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> tuple[Tensor, Tensor]:
    name = f"max_pool{dims}d"
    _check_input(name, dims, input, integers=True)
    return _max(input, _windows(name, dims, input, kernel_size, stride, padding, dilation, ceil_mode))


def _make_max_pool(dims: int) -> tuple[Any, Any]:
    def max_pool(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
                 return_indices: bool = False) -> Any:  # fmt: skip
        values, indices = _max_pool(dims, input, kernel_size, stride, padding, dilation, ceil_mode)
        return (values, indices) if return_indices else values

    def with_indices(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
                     return_indices: bool = False) -> Any:  # fmt: skip
        return _max_pool(dims, input, kernel_size, stride, padding, dilation, ceil_mode)

    shape = "(N, C, " + "D, H, W"[3 * (3 - dims) :] + ")"
    max_pool.__doc__ = f"The largest of each window of {shape}, with or without N; `return_indices` adds its place in the plane. NaN is largest."
    with_indices.__doc__ = f"The largest of each window of {shape}, with or without N, and its place in the plane."
    return max_pool, with_indices


def _window_values(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, fill: float) -> Any:
    """Every window with all its elements in the last dimension, `fill` where there are none."""
    lead = x.ndim - len(kernel)
    output = [_output_size(*axis, ceil_mode) for axis in zip(x.shape[lead:], kernel, stride, padding, dilation, strict=True)]
    x = np.pad(x, [(0, 0)] * lead + [(p, p + s + d * k) for p, s, d, k in zip(padding, stride, dilation, kernel, strict=True)], constant_values=fill)
    parts = []
    for position in np.ndindex(*kernel):
        cut = tuple(slice(i * d, i * d + (o - 1) * s + 1, s) for i, d, o, s in zip(position, dilation, output, stride, strict=True))
        parts.append(x[(..., *cut)])
    return np.stack(parts, -1)


def _max_reference(dims: int, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> tuple[Any, Any]:
    kernel = ntuple(kernel_size, dims, "")
    numbers = (kernel, kernel if stride is None else ntuple(stride, dims, ""), ntuple(padding, dims, ""), ntuple(dilation, dims, ""), ceil_mode)
    values = _window_values(input.astype(np.float64), *numbers, -np.inf)
    places = np.broadcast_to(np.arange(math.prod(input.shape[-dims:])).reshape(input.shape[-dims:]), input.shape)
    best = values.argmax(-1)[..., None]
    return np.take_along_axis(values, best, -1)[..., 0].astype(input.dtype), np.take_along_axis(_window_values(places, *numbers, -1), best, -1)[..., 0]


def _pool_sample(dims: int, dilated: bool = True) -> Any:
    def sample(draw: Any) -> Any:
        kernel = tuple(draw.integer(1, 3) for _ in range(dims))
        dilation = tuple(draw.integer(1, 2) if dilated else 1 for _ in range(dims))
        padding = tuple(draw.integer(0, k // 2) for k in kernel)
        size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + draw.integer(0, 4) for k, d, p in zip(kernel, dilation, padding, strict=True))
        stride = draw.choice([None, draw.integer(1, 3), tuple(draw.integer(1, 3) for _ in range(dims))])
        x = draw.array((*draw.choice([(), (0,), (2,)]), draw.integer(1, 2), *size), distinct=True)
        extra = {"dilation": dilation} if dilated else {}
        return (x, draw.choice([kernel, kernel]), stride, padding), {**extra, "ceil_mode": draw.boolean()}

    return sample


_one = np.ones


def _pool_errors(dims: int) -> Any:
    x = _one((2, 3, *(8,) * dims))
    ones, none = "x1" * dims, "x0" * dims
    return [
        ((_one((8,) * dims), 2), RuntimeError, f"Expected {dims + 1}D or {dims + 2}D"), ((x[:, :0], 2), RuntimeError, "non-zero size"),
        ((x, 0), RuntimeError, "greater than zero"), ((x, (1, 2, 3, 4)), RuntimeError, "kernel_size"), ((x, 2, 0), RuntimeError, "greater than zero"),
        ((x, 2, None, 2), RuntimeError, "pad should be .* at most half"), ((x, "text"), TypeError, "kernel_size"),
        ((_one((2, 3, *(1,) * dims)), 2), RuntimeError, rf"Given input size: \(3{ones}\). Calculated output size: \(3{none}\). Output size is too small"),
        ((x.astype(bool), 2), NotImplementedError, "Bool"),
    ]  # fmt: skip


for _dims in (1, 2, 3):
    _plain, _indexed = _make_max_pool(_dims)
    composite(f"max_pool{_dims}d", _plain, method=False, sample=_pool_sample(_dims), errors=_pool_errors(_dims),
              reference=functools.partial(lambda dims, *args, **kwargs: _max_reference(dims, *args, **kwargs)[0], _dims))  # fmt: skip
    composite(f"max_pool{_dims}d_with_indices", _indexed, method=False, public=_dims == 1, sample=_pool_sample(_dims), errors=_pool_errors(_dims),
              reference=functools.partial(_max_reference, _dims))  # fmt: skip

# --- the mean -------------------------------------------------------------------------------------------------------


def _avg_pool(dims: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool, divisor: Any) -> Tensor:
    name = f"avg_pool{dims}d"
    _check_input(name, dims, input)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    return _mean(input, _windows(name, dims, input, kernel_size, stride, padding, 1, ceil_mode, bool(count_include_pad), divisor or 0))


def _avg_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L); padding counts as zeros unless `count_include_pad` is False."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def _avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
                divisor_override: int | None = None) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, H, W) or (C, H, W); `divisor_override` takes the place of the number of elements."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool3d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
                divisor_override: int | None = None) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W); `divisor_override` takes the place of the number of elements."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_reference(dims: int, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
                   count_include_pad: bool = True, divisor_override: Any = None) -> Any:  # fmt: skip
    kernel, padding = ntuple(kernel_size, dims, ""), ntuple(padding, dims, "")
    numbers = (kernel, kernel if stride is None else ntuple(stride, dims, ""))
    total = _window_values(input, *numbers, padding, (1,) * dims, ceil_mode, 0).sum(-1)
    there = np.ones(input.shape[-dims:])
    if count_include_pad:  # the padding is there, but not what ceil_mode adds behind it
        output = total.shape[-dims:]
        there = np.ones([n + 2 * p for n, p in zip(there.shape, padding, strict=True)])
        wide = _window_values(np.pad(there, [(0, s * (o + 1) + k) for s, o, k in zip(numbers[1], output, kernel, strict=True)]), *numbers, (0,) * dims, (1,) * dims, False, 0)
        count = wide.sum(-1)[tuple(slice(0, o) for o in output)]
    else:
        count = _window_values(there, *numbers, padding, (1,) * dims, ceil_mode, 0).sum(-1)
    return total / (count if divisor_override is None else divisor_override)


def _avg_sample(dims: int) -> Any:
    pool = _pool_sample(dims, dilated=False)

    def sample(draw: Any) -> Any:
        args, kwargs = pool(draw)
        kwargs["count_include_pad"] = draw.boolean()
        if dims > 1:
            kwargs["divisor_override"] = draw.choice([None, None, 3, -2])
        return args, kwargs

    return sample


for _dims, _function in ((1, _avg_pool1d), (2, _avg_pool2d), (3, _avg_pool3d)):
    composite(f"avg_pool{_dims}d", _function, method=False, public=_dims == 1, sample=_avg_sample(_dims), reference=functools.partial(_avg_reference, _dims),
              errors=[*_pool_errors(_dims), ((_one((2, 3, *(8,) * _dims), np.int64), 2), NotImplementedError, "Long"),
                      *([((_one((2, 3, 8, 8)), 2, None, 0, False, True, 0), RuntimeError, "divisor must be not zero")] if _dims == 2 else ())])  # fmt: skip

# --- adaptive -------------------------------------------------------------------------------------------------------


def _adaptive_windows(name: str, dims: int, input: Tensor, output_size: Any) -> Windows:
    _check_input(name, dims, input)
    sizes = tuple(input.shape[-dims:])
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(given) != dims:
        raise (ValueError if dims > 1 and len(given) >= input.dim() else RuntimeError)(f"{name}: output_size must be a number or {dims} of them, but got {output_size}")
    wanted = tuple(n if o is None else o for n, o in zip(sizes, given, strict=True))
    if not all(isinstance(o, (int, np.integer)) for o in wanted):
        raise TypeError(f"{name}(): argument 'output_size' (position 2) must be int or tuple of ints, but got {output_size!r}")
    if any(o < 0 for o in wanted):
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0 but received {list(wanted)}")
    return planes.adaptive(sizes, wanted)


def _adaptive_avg(dims: int, input: Tensor, output_size: Any) -> Tensor:
    found = _adaptive_windows(f"adaptive_avg_pool{dims}d", dims, input, output_size)
    if all(n == 1 for n in found.output):
        return REGISTRY["mean"](input, tuple(range(-dims, 0)), keepdim=True)
    return _mean(input, found)


def _adaptive_max(dims: int, input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    return _max(input, _adaptive_windows(f"adaptive_max_pool{dims}d", dims, input, output_size))


def _adaptive_reference(dims: int, what: Any, input: Any, output_size: Any) -> Any:
    sizes = input.shape[-dims:]
    wanted = [n if o is None else o for n, o in zip(sizes, output_size if isinstance(output_size, tuple) else (output_size,) * dims, strict=True)]
    y = np.zeros((*input.shape[:-dims], *wanted))
    for o in np.ndindex(*wanted):
        window = tuple(slice(math.floor(i * n / w), math.ceil((i + 1) * n / w)) for i, n, w in zip(o, sizes, wanted, strict=True))
        y[(..., *o)] = what(input[(..., *window)], axis=tuple(range(-dims, 0)))
    return y.astype(input.dtype)


def _adaptive_max_reference(dims: int, input: Any, output_size: Any) -> tuple[Any, Any]:
    values = _adaptive_reference(dims, np.max, input, output_size)
    flat = input.reshape(*input.shape[:-dims], 1, -1)
    places = (flat == values.reshape(*input.shape[:-dims], -1, 1)).argmax(-1) if values.size else np.zeros(values.shape)
    return values, places.reshape(values.shape).astype(INT64)


def _adaptive_sample(dims: int) -> Any:
    def sample(draw: Any) -> Any:
        x = draw.array((*draw.choice([(), (2,)]), draw.integer(1, 2), *(draw.integer(1, 6) for _ in range(dims))), distinct=True)
        return (x, draw.choice([draw.integer(0, 4), tuple(draw.choice([None, 1, 3]) for _ in range(dims)), 1])), {}

    return sample


def _make_adaptive(dims: int) -> None:
    def average(input: Tensor, output_size: Any) -> Tensor:
        return _adaptive_avg(dims, input, output_size)

    def largest(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
        return _adaptive_max(dims, input, output_size)

    average.__doc__ = "The means of `output_size` windows that cover the input, (N, C, *) or (C, *); None keeps a length."
    largest.__doc__ = "The largest of each of `output_size` windows that cover the input, and its place in the plane."
    x = _one((2, *(2,) * dims))
    errors: Any = [((x, -1), RuntimeError, "greater than or equal to 0"), ((_one(()), 1), RuntimeError, "Expected"), ((x, (2, 2, 2, 2)), RuntimeError if dims == 1 else ValueError, "output_size"),
                   ((x[:, :0], 1), RuntimeError, "non-zero size"), ((x, "text"), TypeError, "output_size")]  # fmt: skip
    record: Any = {"method": False, "public": dims == 1, "sample": _adaptive_sample(dims), "errors": errors}
    composite(f"adaptive_avg_pool{dims}d", average, reference=functools.partial(_adaptive_reference, dims, np.mean), **record)
    composite(f"adaptive_max_pool{dims}d", largest, reference=functools.partial(_adaptive_max_reference, dims), **record)


for _dims in (1, 2, 3):
    _make_adaptive(_dims)
