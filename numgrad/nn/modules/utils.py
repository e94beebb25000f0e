"""Small helpers of the layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def _ntuple(n: int) -> Any:
    """A function that repeats a number ``n`` times and makes a tuple of anything iterable."""
    return lambda value: tuple(value) if isinstance(value, Iterable) else (value,) * n


_single, _pair, _triple, _quadruple = (_ntuple(n) for n in (1, 2, 3, 4))


def _reverse_repeat_tuple(values: tuple, times: int) -> tuple:
    """(a, b) with 2 gives (b, b, a, a): padding of each dimension as ``F.pad`` wants it."""
    return tuple(value for value in reversed(values) for _ in range(times))
