"""Images made larger, smaller or sampled anywhere."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numgrad
from numgrad import ops
from numgrad.nn.functional.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from numgrad.ops import resample
from numgrad.tensor import Tensor

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def _listed(value: Any, dims: int, what: str) -> list[Any]:
    if not isinstance(value, (tuple, list)):
        return [value] * dims
    if len(value) != dims:
        raise ValueError(f"Input and output must have the same number of spatial dimensions, but got input with {dims} spatial dimensions and {what} of {value}")
    return list(value)


def _sizes(input: Tensor, size: Any, scale_factor: Any, recompute: Any) -> tuple[list[int], list[float]]:
    """The size of each output dimension, and how many inputs there are to one output."""
    dims, shape = input.dim() - 2, input.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ValueError("only one of size or scale_factor should be defined" if size is not None else "either size or scale_factor should be defined")
    if scale_factor is None:
        found = [int(n) for n in _listed(size, dims, "output size")]
        scales = [n / m if m else 0.0 for n, m in zip(shape, found)]
    else:
        factors = [float(f) for f in _listed(scale_factor, dims, "scale_factor")]
        found = [math.floor(n * f) for n, f in zip(shape, factors)]
        scales = [n / m if m else 0.0 for n, m in zip(shape, found)] if recompute else [1.0 / f for f in factors]
    if min(found) <= 0 or min(shape) <= 0:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input ({list(shape)}) and output ({found})")
    return found, scales


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """(N, C, ...) to another size, or by a factor. Modes: "nearest", "nearest-exact", "linear" (3-d input), "bilinear",
    "bicubic" (4-d), "trilinear" (5-d), "area". `antialias` widens the kernel of "bilinear" and "bicubic" where images shrink."""
    if mode not in ("nearest", "nearest-exact", "area", *_DIMS):
        raise NotImplementedError(f"interpolate: mode {mode!r} is not one of nearest, nearest-exact, linear, bilinear, bicubic, trilinear, area")
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    dims = input.dim() - 2
    if dims not in (1, 2, 3) or _DIMS.get(mode, dims) != dims:
        raise NotImplementedError(f"Got {input.dim()}D input, but {mode} mode needs {_DIMS.get(mode, 'one to three')} spatial dimensions after batch and channels")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError("Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input")
    sizes, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return _AREA[dims](input, sizes)
    shape = input.shape[2:]
    for k in reversed(range(dims)):
        if mode.startswith("nearest"):
            exact = mode == "nearest-exact"
            input = input.index_select(2 + k, resample.nearest(shape[k], sizes[k], scales[k], exact)) if exact or sizes[k] != shape[k] else input
        elif sizes[k] != shape[k] or (scales[k] != 1 and not align_corners):
            kind = "cubic" if mode == "bicubic" else "linear"
            matrix = resample.weights(shape[k], sizes[k], scales[k], kind, bool(align_corners), antialias, input._data.dtype)
            input = _along(input, matrix, k - dims)
    return input.contiguous()


def _along(input: Tensor, matrix: Tensor, dim: int) -> Tensor:
    if dim == -1:
        return input @ matrix.T
    if dim == -2:
        return matrix @ input
    return (matrix @ input.flatten(dim + 1)).unflatten(-1, input.shape[dim + 1 :])


def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Tensor:
    """`interpolate`, as it was called before."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="nearest")`."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate(mode="bilinear", align_corners=True)`."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# --- sampling at given places ---------------------------------------------------------------------------------------


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """Places for `grid_sample`, of shape (N, H, W, 2) or (N, D, H, W, 3), moved by N affine maps of shape (2, 3) or (3, 4)."""
    spatial = [int(n) for n in size[2:]]
    dims = len(spatial)
    if theta.dim() != 3 or theta.shape[1:] != (dims, dims + 1) or dims not in (2, 3):
        raise ValueError(f"Expected a batch of {dims}x{dims + 1} affine matrices for size {tuple(size)}, but got theta of shape {list(theta.shape)}")
    axes = []
    for n in spatial:
        line = numgrad.linspace(-1, 1, n, dtype=theta.dtype) if n > 1 else numgrad.zeros(1, dtype=theta.dtype)
        axes.append(line if align_corners else line * ((n - 1) / n))
    grids = numgrad.meshgrid(*axes, indexing="ij")
    base = numgrad.stack([*reversed(grids), numgrad.ones_like(grids[0])], -1).view(1, -1, dims + 1)
    return (base @ theta.mT).view(theta.shape[0], *spatial, dims)


def _reflected(x: Tensor, low: float, high: float) -> Tensor:
    span = high - low
    if span <= 0:
        return numgrad.zeros_like(x)
    x = (x - low).abs()
    extra, flips = numgrad.fmod(x, span), numgrad.floor(x / span)
    return numgrad.where(flips.detach() % 2 == 0, extra + low, span - extra + low)


def _place(x: Tensor, n: int, align_corners: bool) -> Tensor:
    """From -1 ... 1 to pixels."""
    return (x + 1) / 2 * (n - 1) if align_corners else ((x + 1) * n - 1) / 2


def _padded(x: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    if padding_mode == "reflection":
        x = _reflected(x, 0.0, n - 1.0) if align_corners else _reflected(x, -0.5, n - 0.5)
    return x if padding_mode == "zeros" else x.clamp(0, n - 1)


def _pick(input: Tensor, places: list[Tensor], inside_only: bool) -> Tensor:
    """The pixels at whole coordinates (N, P), one tensor a dimension: (N, C, P), and 0 outside."""
    flat, inside = None, None
    for p, n in zip(places, input.shape[2:]):
        ok = (p >= 0) & (p <= n - 1)
        inside = ok if inside is None else inside & ok
        at = p.clamp(0, n - 1).long()
        flat = at if flat is None else flat * n + at
    index = flat.unsqueeze(1).expand(-1, input.shape[1], -1)
    found = input.flatten(2).gather(2, index)
    return numgrad.where(inside.unsqueeze(1), found, 0.0) if inside_only else found


def _multilinear(input: Tensor, at: list[Tensor], outside: bool) -> Tensor:
    first = [x.detach().floor() for x in at]
    result: Any = 0.0
    for corner in itertools.product((0, 1), repeat=len(at)):
        weight: Any = 1.0
        for x, f, c in zip(at, first, corner):
            weight = weight * ((x - f) if c else (f + 1 - x))
        result = result + _pick(input, [f + c for f, c in zip(first, corner)], outside) * weight.unsqueeze(1)
    return result


def _nearest(input: Tensor, at: list[Tensor]) -> Tensor:
    found = _pick(input, [ops.round(x.detach()) for x in at], True)
    return found + 0 * at[0].unsqueeze(1) if at[0].requires_grad else found  # the places have a gradient: 0


def _cubic_weights(t: Tensor, a: float = -0.75) -> list[Tensor]:
    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _bicubic(input: Tensor, at: list[Tensor], padding_mode: str, align_corners: bool) -> Tensor:
    first = [x.detach().floor() for x in at]
    rows, columns = (_cubic_weights(x - f) for x, f in zip(at, first))
    result: Any = 0.0
    for i, j in itertools.product(range(4), repeat=2):
        places = [_padded(f + (k - 1), n, padding_mode, align_corners) for f, k, n in zip(first, (i, j), input.shape[2:])]
        result = result + _pick(input, places, padding_mode == "zeros") * (rows[i] * columns[j]).unsqueeze(1)
    return result


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None) -> Tensor:
    """The input (N, C, H, W) or (N, C, D, H, W) at the places `grid` (N, ..., 2 or 3): x, y(, z) from -1 to 1 across the image."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '{padding_mode}'")
    dims, aligned = input.dim() - 2, bool(align_corners)
    if dims not in (2, 3) or grid.dim() != input.dim() or grid.shape[-1] != dims or grid.shape[0] != input.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected a 4D or 5D input and a grid (N, ..., 2 or 3) to match, but got input of shape {list(input.shape)} and grid of shape {list(grid.shape)}")
    if mode == "bicubic" and dims != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    shape = input.shape[2:]
    at = [_place(grid[..., dims - 1 - k].flatten(1), shape[k], aligned) for k in range(dims)]
    if mode == "bicubic":
        found = _bicubic(input, at, padding_mode, aligned)
    else:
        at = [_padded(x, n, padding_mode, aligned) for x, n in zip(at, shape)]
        found = _nearest(input, at) if mode == "nearest" else _multilinear(input, at, True)
    return found.view(*input.shape[:2], *grid.shape[1:-1])


# --- pooling undone -------------------------------------------------------------------------------------------------


def _unpool(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any, dims: int) -> Tensor:
    kernel = _listed(kernel_size, dims, "kernel_size")
    step = kernel if stride is None else _listed(stride, dims, "stride")
    border = _listed(padding, dims, "padding")
    if input.dim() not in (dims + 1, dims + 2) or indices.shape != input.shape:
        raise RuntimeError(f"max_unpool{dims}d: expected input and indices of one shape with {dims + 1} or {dims + 2} dimensions, but got {list(input.shape)} and {list(indices.shape)}")
    lead = input.shape[: input.dim() - dims]
    default = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-dims:], step, border, kernel)]
    wanted = default if output_size is None else [int(n) for n in output_size][-dims:]
    for n, d, s in zip(wanted, default, step):
        if not d - s < n < d + s:
            raise ValueError(f"invalid output_size {wanted} (dim must be between {[d - s for d, s in zip(default, step)]} and {[d + s for d, s in zip(default, step)]})")
    result = numgrad.zeros(*lead, math.prod(wanted), dtype=input.dtype)
    return result.scatter(-1, indices.flatten(-dims), input.flatten(-dims)).view(*lead, *wanted)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The maxima of `max_pool1d` back in their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The maxima of `max_pool2d` back in their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """The maxima of `max_pool3d` back in their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 3)
