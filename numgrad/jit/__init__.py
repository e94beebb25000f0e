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
from .script import (
    Final,
    annotate,
    export,
    freeze,
    ignore,
    is_scripting,
    is_tracing,
    load,
    optimize_for_inference,
    save,
    script,
    script_if_tracing,
    script_method,
    trace,
    trace_module,
    unused,
)
from .threads import get_num_threads, set_num_threads

__all__ = [
    "DISABLED",
    "GRAIN",
    "Final",
    "Kernel",
    "Observer",
    "annotate",
    "device",
    "empty",
    "export",
    "freeze",
    "get_num_threads",
    "ignore",
    "is_scripting",
    "is_tracing",
    "kernel",
    "launch",
    "launch_flat",
    "load",
    "observe",
    "optimize_for_inference",
    "prange",
    "read",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_num_threads",
    "span",
    "trace",
    "trace_module",
    "unused",
    "verify",
    "zeros",
]


def __getattr__(name: str) -> object:
    raise AttributeError(f"numgrad.jit has no '{name}': functions and modules run as Python, and `numgrad.compile` makes them fast", name=name)
