"""numgrad.compile: a whole step as one native call. Recorded below the ops, on launches; guarded, planned, replayed."""

from .function import Compiled, compile, disable, is_compiling

__all__ = ["Compiled", "compile", "disable", "is_compiling"]
