"""Everything that touches Numba: kernels, their launch, their cache, vectorisable mathematics, code generation."""

from .kernel import DISABLED, Kernel, device, empty, kernel, launch, observe, prange, zeros
from .threads import get_num_threads, set_num_threads

__all__ = [
    "DISABLED", "Kernel", "device", "empty", "get_num_threads", "kernel", "launch", "observe", "prange",
    "set_num_threads", "zeros",
]  # fmt: skip
