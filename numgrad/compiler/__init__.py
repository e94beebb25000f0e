"""numgrad.compile: a whole step as one native call. Recorded below the ops, on launches; guarded, planned, replayed."""

from .explain import Explanation, explain
from .function import Compiled, compile, disable, is_compiling
from .function import CompiledModule as OptimizedModule
from .shims import (
    allow_in_graph,
    assume_constant_result,
    config,
    cudagraph_mark_step_begin,
    graph_break,
    list_backends,
    mark_dynamic,
    mark_static,
    maybe_mark_dynamic,
    reset,
)

__all__ = ["Compiled", "Explanation", "OptimizedModule", "allow_in_graph", "assume_constant_result", "compile", "config", "cudagraph_mark_step_begin", "disable",
           "explain", "graph_break", "is_compiling", "list_backends", "mark_dynamic", "mark_static", "maybe_mark_dynamic", "reset"]  # fmt: skip
