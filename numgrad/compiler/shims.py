"""What programs tell PyTorch's compiler and this one needs no word of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypeVar

T = TypeVar("T")

#: Accepts any setting, all of them without effect.
config = SimpleNamespace()


def allow_in_graph(fn: T) -> T:
    """The function itself: what is recorded are operations, whoever calls them."""
    return fn


assume_constant_result = allow_in_graph


def reset() -> None:
    """Nothing to forget: what was recorded goes with the compiled function."""


cudagraph_mark_step_begin = graph_break = reset


def mark_dynamic(t: Any, index: Any, *, hint_override: Any = None, min: int | None = None, max: int | None = None) -> None:
    """Nothing to mark: each shape is recorded once."""


maybe_mark_dynamic = mark_static = mark_dynamic


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """There is one way to compile."""
    return ["numba"]
