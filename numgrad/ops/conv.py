"""Convolutions and transposed convolutions in one, two and three dimensions.

Three ops are each other's gradients: the convolution, the gradient of its input and the gradient of its weight. A transposed
convolution is the gradient of a convolution's input.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import scalar_name
from ..tensor import Tensor
from . import convolve
from .record import REGISTRY, composite, op
from .shape import unsqueeze


def ntuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """One number for each of n dimensions; RuntimeError where there are more or fewer."""
    if isinstance(value, int):
        return (value,) * n
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, n):
        raise RuntimeError(f"expected {name} to be a single integer value or a list of {n} values to match the convolution dimensions, but got {name}={list(values)}")
    if not all(hasattr(v, "__index__") for v in values):
        raise TypeError(f"{name} must be int or tuple of ints, but got {value!r}")
    return tuple(int(v) for v in values) * (n if len(values) == 1 else 1)


# --- the three ops --------------------------------------------------------------------------------------------------


def _bias_gradient(g: Tensor) -> Tensor:
    return REGISTRY["sum"](g, (0, *range(2, g.dim())))


def _to_input(g, weight, input_shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    return _input_gradient(g, weight, None, input_shape, stride, padding, dilation, groups)


def _to_weight(g, input, weight_shape, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    return _weight_gradient(g, input, weight_shape, stride, padding, dilation, groups)


_convolution = op(
    "convolution_core", lambda input, weight, bias, stride, padding, dilation, groups: convolve.forward(input, weight, bias, stride, padding, dilation, groups),
    vjp=(_to_input, _to_weight, _bias_gradient), public=False, method=False,
)  # fmt: skip

_input_gradient = op(
    "convolution_input_gradient",
    lambda grad, weight, bias, shape, stride, padding, dilation, groups: convolve.input_gradient(grad, weight, bias, shape, stride, padding, dilation, groups),
    vjp=(
        lambda g, weight, stride, padding, dilation, groups: _convolution(g, weight, None, stride, padding, dilation, groups),
        lambda g, grad, weight_shape, stride, padding, dilation, groups: _weight_gradient(grad, g, weight_shape, stride, padding, dilation, groups),
        _bias_gradient,
    ), public=False, method=False,
)  # fmt: skip

_weight_gradient = op(
    "convolution_weight_gradient",
    lambda grad, input, shape, stride, padding, dilation, groups: convolve.weight_gradient(grad, input, shape, stride, padding, dilation, groups),
    vjp=(
        lambda g, input, stride, padding, dilation, groups: _convolution(input, g, None, stride, padding, dilation, groups),
        lambda g, grad, input_shape, stride, padding, dilation, groups: _input_gradient(grad, g, None, input_shape, stride, padding, dilation, groups),
    ), public=False, method=False,
)  # fmt: skip


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_operands(name: str, dims: int, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    for argument, value in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(value, Tensor) and (argument != "bias" or value is not None):
            raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}")
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: {list(input.shape)}")
    if weight.dim() != dims + 2:
        raise RuntimeError(f"{name} expects a weight of {dims + 2} dimensions, but got weight of size {list(weight.shape)}")
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.dtype != input.dtype:
            names = [scalar_name(x.dtype.numpy) for x in (input, value)]
            raise RuntimeError(f"Input type ({names[0]}) and {argument} type ({names[1]}) should be the same")
    if input._data.dtype.kind == "b":
        raise NotImplementedError(f"{name} is not implemented for 'Bool'")


def _check_numbers(stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...], groups: int, weight: Tensor) -> None:
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    for name, values in (("stride", stride), ("dilation", dilation)):
        if any(v <= 0 for v in values):
            raise RuntimeError(f"non-positive {name} is not supported, got {name}={list(values)}")
    if any(p < 0 for p in padding):
        raise RuntimeError(f"negative padding is not supported, got padding={list(padding)}")
    if weight.shape[0] < groups:
        raise RuntimeError(f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {list(weight.shape)} instead")
    if weight.shape[0] % groups:
        raise RuntimeError(f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size [{list(weight.shape)}] instead")


def _check_bias(weight: Tensor, bias: Tensor | None, features: int, transposed: str = "") -> None:
    if bias is not None and tuple(bias.shape) != (features,):
        raise RuntimeError(f"Given {transposed}weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {features} elements, but got bias of size {list(bias.shape)} instead")


def _both_sides(padding: Any, dims: int, weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Padding before and after in each dimension; "same" puts the odd one after."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in ntuple(padding, dims, "padding"))
    if padding == "valid":
        return ((0, 0),) * dims
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'; expected 'valid' or 'same'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return tuple((t // 2, t - t // 2) for t in total)


# --- convolution ----------------------------------------------------------------------------------------------------


class _Shaped(NamedTuple):
    shape: tuple[int, ...]


@functools.lru_cache(maxsize=1024, typed=True)
def _numbers_of(dims: int, shape: tuple[int, ...], weight_shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int) -> tuple[Any, Any, Any]:
    """Stride, padding before and after, and dilation of each dimension; errors where they do not fit the shapes."""
    weight: Any = _Shaped(weight_shape)
    stride, dilation = ntuple(stride, dims, "stride"), ntuple(dilation, dims, "dilation")
    sides = _both_sides(padding, dims, weight, stride, dilation)
    _check_numbers(stride, tuple(p for p, _ in sides), dilation, groups, weight)
    channels = weight_shape[1] * groups
    if shape[1] != channels:
        raise RuntimeError(f"Given groups={groups}, weight of size {list(weight_shape)}, expected input{list(shape)} to have {channels} channels, but got {shape[1]} channels instead")
    kernel = [d * (k - 1) + 1 for d, k in zip(dilation, weight_shape[2:], strict=True)]
    padded = [n + sum(p) for n, p in zip(shape[2:], sides, strict=True)]
    if any(k > n for k, n in zip(kernel, padded, strict=True)) or 0 in shape[2:]:
        raise RuntimeError(f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: ({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size")
    return stride, sides, dilation


def _whole(input: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """A convolution whose kernel is as large as the image: a matrix product."""
    size = math.prod(weight.shape[1:])
    flat = REGISTRY["linear"](input.reshape(len(input), size), weight.reshape(len(weight), size), bias)
    return flat.reshape(*flat.shape, *[1] * (input.dim() - 2))


def _convolve(dims: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    _check_operands(f"conv{dims}d", dims, input, weight, bias)
    batched = input if input.dim() == dims + 2 else unsqueeze(input, 0)
    given = [tuple(v) if type(v) is list else v for v in (stride, padding, dilation)]
    stride, sides, dilation = _numbers_of(dims, batched._data.shape, weight._data.shape, *given, groups)
    _check_bias(weight, bias, weight._data.shape[0])
    if groups == 1 and weight._data.shape[2:] == batched._data.shape[2:] and not any(map(sum, sides)) and weight._data.size and weight._data.dtype.kind == "f":
        result = _whole(batched, weight, bias)
    else:
        result = _convolution(batched, weight, bias, stride, sides, dilation, groups)
    return result if batched is input else result.squeeze(0)


def _conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """Cross-correlation of (N, C, L) or (C, L) with weight (out, C / groups, k); padding is a number, "valid" or "same"."""
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def _conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """Cross-correlation of (N, C, H, W) or (C, H, W) with weight (out, C / groups, kH, kW); padding is numbers, "valid" or "same"."""
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def _conv3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """Cross-correlation of (N, C, D, H, W) or (C, D, H, W) with weight (out, C / groups, kD, kH, kW); padding as in conv2d."""
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _reference(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """One kernel position after another, on a padded copy."""
    dims = weight.ndim - 2
    stride, dilation = ntuple(stride, dims, ""), ntuple(dilation, dims, "")
    sides = _both_sides(padding, dims, weight, stride, dilation)
    x = np.pad(input if input.ndim == dims + 2 else input[None], [(0, 0), (0, 0), *sides])
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)]
    y = np.zeros((x.shape[0], weight.shape[0], *size), input.dtype)
    parts = list(zip(np.split(x, groups, 1), np.split(weight, groups), np.split(y, groups, 1), strict=True))
    for position in np.ndindex(*weight.shape[2:]):
        window = tuple(slice(p * d, p * d + (n - 1) * s + 1, s) for p, d, n, s in zip(position, dilation, size, stride, strict=True))
        for part, kernel, out in parts:
            out += np.einsum("nc...,oc->no...", part[(slice(None), slice(None), *window)], kernel[(slice(None), slice(None), *position)])
    y = y if bias is None else y + bias.reshape(-1, *[1] * dims)
    return y if input.ndim == dims + 2 else y[0]


def _geometry(draw: Any, dims: int, least: int = 1) -> tuple[Any, ...]:
    """Sizes of an input and a kernel that fits into it, stride, padding, dilation, groups."""
    kernel, stride, dilation = (tuple(draw.integer(1, 3 - (i == 2)) for _ in range(dims)) for i in range(3))
    padding = tuple(draw.integer(0, 2) for _ in range(dims))
    size = tuple(max(least, d * (k - 1) + 1 - 2 * p) + draw.integer(0, draw.side) for k, p, d in zip(kernel, padding, dilation, strict=True))
    return size, kernel, stride, padding, dilation, draw.integer(1, 2)


def _sample(dims: int) -> Any:
    def sample(draw: Any) -> Any:
        size, kernel, stride, padding, dilation, groups = _geometry(draw, dims)
        channels, features = draw.integer(1, 2), groups * draw.integer(1, 2)
        if draw.integer(0, 3) == 0:
            size = tuple(map(max, size, [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]))
            padding, stride = draw.choice([("valid", stride), ("same", 1)])
        batch = draw.choice([(), (1,), (2,)])
        bias = draw.choice([None, draw.array((features,))])
        x, w = draw.array((*batch, channels * groups, *size)), draw.array((features, channels, *kernel))
        return (x, w, bias), {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    return sample


_one = np.ones
_conv2d_errors: Any = [
    ((_one((2, 3, 8, 8)), _one((4, 2, 3, 3))), RuntimeError, r"expected input\[2, 3, 8, 8\] to have 2 channels, but got 3 channels"),
    ((_one((8, 8)), _one((4, 2, 3, 3))), RuntimeError, r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3))), RuntimeError, "weight of 4 dimensions"),
    ((_one((2, 3, 2, 2)), _one((4, 3, 3, 3))), RuntimeError, r"Kernel size: \(3 x 3\). Kernel size can't be greater than actual input size"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), _one(3)), RuntimeError, "expected bias to be 1-dimensional with 4 elements"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3), np.float32)), RuntimeError, "Input type .* and weight type .* should be the same"),
    ((_one((2, 4, 8, 8)), _one((3, 2, 3, 3)), None, 1, 0, 1, 2), RuntimeError, "divisible by 2"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), None, 0), RuntimeError, "non-positive stride"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), None, (1, 2, 3)), RuntimeError, "stride"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), None, 1, -1), RuntimeError, "negative padding"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), None, 2, "same"), RuntimeError, "strided convolutions"),
    ((_one((2, 3, 8, 8)), _one((4, 3, 3, 3)), None, 1, "full"), RuntimeError, "Invalid padding string"),
]
conv1d = composite("conv1d", _conv1d, method=False, reference=_reference, sample=_sample(1),
                   errors=[((_one((2, 3, 8, 8)), _one((4, 3, 3))), RuntimeError, "to conv1d")])  # fmt: skip
conv2d = composite("conv2d", _conv2d, method=False, reference=_reference, sample=_sample(2), errors=_conv2d_errors)
conv3d = composite("conv3d", _conv3d, method=False, reference=_reference, sample=_sample(3), errors=[
    ((_one((8, 8)), _one((1, 1, 1, 1, 1))), RuntimeError, r"Expected 4D \(unbatched\) or 5D \(batched\) input to conv3d"),
    ((_one((2, 4, 4, 4)), _one((3, 3, 1, 1, 1))), RuntimeError, "to have 3 channels, but got 2"),
    ((_one((2, 4, 4, 4)), _one((3, 2, 5, 1, 1))), RuntimeError, "Kernel size can't be greater"),
    ((_one((2, 4, 4, 4)), _one((3, 2, 1, 1, 1)), _one(4)), RuntimeError, "bias to be 1-dimensional with 3"),
    ((_one((2, 4, 4, 4)), _one((3, 2, 1, 1, 1)), None, (1, 1)), RuntimeError, "stride")])  # fmt: skip

# --- transposed convolution -----------------------------------------------------------------------------------------


def _transpose(dims: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any) -> Tensor:
    name = f"conv_transpose{dims}d"
    _check_operands(name, dims, input, weight, bias)
    numbers = [ntuple(v, dims, n) for v, n in ((stride, "stride"), (padding, "padding"), (output_padding, "output_padding"), (dilation, "dilation"))]
    stride, padding, output_padding, dilation = numbers
    _check_numbers(stride, padding, dilation, groups, weight)
    if any(p < 0 for p in output_padding):
        raise RuntimeError(f"negative output_padding is not supported, got output_padding={list(output_padding)}")
    if any(o >= s and o >= d for o, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got output_padding={list(output_padding)}, stride={list(stride)}, dilation={list(dilation)}")
    batched = input if input.dim() == dims + 2 else unsqueeze(input, 0)
    shape, features = tuple(batched.shape), weight.shape[1] * groups
    if shape[1] != weight.shape[0]:
        raise RuntimeError(f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(shape)} to have {weight.shape[0]} channels, but got {shape[1]} channels instead")
    _check_bias(weight, bias, features, "transposed=1, ")
    size = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1
            for n, s, p, d, k, o in zip(shape[2:], stride, padding, dilation, weight.shape[2:], output_padding, strict=True)]  # fmt: skip
    if any(n <= 0 for n in size) or 0 in shape[2:]:
        raise RuntimeError(f"Given input size per channel: {list(shape[2:])}. Calculated output size per channel: {size}. Output size is too small")
    # As a convolution from `size` to the input's: what output_padding adds is padding missing after the end.
    sides = tuple((p, p - o) for p, o in zip(padding, output_padding, strict=True))
    if groups == 1 and tuple(size) == tuple(weight.shape[2:]) and not any(padding) and math.prod(shape[2:]) == 1 and 0 not in weight.shape:
        # One pixel times the kernel: a matrix product.
        product = batched.reshape(shape[0], shape[1]) @ weight.reshape(shape[1], features * math.prod(size))
        result = product.reshape(shape[0], features, *size)
        result = result if bias is None else REGISTRY["plus"](result, bias.reshape(-1, *[1] * dims))
        return result if input.dim() == dims + 2 else result.squeeze(0)
    result = _input_gradient(batched, weight, bias, (shape[0], features, *size), stride, sides, dilation, groups)
    return result if input.dim() == dims + 2 else result.squeeze(0)


def _conv_transpose1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of conv1d as a linear map; input (N, C, L) or (C, L), weight (C, out / groups, k)."""
    return _transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _conv_transpose2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of conv2d as a linear map; input (N, C, H, W) or (C, H, W), weight (C, out / groups, kH, kW)."""
    return _transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _conv_transpose3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Tensor:
    """The transpose of conv3d as a linear map; input (N, C, D, H, W) or (C, D, H, W), weight (C, out / groups, kD, kH, kW)."""
    return _transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transpose_reference(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """Every input pixel adds its multiple of the kernel to the output."""
    dims = weight.ndim - 2
    stride, padding, more, dilation = (ntuple(v, dims, "") for v in (stride, padding, output_padding, dilation))
    x = input if input.ndim == dims + 2 else input[None]
    full = [(n - 1) * s + d * (k - 1) + 1 + o for n, s, d, k, o in zip(x.shape[2:], stride, dilation, weight.shape[2:], more, strict=True)]
    y = np.zeros((x.shape[0], weight.shape[1] * groups, *full), input.dtype)
    for part, kernel, out in zip(np.split(x, groups, 1), np.split(weight, groups), np.split(y, groups, 1), strict=True):
        for pixel in np.ndindex(*x.shape[2:]):
            window = tuple(slice(p * s, p * s + d * (k - 1) + 1, d) for p, s, d, k in zip(pixel, stride, dilation, weight.shape[2:], strict=True))
            out[(slice(None), slice(None), *window)] += np.einsum("nc,co...->no...", part[(slice(None), slice(None), *pixel)], kernel)
    y = y[(slice(None), slice(None), *(slice(p, n - p) for p, n in zip(padding, full, strict=True)))]
    y = y if bias is None else y + bias.reshape(-1, *[1] * dims)
    return y if input.ndim == dims + 2 else y[0]


def _transpose_sample(dims: int) -> Any:
    def sample(draw: Any) -> Any:
        size, kernel, stride, padding, dilation, groups = _geometry(draw, dims)
        padding = tuple(min(p, (d * (k - 1) + (n - 1) * s) // 2) for p, d, k, n, s in zip(padding, dilation, kernel, size, stride, strict=True))
        more = tuple(draw.integer(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
        channels, features = groups * draw.integer(1, 2), draw.integer(1, 2)
        batch = draw.choice([(), (1,), (2,)])
        bias = draw.choice([None, draw.array((features * groups,))])
        x, w = draw.array((*batch, channels, *size)), draw.array((channels, features, *kernel))
        return (x, w, bias), {"stride": stride, "padding": padding, "output_padding": more, "groups": groups, "dilation": dilation}

    return sample


def _transposed_errors(dims: int) -> Any:
    x, kernel = _one((2, 3, *(8,) * dims)), (3,) * dims
    return [((x, _one((4, 4, *kernel))), RuntimeError, "Given transposed=1, .* to have 4 channels, but got 3"),
            ((x, _one((3, 4, *kernel)), _one(3)), RuntimeError, "expected bias to be 1-dimensional with 4"),
            ((x, _one((3, 4, *kernel)), None, 2, 0, 2), RuntimeError, "output padding must be smaller"),
            ((_one(8), _one((3, 4, *kernel))), RuntimeError, f"input to conv_transpose{dims}d")]  # fmt: skip


for _dims, _function in ((1, _conv_transpose1d), (2, _conv_transpose2d), (3, _conv_transpose3d)):
    composite(f"conv_transpose{_dims}d", _function, method=False, reference=_transpose_reference, sample=_transpose_sample(_dims),
              errors=_transposed_errors(_dims))  # fmt: skip
