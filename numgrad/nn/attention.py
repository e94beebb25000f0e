"""Which kernel attention uses: numgrad has one, tiled and exact, so that a choice is accepted and changes nothing."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """The names of PyTorch's kernels for scaled dot-product attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: SDPBackend | list[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """Accepted: `scaled_dot_product_attention` computes the same whatever is chosen. AssertionError for what is no backend."""
    for backend in backends if isinstance(backends, (list, tuple)) else [backends]:
        assert isinstance(backend, SDPBackend), f"Backend must be an instance of SDPBackend, but got {backend!r}"
    yield
