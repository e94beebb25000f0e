"""From a list of samples to a batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import numgrad

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
    Raises TypeError for samples of another type and RuntimeError for samples that differ in shape or length.
    """
    first = batch[0]
    if isinstance(first, numgrad.Tensor):
        return _stack_tensors(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        return _stack_arrays(batch)
    if isinstance(first, float):
        return numgrad.tensor(batch, dtype=numgrad.float64)
    if isinstance(first, int):
        return numgrad.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping_like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(entries) for entries in _columns(batch)))
    if isinstance(first, tuple):
        return [default_collate(entries) for entries in _columns(batch)]
    if isinstance(first, Sequence):
        return _sequence_like(first, [default_collate(entries) for entries in _columns(batch)])
    raise _cannot_collate(type(first))


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
