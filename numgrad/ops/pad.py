"""Constant padding; and patches of images as columns, and back (`nn.functional.unfold` and `fold`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import empty
from ..tensor import Tensor
from .elementwise import copied, copy_into
from .index import basic_backward, basic_view
from .masks import number_as
from .record import REGISTRY, composite, op
from .shape import permute, reshape

# --- pad ------------------------------------------------------------------------------------------------------------


def _pad_forward(input: np.ndarray, padding: tuple[int, ...], value: Any) -> np.ndarray:
    sides = [(0, 0)] * (input.ndim - len(padding) // 2) + list(zip(padding[::2], padding[1::2], strict=True))[::-1]
    kept: Any = [slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(sides, input.shape, strict=True)]
    kept.append(Ellipsis)
    input = input[tuple(kept)]
    sides = [(max(a, 0), max(b, 0)) for a, b in sides]
    if not any(a or b for a, b in sides):
        return copied(input)
    result = empty(tuple([a + n + b for (a, b), n in zip(sides, input.shape, strict=True)]), input.dtype)
    inside: tuple[slice, ...] = ()
    for (a, b), n in zip(sides, input.shape, strict=True):  # corners belong to the first dimension
        for border in [slice(a)] * (a > 0) + [slice(a + n, None)] * (b > 0):
            copy_into(result[inside + (border,)], value)
        inside = (*inside, slice(a, a + n))
    copy_into(result[inside], input)
    return result


_pad: Any = op("constant_pad", _pad_forward, vjp=(lambda g, padding: _pad(g, tuple([-p for p in padding]), 0),), public=False, method=False)


def _pad_function(input: Tensor, padding: Any, value: float = 0) -> Tensor:
    """Border of a constant value: (before, after) of the last dimension, then of the one before it, ...; negative numbers crop."""
    padding = tuple([p.__index__() for p in padding])
    if len(padding) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {len(padding)} numbers")
    if len(padding) > 2 * input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(padding)} and input of dimension {input.dim()}"
        )
    for k in range(0, len(padding), 2):
        d, n = input.dim() - 1 - k // 2, input._data.shape[-1 - k // 2]
        before, after = padding[k], padding[k + 1]
        if n + before + after < 0 or n + min(before, 0) + min(after, 0) < 0:
            raise RuntimeError(f"pad(): padding ({before}, {after}) takes more than there is in dimension {d} of size {n}")
    return _pad(input, padding, number_as(value, input._data.dtype))


def _pad_reference(x: Any, padding: Any, value: float = 0) -> Any:
    sides = [(0, 0)] * (x.ndim - len(padding) // 2) + list(zip(padding[::2], padding[1::2], strict=True))[::-1]
    x = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(sides, x.shape, strict=True))]
    return x if not sides else np.pad(x, [(max(a, 0), max(b, 0)) for a, b in sides], constant_values=np.asarray(value).astype(x.dtype))


def _pad_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_side=2))
    return (x, tuple(draw.integer(-1, 2) for _ in range(2 * draw.integer(0, x.ndim))), draw.choice([0, 1.5])), {}


_pad_record: Any = {"reference": _pad_reference, "sample": _pad_sample, "errors": [((np.ones(2), (1,)), RuntimeError, "divisible by 2"), ((np.ones(2), (1, 1, 1, 1)), RuntimeError, "two times"),
                        ((np.ones(2), (-1, -2)), RuntimeError, "takes more")]}  # fmt: skip
pad = composite("pad", _pad_function, public=False, method=False, **_pad_record)
constant_pad_nd = composite("constant_pad_nd", lambda input, pad, value=0: _pad_function(input, pad, value), doc=_pad_function.__doc__, method=False, **_pad_record)

# --- patches --------------------------------------------------------------------------------------------------------


def _pair(value: Any, name: str) -> tuple[int, int]:
    found = tuple(value) * (2 if len(value) == 1 else 1) if isinstance(value, (tuple, list)) else (value, value)
    if len(found) != 2:
        raise RuntimeError(f"{name} must be one number or two, got {value}")
    return found  # type: ignore[return-value]


def _geometry(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[tuple[int, int], ...]:
    found = _pair(kernel_size, "kernel_size"), _pair(dilation, "dilation"), _pair(padding, "padding"), _pair(stride, "stride")
    for pair, name, least in zip(found, ("kernel_size", "dilation", "padding", "stride"), (1, 1, 0, 1), strict=True):
        if min(pair) < least:
            raise RuntimeError(f"{name} should be {'greater than zero' if least else 'non-negative'}, but got {pair}")
    return found


def _blocks(size: tuple[int, int], geometry: tuple[tuple[int, int], ...]) -> list[int]:
    """How many patches there are along height and width."""
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(size, *geometry, strict=True)]


def _described(geometry: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{name}={pair}" for name, pair in zip(("kernel_size", "dilation", "padding", "stride"), geometry, strict=True))


def _every(step: int) -> tuple[Any, ...]:
    return (Ellipsis, slice(None, None, step))


def _im2col_function(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Every patch of an image (N, C, H, W) or (C, H, W) as a column: (N, C * kernel height * kernel width, patches)."""
    if input.dim() == 3:
        columns = _im2col_function(reshape(input, (1, *input.shape)), kernel_size, dilation, padding, stride)
        return reshape(columns, columns.shape[1:])
    if input.dim() != 4:
        raise RuntimeError(f"Expected 3D or 4D (batch mode) tensor for input, but got: {list(input.shape)}")
    geometry = (h, w), (dh, dw), (ph, pw), (sh, sw) = _geometry(kernel_size, dilation, padding, stride)
    n, c, *size = input._data.shape
    blocks = _blocks((size[0], size[1]), geometry)
    if min(blocks) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(size)}, {_described(geometry)}, calculated shape of the array of sliding blocks as "
            f"{tuple(blocks)}, but its components must be at least one."
        )
    unfold, x = REGISTRY["unfold"], _pad_function(input, (pw, pw, ph, ph)) if ph or pw else input
    x = basic_view(unfold(x, 2, dh * (h - 1) + 1, sh), _every(dh))
    x = basic_view(unfold(x, 3, dw * (w - 1) + 1, sw), _every(dw))
    return reshape(permute(x, 0, 1, 4, 5, 2, 3), (n, c * h * w, blocks[0] * blocks[1]))


