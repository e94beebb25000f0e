"""Other shapes, other orders, and choices of elements."""

from __future__ import annotations

from typing import Any

import numgrad

from ._elementwise import promoted

__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis", "permute_dims", "repeat", "reshape",
    "roll", "squeeze", "stack", "take", "take_along_axis", "tile", "unstack",
]  # fmt: skip


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """All in the shape they broadcast to together."""
    return tuple(numgrad.broadcast_tensors(*arrays))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes broadcast to together."""
    return tuple(numgrad.broadcast_shapes(*shapes))


def broadcast_to(x: Any, /, shape: tuple[int, ...]) -> Any:
    """`x` repeated to a shape."""
    return numgrad.broadcast_to(x, tuple(shape))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """One behind the other along an axis; flattened first if that is None."""
    parts = promoted(*arrays)
    return numgrad.cat([p.reshape(p.numel()) for p in parts] if axis is None else parts, 0 if axis is None else axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Along a new axis."""
    return numgrad.stack(promoted(*arrays), axis)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    return tuple(x.unbind(axis))


def expand_dims(x: Any, /, axis: int) -> Any:
    """With a new axis of size 1."""
    return x.unsqueeze(axis)


def squeeze(x: Any, /, axis: Any) -> Any:
    """Without these axes, which must have size 1."""
    for a in (axis,) if isinstance(axis, int) else axis:
        if x.size(a) != 1:
            raise ValueError(f"squeeze: axis {a} has size {x.size(a)}, not 1")
    return x.squeeze(axis)


def flip(x: Any, /, *, axis: Any = None) -> Any:
    """In reversed order along axes; along all if None."""
    return numgrad.flip(x, tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis))


def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """With some axes at other places."""
    return numgrad.movedim(x, source, destination)


def permute_dims(x: Any, /, axes: tuple[int, ...]) -> Any:
    """With its axes in this order."""
    return x.permute(tuple(axes))


def reshape(x: Any, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Any:
    """In another shape; `copy` False is a ValueError where memory cannot be shared."""
    found = x.reshape(tuple(shape))
    if copy is False and found.numel() and found.data_ptr() != x.data_ptr():
        raise ValueError("reshape: this cannot be had without a copy")
    return found.clone() if copy else found


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element several times; `repeats` of any integer dtype."""
    return numgrad.repeat_interleave(x, repeats.long() if isinstance(repeats, numgrad.Tensor) else repeats, axis)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Shifted along axes; what leaves at one end comes back at the other."""
    return numgrad.roll(x, shift, axis)


def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Copies side by side."""
    return numgrad.tile(x, tuple(repetitions))


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """The slices at these indices of an axis, which a tensor of one dimension need not name."""
    if axis is None and x.ndim != 1:
        raise ValueError("take: axis must be given where there are several")
    axis = 0 if axis is None else axis
    return numgrad.index_select(x, axis, numgrad.where(indices < 0, indices + x.size(axis), indices))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """The elements at these indices, each in its own row along an axis."""
    return numgrad.take_along_dim(x, indices, axis)
