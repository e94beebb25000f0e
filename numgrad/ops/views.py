"""Views: what shares its input's memory, version counter and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .planned import Planned
from .planned import share as share  # ops import it from here
from .record import register


class View(Planned):
    """An op whose result is a view of its first argument. The other arguments are plain data, and all are given."""

    shares = True


def view_op(name: str, forward: Callable[..., Any], **record: Any) -> View:
    """Register an op whose result is a view; it is called by others only."""
    made = View(name, forward, public=False, method=False, **record)
    register(made)
    return made
