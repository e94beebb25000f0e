"""Everything that touches Numba: kernels, their launch, their cache, vectorisable mathematics, code generation."""

from .borrow import span
from .kernel import (
    DISABLED,
    GRAIN,
    Kernel,
    Observer,
    device,
    empty,
    kernel,
    launch,
    launch_flat,
    observe,
    prange,
    read,
    verify,
    zeros,
)
from .threads import get_num_threads, set_num_threads

__all__ = [
    "DISABLED", "GRAIN", "Kernel", "Observer", "device", "empty", "get_num_threads", "kernel", "launch", "launch_flat", "observe",
    "prange", "read", "set_num_threads", "span", "verify", "zeros",
]  # fmt: skip
