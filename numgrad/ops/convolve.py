"""Convolution of arrays in one, two or three dimensions: forward, and the gradients of input and weight."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..jit import empty
from . import conv_axes, conv_depthwise, conv_plan, conv_weight, correlate
from .blame import AFFORDABLE
from .elementwise import copied
from .gemm import memory


def output_size(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """The number of places a kernel takes in one dimension."""
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def _three(values: tuple[Any, ...], missing: Any) -> tuple[Any, ...]:
    return (missing,) * (3 - len(values)) + values


def _axes(size: Any, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Any, ...]:
    """(size, out, kernel, stride, padding, dilation) of depth, height and width."""
    return tuple(zip(*(_three(v, 1) for v in (size, out, kernel, stride)), _three(padding, (0, 0)), _three(dilation, 1), strict=True))


def _flat(x: np.ndarray) -> np.ndarray:
    return memory(x if x.flags.c_contiguous else copied(x))


@functools.lru_cache(maxsize=1024)
def _correlation(x: tuple[int, ...], w: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int, dtype: np.dtype, gradient: bool) -> tuple[Any, Any]:
    """The shape of the output, and the plan of the convolution, or that of the gradient of its input."""
    out = tuple(map(output_size, x[2:], w[2:], stride, padding, dilation))
    if max(math.prod(out), math.prod(x)) > AFFORDABLE:
        raise MemoryError(f"convolution: a result of {list(out)}, or an input of {list(x)}, does not fit into memory")
    make_axis = conv_axes.gradient_axis if gradient else conv_axes.forward_axis
    axes = conv_axes.merged([make_axis(*axis) for axis in _axes(x[2:], out, w[2:], stride, padding, dilation)])
    channels, features, positions = w[1], w[0] // groups, math.prod(w[2:])
    shape = out if gradient else (x[0], w[0], *out)
    read, written = (features, channels) if gradient else (channels, features)
    if conv_depthwise.suits(axes, groups, read, written, dtype):
        return shape, conv_depthwise.make(axes, x[0], groups, written, dtype)
    whole, of_feature = features * channels * positions, channels * positions
    steps = (positions, of_feature) if gradient else (of_feature, positions)
    return shape, conv_plan.make(axes, x[0], groups, read, written, whole, *steps, dtype)


def _run(y: np.ndarray, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, plan: Any) -> None:
    module = conv_depthwise if isinstance(plan, conv_depthwise.Plan) else correlate
    module.correlate(y.reshape(-1), _flat(x), _flat(w), np.empty(0, y.dtype) if bias is None else _flat(bias), plan)


def forward(x, w, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The convolution of x (N, C, *size) with w (O, C / groups, *kernel), plus bias (O); padding is (before, after) in each dimension."""
    shape, plan = _correlation(x.shape, w.shape, stride, padding, dilation, groups, x.dtype, False)
    y = empty(shape, x.dtype)
    if y.size:
        _run(y, x, w, bias, plan)
    return y


def input_gradient(y, w, bias, shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The gradient of an input of a shape, given the gradient y of the output; or the transposed convolution of y, plus its bias."""
    _, plan = _correlation(shape, w.shape, stride, padding, dilation, groups, y.dtype, True)
    x = empty(shape, y.dtype)
    if x.size:
        _run(x, y, w, bias, plan)
    return x


def weight_gradient(y, x, shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """The gradient of a weight of a shape, given the gradient y of the output."""
    axes = _axes(x.shape[2:], y.shape[2:], shape[2:], stride, padding, dilation)
    w = empty(shape, x.dtype)
    if w.size and shape[1] == 1:
        _, plan = _correlation(x.shape, shape, stride, padding, dilation, groups, x.dtype, False)
        if isinstance(plan, conv_depthwise.Plan):
            conv_depthwise.weight_gradient(w.reshape(-1), _flat(y), _flat(x), plan)
            return w
    if w.size:
        conv_weight.weight_gradient(w.reshape(-1), _flat(y), _flat(x), axes, x.shape[0], groups, shape[1], shape[0] // groups)
    return w
