"""Fractional max pooling: the largest of windows whose places are random (Graham 2014, https://arxiv.org/abs/1412.6071)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Tensor, wrap
from .conv import ntuple
from .creation import arange
from .random import uniform_array
from .record import REGISTRY, composite


def _output_size(name: str, dims: int, sizes: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is not None:
        return ntuple(output_size, dims, "output_size")
    ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * dims
    return tuple(int(n * r) for n, r in zip(sizes, ratios, strict=True))


def _starts(samples: Tensor, size: int, kernel: int, output: int) -> Tensor:
    """Where the windows of one dimension begin, (N, C, output): steps of floor and ceil of alpha, the last window at the end."""
    alpha = (size - kernel) / (output - 1) if output > 1 else 0.0
    u = samples.unsqueeze(-1)  # type: ignore[attr-defined]
    steps = arange(output - 1, dtype=samples.dtype)
    first = ((steps + u) * alpha).trunc() - (u * alpha).trunc()
    last = first.new_full((*first.shape[:-1], 1), size - kernel)
    return REGISTRY["cat"]((first, last), -1).to(np.int64)


def _fractional(dims: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{dims}d"
    if input.dim() not in (dims + 1, dims + 2) or 0 in input.shape[-dims - 1 :]:
        raise RuntimeError(f"{name}: expected {dims + 1}D or {dims + 2}D (batch mode) tensor with non-zero sizes, but got: {list(input.shape)}")
    x = input if input.dim() == dims + 2 else input.unsqueeze(0)  # type: ignore[attr-defined]
    sizes = tuple(x.shape[2:])
    kernel, output = ntuple(kernel_size, dims, "kernel_size"), _output_size(name, dims, sizes, output_size, output_ratio)
    for n, k, o in zip(sizes, kernel, output, strict=True):
        if o < 1 or k < 1 or o + k - 1 > n:
            raise RuntimeError(f"{name}: {o} windows of {k} do not fit into an input of {n}")
    if samples is None:
        samples = wrap(uniform_array((*x.shape[:2], dims), x._data.dtype))
    order = (1, 0) if dims == 2 else (0, 1, 2)  # PyTorch's: in two dimensions the width comes first
    place: Any = 0
    for d, (n, k, o) in enumerate(zip(sizes, kernel, output, strict=True)):
        at = _starts(samples.select(2, order[d]), n, k, o).unsqueeze(-1) + arange(k)  # (N, C, windows, their elements)
        shape = [*x.shape[:2], *(o if i == d else 1 for i in range(dims)), *(k if i == d else 1 for i in range(dims))]
        place = place * n + at.reshape(shape)
    place = place.reshape(*x.shape[:2], -1, math.prod(kernel))
    values, best = x.reshape(*x.shape[:2], -1).gather(2, place.flatten(2)).reshape(place.shape).max(-1)
    shape = (*input.shape[:-dims], *output)
    return values.reshape(shape), place.gather(3, best.unsqueeze(-1)).reshape(shape)


def _fractional_max_pool2d(input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, _random_samples: Any = None) -> Any:
    """The largest of windows at random places of (N, C, H, W), with or without N, and its place in the plane."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def _fractional_max_pool3d(input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, _random_samples: Any = None) -> Any:
    """The largest of windows at random places of (N, C, D, H, W), with or without N, and its place in the volume."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def _reference(x: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, _random_samples: Any = None) -> Any:
    dims = _random_samples.shape[-1]
    planes = x.reshape(-1, *x.shape[-dims:])
    values, places = np.zeros((len(planes), *output_size), x.dtype), np.zeros((len(planes), *output_size), np.int64)
    for p, plane in enumerate(planes):
        u = _random_samples.reshape(-1, dims)[p][:: -1 if dims == 2 else 1]
        starts = []
        for d, (n, k, o) in enumerate(zip(plane.shape, kernel_size, output_size, strict=True)):
            alpha = x.dtype.type(n - k) / x.dtype.type(max(o - 1, 1))
            starts.append([int((i + u[d]) * alpha) - int(u[d] * alpha) for i in range(o - 1)] + [n - k])
        for o in np.ndindex(*output_size):
            corner = [s[i] for s, i in zip(starts, o, strict=True)]
            window = plane[tuple(slice(c, c + k) for c, k in zip(corner, kernel_size, strict=True))]
            inside = np.unravel_index(window.argmax(), window.shape)
            values[(p, *o)] = window.max()
            places[(p, *o)] = np.ravel_multi_index([c + i for c, i in zip(corner, inside, strict=True)], plane.shape)
    shape = (*x.shape[:-dims], *output_size)
    return values.reshape(shape), places.reshape(shape)


def _sample(dims: int) -> Any:
    def sample(draw: Any) -> Any:
        kernel = tuple(draw.integer(1, 3) for _ in range(dims))
        output = tuple(draw.integer(1, 3) for _ in range(dims))
        size = tuple(k + o - 1 + draw.integer(0, 2) for k, o in zip(kernel, output, strict=True))
        lead = draw.choice([(2,), (1, 2), (2, 1)])
        samples = draw.generator().uniform(0, 1, ((1, 1) + lead)[-2:] + (dims,)).astype(draw.dtype)
        return (draw.array((*lead, *size), distinct=True), kernel, output), {"_random_samples": samples}

    return sample


for _dims, _function in ((2, _fractional_max_pool2d), (3, _fractional_max_pool3d)):
    composite(f"fractional_max_pool{_dims}d_with_indices", _function, public=False, method=False, reference=_reference, sample=_sample(_dims),
              errors=[((np.ones((2, 4, 4)), 2), ValueError, "output_size or an output_ratio"), ((np.ones((2, 4, 4)), 3, 3), RuntimeError, "do not fit"),
                      ((np.ones(4), 3, 3), RuntimeError, "expected 3D or 4D")] if _dims == 2 else ())  # fmt: skip
