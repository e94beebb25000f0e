"""`x[...]` and `x[...] = value`: what Python writes between the brackets, as views and index tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import BOOL, INT64, scalar_name
from ..jit import read, zeros
from ..tensor import Tensor, wrap
from .elementwise import copy_into
from .index import basic_view, index_at, put_at
from .inplace import InPlace, check_writeable
from .masks import fill_value, masked_fill_, number_as, positions
from .planned import front
from .record import REGISTRY, composite
from .shape import _can_view, reshape

_INDEX_DTYPES = (INT64, np.dtype(np.int32))
_UINT8 = np.dtype(np.uint8)
_ALL = slice(None)

# --- reading what is between the brackets -----------------------------------------------------------------------------


def _items(key: Any) -> tuple[Any, ...]:
    """The key as a tuple. A list that holds tensors, sequences, slices, None or ... stands for a tuple, as in PyTorch."""
    if type(key) is tuple:
        return key
    if isinstance(key, tuple):
        return tuple(key)
    if not isinstance(key, list) or len(key) >= 32 or all(isinstance(e, (int, float)) for e in key):
        return (key,)
    if not any(isinstance(e, (Tensor, list, tuple, np.ndarray, slice)) or e is None or e is Ellipsis for e in key):
        return (key,)
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of x[seq], "
        "or x[numgrad.tensor(seq)] for an index tensor.", stacklevel=4,
    )  # fmt: skip
    return tuple(key)


def _plain(value: Any) -> Any:
    """Nested sequences with lists for the tensors in them."""
    if isinstance(value, Tensor):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple, range)) else value


def _bad_type(item: Any) -> IndexError:
    return IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(item).__name__})"
    )


def _item(item: Any) -> Any:
    """One part of a key as an int, a slice with ints, None, Ellipsis, a bool, or a Tensor of indices or truth values."""
    kind = type(item)
    if kind is int or item is None or item is Ellipsis or kind is bool:
        return item
    if kind is slice:
        return _slice(item)
    if isinstance(item, (list, tuple, range)):
        found = np.asarray(_plain(item))
        item = wrap(found if found.size else found.astype(INT64))
    elif isinstance(item, (np.ndarray, np.generic)):
        item = wrap(np.asarray(item))
    if isinstance(item, Tensor):
        return _index_tensor(item)
    try:
        return item.__index__()
    except (AttributeError, TypeError):
        raise _bad_type(item) from None


def _slice(item: slice) -> slice:
    start, stop, step = item.start, item.stop, item.step
    if not (start is None or type(start) is int) or not (stop is None or type(stop) is int) or not (step is None or type(step) is int):
        try:
            item = slice(*(None if v is None else v.__index__() for v in (start, stop, step)))
        except AttributeError:
            raise TypeError("slice indices must be integers or None or have an __index__ method") from None
    if item.step is not None and item.step <= 0:
        raise ValueError("slice step cannot be zero" if item.step == 0 else "step must be greater than zero")
    return item


def _index_tensor(item: Tensor) -> Any:
    data = item._data
    if data.dtype == BOOL or data.dtype == _UINT8:
        if data.ndim == 0:
            return bool(read(data).item())
        if data.dtype == _UINT8:
            warnings.warn("indexing with dtype uint8 is deprecated; use a boolean mask instead", stacklevel=5)
        return item
    if data.ndim == 0 and data.dtype.kind in "iu":
        return int(read(data).item())
    if data.dtype not in _INDEX_DTYPES:
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, but got {scalar_name(data.dtype)}")
    return item


def _takes(item: Any) -> int:
    """How many dimensions an item indexes."""
    if item is None or item is Ellipsis or type(item) is bool:
        return 0
    return item._data.ndim if isinstance(item, Tensor) and item._data.dtype.kind != "i" else 1


def _parse(key: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """The views, as a plan for `basic_view`, and then an index tensor, a mask or None for each dimension (masks: for several)."""
    items = [_item(i) for i in _items(key)]
    ndim, used = len(shape), sum(_takes(i) for i in items)
    if used > ndim:
        if ndim == 0 and len(items) == 1 and type(items[0]) is int:
            raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number")
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    plan: list[Any] = []
    advanced: list[Any] = []
    dim, missing = 0, ndim - used
    for item in items:
        if item is Ellipsis:
            plan += [_ALL] * missing
            advanced += [None] * missing
            dim, missing = dim + missing, 0
            continue
        kind = type(item)
        if kind is int:
            if not -shape[dim] <= item < shape[dim]:
                raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {shape[dim]}")
            plan.append(item)
        elif kind is slice or item is None:
            plan.append(item)
            advanced.append(None)
        elif kind is bool:
            plan.append(None)
            advanced.append(wrap(zeros(1 if item else 0, INT64)))
        else:
            if item._data.dtype.kind != "i":
                _check_mask_shape(item, shape, dim)
            plan += [_ALL] * _takes(item)
            advanced.append(item)
        dim += _takes(item)
    return (*plan, Ellipsis), advanced


def _check_mask_shape(mask: Tensor, shape: tuple[int, ...], dim: int) -> None:
    wanted = mask._data.shape
    for d, n in enumerate(wanted):
        if shape[dim + d] != n:
            raise IndexError(
                f"The shape of the mask {list(wanted)} at index {d} does not match the shape of the indexed tensor {list(shape)} at index {dim + d}"
            )


def _trivial(plan: tuple[Any, ...]) -> bool:
    return all(p is Ellipsis or (type(p) is slice and p == _ALL) for p in plan)


def _without_masks(x: Tensor, advanced: list[Any], to_write: bool) -> tuple[Tensor, tuple[Any, ...]]:
    """Masks become positions; the dimensions of a mask become one, or where memory to write to forbids that, get a position each."""
    indices: list[Any] = []
    for item in advanced:
        if item is None or item._data.dtype.kind == "i":
            indices.append(item)
            continue
        shape, at, n = x._data.shape, len(indices), item._data.ndim
        if n > 1:
            merged = (*shape[:at], item.numel(), *shape[at + n :])
            if to_write and not _can_view(x._data, merged):
                indices += REGISTRY["nonzero"](item, as_tuple=True)
                continue
            x = reshape(x, merged)
        indices.append(positions(item))
    return x, tuple(indices)


def _getitem_arguments(input: Tensor, key: Any) -> Any:
    """The part that a key names: a view for ints, slices, None and ...; a copy where masks or index tensors are among them."""
    if input._data.ndim and type(key) is int:
        n = input._data.shape[0]
        if not -n <= key < n:
            raise IndexError(f"index {key} is out of bounds for dimension 0 with size {n}")
        return input, (key, Ellipsis)
    if isinstance(key, Tensor) and key._data.dtype == INT64 and key._data.ndim and input._data.ndim:
        return index_at(input, (key,), "index")
    plan, advanced = _parse(key, input._data.shape)
    if all(a is None for a in advanced):
        return input, plan
    x = input if _trivial(plan) else basic_view(input, plan)
    x, indices = _without_masks(x, advanced, False)
    return index_at(x, indices, "index")


# --- writing --------------------------------------------------------------------------------------------------------


def _value(value: Any, input: Tensor) -> Any:
    """What is assigned: a Tensor, or a number as the tensor holds it."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return number_as(value, input._data.dtype)
    raise TypeError(f"can't assign a {type(value).__name__} to a numgrad.{scalar_name(input._data.dtype)}Tensor")


