"""From a list of samples to a batch."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import numgrad

np_str_obj_array_pattern = re.compile(r"[SaUO]")  # letters of NumPy's dtypes that no tensor can hold
_TENSOR_KINDS = "biufc"  # NumPy's letters for what a tensor can hold; the others are text, objects and dates


def default_convert(data: Any) -> Any:
    """Turn the NumPy arrays and scalars in `data`, however nested, into tensors; leave everything else as it is."""
    if isinstance(data, (numgrad.Tensor, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return numgrad.as_tensor(data) if data.dtype.kind in _TENSOR_KINDS else data
    if isinstance(data, Mapping):
        return _mapping_like(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence):
        return _sequence_like(data, [default_convert(item) for item in data])
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples along a new first dimension.

    Tensors and NumPy arrays are stacked, numbers become a tensor (a Python float gives float64, an int int64), strings
    and bytes stay a list, and mappings, named tuples and sequences are collated entry by entry (a tuple gives a list).
    Types that were added to `default_collate_fn_map` are collated by the function there.
    Raises TypeError for samples of another type and RuntimeError for samples that differ in shape or length.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Sequence[Any], *, collate_fn_map: dict[Any, Callable[..., Any]] | None = None) -> Any:
    """One batch of samples: those of a type in `collate_fn_map` by `function(batch, collate_fn_map=collate_fn_map)`, collections entry by entry.

    Keys of the map are types, or tuples of types; a sample's own type goes before those it derives from. TypeError for other types.
    """
    first, known = batch[0], collate_fn_map or {}
    function = known.get(type(first)) or next((f for kind, f in known.items() if isinstance(first, kind)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    again = functools.partial(collate, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return _mapping_like(first, {key: again([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(again(entries) for entries in _columns(batch)))
    if isinstance(first, tuple):
        return [again(entries) for entries in _columns(batch)]
    if isinstance(first, Sequence) and not isinstance(first, (str, bytes)):
        return _sequence_like(first, [again(entries) for entries in _columns(batch)])
    raise _cannot_collate(type(first))


def collate_tensor_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """Tensors, stacked."""
    return _stack_tensors(batch)


def collate_numpy_array_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """NumPy arrays or scalars, stacked as a tensor."""
    return _stack_arrays(batch)


def collate_float_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """Python's floats, as a float64 tensor."""
    return numgrad.tensor(batch, dtype=numgrad.float64)


def collate_int_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """Python's ints or bools, as a tensor."""
    return numgrad.tensor(batch)


def collate_str_fn(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    """Text, as it is."""
    return batch


collate_numpy_scalar_fn = collate_numpy_array_fn

#: How samples of a type are collated; programs may add types of their own.
default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    numgrad.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    np.generic: collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def _cannot_collate(found: object) -> TypeError:
    return TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}; "
        "pass the DataLoader a collate_fn that says how to combine such samples"
    )


def _columns(batch: Sequence[Sequence]) -> list[tuple]:
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise RuntimeError(f"each element in list of batch should be of equal size, but they have {sorted(lengths)}")
    return list(zip(*batch, strict=True))


def _stack_tensors(batch: Sequence):
    recorded = numgrad.is_grad_enabled() and any(tensor.requires_grad for tensor in batch)
    if recorded or any(tensor.dtype is numgrad.bfloat16 for tensor in batch):
        return numgrad.stack(list(batch))
    return _stack_arrays([tensor.detach().numpy() for tensor in batch])


def _stack_arrays(batch: Sequence):
    arrays = [np.asarray(array) for array in batch]
    for position, array in enumerate(arrays):
        if array.dtype.kind not in _TENSOR_KINDS:
            raise _cannot_collate(f"an array of dtype {array.dtype}")
        if array.shape != arrays[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(arrays[0].shape)} at entry 0 "
                f"and {list(array.shape)} at entry {position}; pass a collate_fn to pad or group them"
            )
    if len({array.dtype for array in arrays}) > 1:  # promoted as tensors are, not as NumPy would
        return numgrad.stack([numgrad.as_tensor(array) for array in arrays])
    return numgrad.from_numpy(np.stack(arrays))


def _mapping_like(data: Mapping, entries: dict) -> Mapping:
    """A mapping of the type of `data` where it can be had, so that users' own dicts survive; else a plain dict."""
    try:
        if isinstance(data, MutableMapping):
            clone = copy.copy(data)
            clone.update(entries)
            return clone
        return type(data)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _sequence_like(data: Sequence, entries: list) -> Sequence:
    if isinstance(data, tuple):
        return type(data)(*entries) if hasattr(data, "_fields") else entries
    try:
        if isinstance(data, MutableSequence):
            clone = copy.copy(data)
            for position, entry in enumerate(entries):
                clone[position] = entry
            return clone
        return type(data)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries
