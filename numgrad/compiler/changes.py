"""In words, what is different about a call that was not replayed: one line of the log, under the name "numgrad.compile"."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from .watch import demands

logger = logging.getLogger("numgrad.compile")


def between(old: Any, new: Any, spec_old: Any, spec_new: Any) -> str:
    """What tells one kind of call from another; keys as `Arguments` makes them."""
    if spec_old != spec_new:
        return "the number or the nest of the arguments"
    for what, a, b in zip(("grad mode", "inference mode", "the default dtype"), old, new, strict=False):
        if a != b:
            return f"{what}: {a} -> {b}"
    for n, (a, b) in enumerate(zip(old[3:], new[3:], strict=False)):
        if a != b:
            return f"argument {n}: {_of_argument(a, b)}"
    return "how arguments share memory"


def _of_argument(old: Any, new: Any) -> str:
    if not (isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new)):
        return "another object" if type(old) is type(new) else "of another kind"
    if len(old) == 2:
        return f"{old[1]} -> {new[1]}"
    for what, a, b in zip(("dtype", "shape", "strides", "writeable", "requires_grad", "whether it has no gradient"), old, new, strict=False):
        if a != b:
            return f"{what} {a} -> {b}"
    return "how it shares memory with others"


def closest(key: Any, spec: Any, known: Iterable[tuple[Any, Any]]) -> str | None:
    """What tells a call from the most similar of the kinds that are known."""
    best = max(known, key=lambda k: (k[0] == spec, sum(a == b for a, b in zip(k[1], key, strict=False))), default=None)
    return None if best is None else between(best[1], key, best[0], spec)


def of_surroundings(variant: Any) -> str:
    """Why a variant does not stand for its function any more."""
    changed = variant.watch.changed()
    if changed is not None:
        return f"'{changed}'"
    tensors = variant.watch.tensors
    if [t.grad is None for t in tensors] != variant.no_grads:
        return "which tensors have a gradient"
    if list(map(demands, tensors)) != variant.require_grads:
        return "which tensors require a gradient"
    if variant.watch.settings_changed():
        return "a hyperparameter that chooses the kernel"
    return "the shape or memory of a parameter, buffer or state"


__all__ = ["between", "closest", "logger", "of_surroundings"]