def _without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    shape = value._data.shape
    extra = len(shape) - ndim
    return reshape(value, shape[extra:]) if extra > 0 and shape[:extra] == (1,) * extra else value


def _setitem(input: Tensor, key: Any, value: Any) -> None:
    """Write a number or a tensor, which is broadcast, to the part that a key names."""
    value = _value(value, input)
    plan, advanced = _parse(key, input._data.shape)
    if any(a is not None for a in advanced):
        _set_at_indices(input, plan, advanced, value)
        return
    tensor = isinstance(value, Tensor)
    part = input._data[plan]
    if tensor:
        if _same_memory(value._data, part) and value._base is not None:  # x[i] += 1 has written already
            return
        value = _without_leading_ones(value, part.ndim)
        if np.may_share_memory(value._data, part):
            value = value.clone()
    if mode.enabled and (input.requires_grad or (tensor and value.requires_grad)):
        InPlace(REGISTRY["copy"])(basic_view(input, plan), value)
        return
    check_writeable(wrap(part))
    _check_fits(value, part)
    copy_into(part, value._data if tensor else value)
    input.bump()


def _check_fits(value: Any, part: np.ndarray) -> None:
    if isinstance(value, Tensor):
        shape = value._data.shape
        if len(shape) > part.ndim or any(n not in (1, m) for n, m in zip(shape[::-1], part.shape[::-1], strict=False)):
            raise RuntimeError(f"shape mismatch: value tensor of shape {list(shape)} cannot be broadcast to indexing result of shape {list(part.shape)}")


def _same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype and a.ctypes.data == b.ctypes.data


def _set_at_indices(input: Tensor, plan: tuple[Any, ...], advanced: list[Any], value: Any) -> None:
    x = input if _trivial(plan) else basic_view(input, plan)
    masks = [a for a in advanced if a is not None]
    scalar = not isinstance(value, Tensor) or value._data.ndim == 0
    if scalar and len(masks) == 1 and masks[0]._data.dtype.kind != "i":
        at = next(d for d, a in enumerate(advanced) if a is masks[0])
        mask = reshape(masks[0], (*masks[0].shape, *[1] * (x.dim() - at - masks[0].dim())))
        masked_fill_(x, mask if mask._data.dtype == BOOL else mask.bool(), fill_value(value, x._data.dtype, "masked_fill"))
        return
    x, indices = _without_masks(x, advanced, True)
    if isinstance(value, Tensor):
        _check_same_dtype(x, value)
        value = _without_leading_ones(value, x.dim() + max(i._data.ndim for i in indices if i is not None))
    InPlace(put_at)(x, indices, value, False, "index")


