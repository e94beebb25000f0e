"""Everything that touches Numba: kernels, their launch, their cache, vectorisable mathematics, code generation."""

from .kernel import DISABLED, Kernel, Observer, device, empty, kernel, launch, observe, prange, read, verify, zeros
from .threads import get_num_threads, set_num_threads

__all__ = [
    "DISABLED", "Kernel", "Observer", "device", "empty", "get_num_threads", "kernel", "launch", "observe", "prange", "read",
    "set_num_threads", "verify", "zeros",
]  # fmt: skip