def _col2im_function(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Columns put back where `im2col` takes them from, overlaps added: (N, C * kernel height * kernel width, patches) to (N, C, H, W)."""
    if input.dim() == 2:
        images = _col2im_function(reshape(input, (1, *input.shape)), output_size, kernel_size, dilation, padding, stride)
        return reshape(images, images.shape[1:])
    if input.dim() != 3:
        raise RuntimeError(f"Expected 2D or 3D (batch mode) tensor for input, but got: {list(input.shape)}")
    size, geometry = _pair(output_size, "output_size"), _geometry(kernel_size, dilation, padding, stride)
    (h, w), (dh, dw), (ph, pw), (sh, sw) = geometry
    blocks, (n, rows, columns) = _blocks(size, geometry), input._data.shape
    if rows % (h * w):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={(h, w)}."
        )
    if min(blocks) < 1 or columns != blocks[0] * blocks[1]:
        raise RuntimeError(
            f"Given output_size={size}, {_described(geometry)}, expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {blocks[0]} * {blocks[1]} = {blocks[0] * blocks[1]}, but got input.size(2)={columns}."
        )
    fold, wide, high = REGISTRY["unfold_backward"], dw * (w - 1) + 1, dh * (h - 1) + 1
    c, width, height = rows // (h * w), size[1] + 2 * pw, size[0] + 2 * ph
    x = permute(reshape(input, (n, c, h, w, *blocks)), 0, 1, 4, 5, 2, 3)
    x = basic_backward(x, (n, c, *blocks, h, wide), _every(dw)) if dw > 1 else x
    x = fold(x, (n, c, blocks[0], width, h), 3, wide, sw)
    x = basic_backward(x, (n, c, blocks[0], width, high), _every(dh)) if dh > 1 else x
    x = fold(x, (n, c, height, width), 2, high, sh)
    return _pad_function(x, (-pw, -pw, -ph, -ph)) if ph or pw else x


def _patches(x: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """For each column, the places in the padded image it is made of."""
    (h, w), (dh, dw), (ph, pw), (sh, sw) = (_pair(v, "") for v in (kernel_size, dilation, padding, stride))
    rows, columns = (x[0] + 2 * ph - dh * (h - 1) - 1) // sh + 1, (x[1] + 2 * pw - dw * (w - 1) - 1) // sw + 1
    i = (np.arange(h) * dh)[:, None, None, None] + (np.arange(rows) * sh)[:, None]
    j = (np.arange(w) * dw)[:, None, None] + np.arange(columns) * sw
    return i, j, (h * w, rows * columns)


def _im2col_reference(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    ph, pw = _pair(padding, "")
    i, j, shape = _patches(x.shape[2:], kernel_size, dilation, padding, stride)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    return padded[:, :, i, j].reshape(x.shape[0], x.shape[1] * shape[0], shape[1])


def _col2im_reference(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    ph, pw = _pair(padding, "")
    i, j, shape = _patches(output_size, kernel_size, dilation, padding, stride)
    c = x.shape[1] // shape[0]
    padded = np.zeros((x.shape[0], c, output_size[0] + 2 * ph, output_size[1] + 2 * pw), x.dtype)
    places: Any = (slice(None), slice(None), i, j)
    np.add.at(padded, places, x.reshape(x.shape[0], c, *np.broadcast_shapes(i.shape, j.shape)))
    return padded[:, :, ph : ph + output_size[0], pw : pw + output_size[1]]


def _patch_sample(draw: Any) -> tuple[Any, ...]:
    return draw.choice([2, (1, 3)]), draw.choice([1, (2, 1)]), draw.choice([0, 1, (0, 1)]), draw.choice([1, 2, (1, 2)])


def _im2col_sample(draw: Any) -> Any:
    return (draw.array((draw.integer(0, 2), 2, 3, 4)), *_patch_sample(draw)), {}


def _col2im_sample(draw: Any) -> Any:
    size, patch = (3, 4), _patch_sample(draw)
    *_, (taps, patches) = _patches(size, *patch)
    return (draw.array((draw.integer(0, 2), 2 * taps, patches)), size, *patch), {}


im2col = composite("im2col", _im2col_function, public=False, method=False, reference=_im2col_reference, sample=_im2col_sample,
                   errors=[((np.ones((1, 1, 2, 2)), 3), RuntimeError, "at least one"), ((np.ones((2, 2)), 1), RuntimeError, "3D or 4D")])  # fmt: skip
col2im = composite("col2im", _col2im_function, public=False, method=False, reference=_col2im_reference, sample=_col2im_sample,
                   errors=[((np.ones((1, 7, 12)), (4, 5), 2), RuntimeError, "divisible by"), ((np.ones((1, 8, 11)), (4, 5), 2), RuntimeError, "sliding blocks")])  # fmt: skip
