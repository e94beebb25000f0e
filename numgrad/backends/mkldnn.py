"""oneDNN: not used; its settings are kept, without effect."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ._flags import setting

enabled: bool = False
deterministic: bool = True


def is_available() -> bool:
    """Always False: convolutions are numgrad's own."""
    return False


def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> AbstractContextManager[None]:
    """Settings for the length of a `with` block; without effect."""
    return setting(__name__, {"enabled": enabled, "deterministic": deterministic})
