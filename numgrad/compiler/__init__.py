"""numgrad.compile: a whole step as one native call. Recorded below the ops, on launches; guarded, planned, replayed."""

from .explain import Explanation, explain
from .function import Compiled, compile, disable, is_compiling

__all__ = ["Compiled", "Explanation", "compile", "disable", "explain", "is_compiling"]
