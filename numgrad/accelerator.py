"""Accelerators as scripts find them on a machine without."""

from __future__ import annotations

from typing import Any

from numgrad.lacking import refused

_GUARD = "there is no accelerator; guard the call with `numgrad.accelerator.is_available()`"


def is_available() -> bool:
    """Always False."""
    return False


def device_count() -> int:
    """Always 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """Always None."""


def synchronize(device: Any = None) -> None:
    """Nothing to wait for: operations have finished when they return."""


def current_device_index() -> int:
    """Always an error: there is no accelerator."""
    raise RuntimeError(f"numgrad has no accelerator.current_device_index: {_GUARD}")


set_device_index = refused("accelerator.set_device_index", _GUARD, RuntimeError)
set_device_idx = set_device_index
current_stream = refused("accelerator.current_stream", _GUARD, RuntimeError)


class device_index:
    """A `with` block that does nothing for None, and is an error for a number."""

    def __init__(self, device: int | None):
        if device is not None:
            raise RuntimeError(f"numgrad has no accelerator.device_index({device}): {_GUARD}")

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: Any) -> None: ...
