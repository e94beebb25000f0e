"""cuDNN's settings: kept, without effect. numgrad is deterministic always."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ._flags import setting

enabled: bool = True
benchmark: bool = False
benchmark_limit: int = 10
deterministic: bool = False
allow_tf32: bool = False


def is_available() -> bool:
    """Always False."""
    return False


def version() -> None:
    """Always None: there is no cuDNN."""


def is_acceptable(tensor: object) -> bool:
    """Always False."""
    return False


def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False, allow_tf32: bool = True
) -> AbstractContextManager[None]:
    """Settings for the length of a `with` block; without effect."""
    values = {"enabled": enabled, "benchmark": benchmark, "benchmark_limit": benchmark_limit, "deterministic": deterministic, "allow_tf32": allow_tf32}
    return setting(__name__, values)
