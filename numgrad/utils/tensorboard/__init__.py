"""Training logs for TensorBoard: `SummaryWriter`, on TensorBoard's own event files (the extra `tensorboard`)."""

from __future__ import annotations

from typing import Any

__all__ = ["FileWriter", "SummaryWriter"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _writer
    except ImportError as error:
        advice = "SummaryWriter needs TensorBoard: pip install 'numgrad[tensorboard]', or pip install tensorboard"
        raise ModuleNotFoundError(f"{advice} ({error})", name=error.name) from error
    return getattr(_writer, name)
