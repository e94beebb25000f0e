"""Nested arguments and results as a flat list of leaves and a description of the nest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..nn.parameter import Parameter
from ..tensor import Tensor

_NESTS = (list, tuple, dict)
#: Types that hold nothing, for most leaves have one of them.
_LEAVES = frozenset({Tensor, Parameter, np.ndarray, int, float, bool, str, type(None)})


#: Types of a program's own -> how to take one apart (into children and a context), and how to make one of those.
REGISTERED: dict[type, tuple[Callable[[Any], tuple[Iterable[Any], Any]], Callable[[Iterable[Any], Any], Any]]] = {}


class Context:
    """What a registered type needs beside its children: compared, but never hashed, for it may be a list."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Context and bool(self.value == other.value)

    def __hash__(self) -> int:
        return 1


def flatten(value: Any) -> tuple[list[Any], Any]:
    """The leaves of nested lists, tuples and dicts, and what `unflatten` needs to nest them again (hashable)."""
    if type(value) not in _NESTS and not isinstance(value, (tuple, dict)) and type(value) not in REGISTERED:
        return [value], None
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves)


def _flatten(value: Any, leaves: list[Any]) -> Any:
    kind = type(value)
    if kind in REGISTERED:
        children, context = REGISTERED[kind][0](value)
        return kind, Context(context), _parts(children, leaves)
    if kind is list or kind is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return kind, None, _parts(value, leaves)
    if isinstance(value, dict):
        return kind, tuple(value), _parts(value.values(), leaves) if value else ()
    leaves.append(value)
    return None


def _parts(values: Iterable[Any], leaves: list[Any]) -> tuple[Any, ...]:
    # append() returns None, which is what describes a leaf
    return tuple([leaves.append(v) if type(v) in _LEAVES else _flatten(v, leaves) for v in values])  # type: ignore[func-returns-value]


def unflatten(leaves: list[Any], spec: Any) -> Any:
    """The nest again."""
    return _unflatten(iter(leaves), spec)


def _unflatten(leaves: Any, spec: Any) -> Any:
    if spec is None:
        return next(leaves)
    kind, keys, parts = spec
    values = [_unflatten(leaves, part) for part in parts]
    if type(keys) is Context:
        return REGISTERED[kind][1](values, keys.value)
    if keys is not None:
        made = kind() if kind is not dict else {}
        made.update(zip(keys, values, strict=True))
        return made
    return kind(*values) if hasattr(kind, "_fields") else kind(values)