def _check_same_dtype(input: Tensor, values: Tensor) -> None:
    if values._data.dtype != input._data.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_name(input._data.dtype)} for the destination and {scalar_name(values._data.dtype)} for the source."
        )


# --- index_put --------------------------------------------------------------------------------------------------------


def _index_put_arguments(input: Tensor, indices: Any, values: Tensor, accumulate: bool, to_write: bool) -> tuple[Any, ...]:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put(): argument 'indices' (position 1) must be tuple of Tensors, not {type(indices).__name__}")
    if not isinstance(values, Tensor):
        raise TypeError(f"index_put(): argument 'values' (position 2) must be Tensor, not {type(values).__name__}")
    _check_same_dtype(input, values)
    for i, item in enumerate(indices):
        if not isinstance(item, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 'indices', but got {type(item).__name__}")
    if not indices:
        raise RuntimeError("index_put(): expected at least one index tensor")
    _, advanced = _parse(tuple(reshape(i, 1) if i.dim() == 0 else i for i in indices), input._data.shape)
    x, found = _without_masks(input, advanced, to_write)
    return x, found, values, accumulate, "index"


def _index_put_function(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with `values`, broadcast, written (`accumulate`: added) at index tensors; of repeated indices the last is written."""
    return reshape(put_at(*_index_put_arguments(input, indices, values, accumulate, False)), input.shape)


def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place `index_put`."""
    InPlace(put_at)(*_index_put_arguments(input, indices, values, accumulate, True))
    return input


def _key_sample(draw: Any) -> tuple[Any, Any]:
    """A tensor and a key for it."""
    shape = draw.shape(min_dims=1, min_side=1)
    n = shape[0]
    options = [
        draw.integer(-n, n - 1), slice(draw.integer(-n - 1, n), draw.integer(-n, n + 1), draw.integer(1, 2)), None, Ellipsis, True, False,
        (Ellipsis, draw.integer(-shape[-1], shape[-1] - 1)), (slice(None), None), (draw.integer(0, n - 1), Ellipsis, None),
        draw.integers((draw.integer(0, 4),), -n, n - 1), (Ellipsis, draw.integers((2, 2), -shape[-1], shape[-1] - 1)),
        draw.booleans(shape[: draw.integer(1, len(shape))]), (None, draw.integers((3,), 0, n - 1)),
        (draw.integers((2, 1), 0, n - 1), Ellipsis, draw.integers((3,), 0, shape[-1] - 1)) if len(shape) > 1 else _ALL,
    ]  # fmt: skip
    return draw.array(shape), draw.choice(options)


_key_errors: Any = [((np.ones((2, 3)), 2), IndexError, "out of bounds for dimension 0 with size 2"), ((np.ones(2), (0, 0)), IndexError, "too many"),
                    ((np.ones(2), slice(None, None, -1)), ValueError, "greater than zero"), ((np.ones(()), 0), IndexError, "0-dim"),
                    ((np.ones(2), 0.5), IndexError, "only integers"), ((np.ones(2), np.array([2])), IndexError, "out of bounds"),
                    ((np.ones(2), np.array([0.0])), IndexError, "must be long"), ((np.ones(2), np.ones(3, bool)), IndexError, "mask"),
                    ((np.ones((2, 2)), (np.zeros(2, int), np.zeros(3, int))), IndexError, "broadcast")]  # fmt: skip
getitem = front("getitem", basic_view, _getitem_arguments, public=False, method=False, sample=lambda draw: (_key_sample(draw), {}), errors=_key_errors,
                    reference=lambda x, key: x[key])  # fmt: skip


def _index_put_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    rows = draw.integers((draw.integer(0, 5),), -x.shape[0], x.shape[0] - 1)
    return (x, (rows,), draw.array(draw.broadcastable((len(rows), *x.shape[1:]))), draw.boolean()), {}


def _index_put_reference(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    x = x.copy()
    if accumulate:
        np.add.at(x, indices, values)
    else:
        x[indices] = values
    return x


index_put = composite("index_put", _index_put_function, inplace=index_put_, reference=_index_put_reference, sample=_index_put_sample,
                      errors=[((np.ones(2), (np.array([5]),), np.ones(1)), IndexError, "out of bounds"),
                              ((np.ones(2), (np.array([0]),), np.ones(3)), RuntimeError, "shape mismatch"),
                              ((np.ones(2), (np.array([0]),), np.array([1])), RuntimeError, "dtypes match"),
                              ((np.ones(2), (np.array([0]),), 1.0), TypeError, "must be Tensor")])  # fmt: skip


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """`input[key] = value`."""
    _setitem(input, key, value)
