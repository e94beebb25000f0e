"""How optimizers of other libraries group their parameters before they update them together."""

from __future__ import annotations

from typing import Any

__all__ = ["_device_has_foreach_support", "_get_foreach_kernels_supported_devices", "_group_tensors_by_device_and_dtype"]


def _get_foreach_kernels_supported_devices() -> list[str]:
    """None: an update goes parameter by parameter; `numgrad.compile` makes one launch of all."""
    return []


def _device_has_foreach_support(device: Any) -> bool:
    """Always False."""
    return False


def _group_tensors_by_device_and_dtype(tensorlistlist: list[list[Any]], with_indices: bool = False) -> dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]]:
    """(device, dtype) of the first list's tensors -> each list's tensors at those places, and with `with_indices` the places."""
    groups: dict[tuple[Any, Any], tuple[list[list[Any]], list[int]]] = {}
    for place, first in enumerate(tensorlistlist[0]):
        if first is None:
            raise RuntimeError("tensors of the first list must not be None")
        lists, places = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for own, tensors in zip(lists, tensorlistlist, strict=True):
            if tensors:
                own.append(tensors[place])
        if with_indices:
            places.append(place)
    return groups
