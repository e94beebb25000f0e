"""A `with` block that sets attributes of a module and sets them back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def setting(module: str, values: dict[str, Any]) -> Iterator[None]:
    """Set what is not None, for the length of a block."""
    target = sys.modules[module]
    before = {name: getattr(target, name) for name in values}
    vars(target).update({name: value for name, value in values.items() if value is not None})
    try:
        yield
    finally:
        vars(target).update(before)
