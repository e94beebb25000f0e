"""Pieces of LLVM that Numba does not offer by itself, each with a Python twin for runs without the JIT."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from .kernel import DISABLED, device

if DISABLED:

    def select(condition: Any, a: Any, b: Any) -> Any:
        """a where the condition holds, else b; both are computed."""
        return a if condition else b

else:

    @intrinsic
    def select(typing_context, condition, a, b):  # type: ignore[no-untyped-def]
        """a where the condition holds, else b; both are computed, so the loop around it vectorises."""
        result = typing_context.unify_types(a, b)
        if result is None or not isinstance(condition, types.Boolean):
            return None

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            condition, a, b = arguments
            a = context.cast(builder, a, signature.args[1], signature.return_type)
            b = context.cast(builder, b, signature.args[2], signature.return_type)
            return builder.select(condition, a, b)

        return result(condition, a, b), generate


@device
def integer_power(base, exponent):  # type: ignore[no-untyped-def]
    """base ** exponent of integers, wrapping around; a negative exponent gives what the division 1 / base**n rounds to."""
    result, square, rest = 1, base, exponent
    while rest > 0:
        if rest & 1:
            result = result * square
        square = square * square
        rest >>= 1
    if exponent < 0:
        result = 1 if base == 1 else (1 - 2 * (exponent & 1) if base == -1 else 0)
    return result
