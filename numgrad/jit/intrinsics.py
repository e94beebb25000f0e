"""Single LLVM instructions that Numba has no name for, each a Python function that does the same.

In compiled code a call of one of these is the instruction. In plain Python (``NUMBA_DISABLE_JIT=1``) the same name is
the function below, which computes the same bits on NumPy scalars. ``@native(kinds)`` pairs the two.

Floats are ``float32`` or ``float64``, integers ``int32`` or ``int64``, and a result has the type of the first argument
unless said otherwise: ``like(x, 0.5)`` writes a literal in the type of ``x``, so that one body serves both widths.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, overload

from .overlap import pays

# Options of every scalar function that kernels call. fastmath is refused, not inherited from the caller: a function
# whose error bound rests on the order of its roundings keeps them, and the scalar remainder of a loop gives the bits
# of its vector body.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "forceinline": True}
scalar = njit(**_OPTIONS)

_INTEGER_OF = {types.float32: types.int32, types.float64: types.int64}
_FLOAT_OF = {integer: real for real, integer in _INTEGER_OF.items()}


def native(emit: Callable[..., Any], returns: Any = None, accepts: Any = None, leading: int = 0, kinds: Any = types.Number) -> Callable[..., Any]:
    """Give a Python function an instruction: ``emit(context, builder, argument types, argument values)`` writes it.

    The result and all arguments have the type of the leading argument, unless ``returns(*types)`` names the result's
    type (None where the arguments do not fit) and ``accepts(*types)`` those of the arguments. The leading argument is of ``kinds``.
    """

    def pair(twin: Callable[..., Any]) -> Callable[..., Any]:
        class Template(AbstractTemplate):  # type: ignore[misc]
            key = twin

            def generic(self, arguments, keywords):  # type: ignore[no-untyped-def]
                if keywords or len(arguments) <= leading or not isinstance(arguments[leading], kinds):
                    return None
                kind = types.unliteral(arguments[leading])
                result = returns(*arguments) if returns else kind
                wanted = accepts(*arguments) if accepts else (kind,) * len(arguments)
                return None if result is None else signature(result, *wanted)

        @lower_builtin(twin, types.VarArg(types.Any))
        def lower(context, builder, call, values):  # type: ignore[no-untyped-def]
            return emit(context, builder, call.args, values)

        infer_global(twin, types.Function(Template))
        return twin

    return pair


def by_width_of_first(narrow: Callable[..., Any], wide: Callable[..., Any]) -> Callable[..., Any]:
    """``by_width`` for functions of two arguments, both as wide as the first."""

    def choose(x, y):  # type: ignore[no-untyped-def]
        return narrow(x, y) if x.itemsize == 4 else wide(x, y)

    @overload(choose, jit_options=_OPTIONS)
    def implementation(x, y):  # type: ignore[no-untyped-def]
        return (lambda x, y: narrow(x, y)) if x == types.float32 else (lambda x, y: wide(x, y))

    return choose


def by_width(narrow: Callable[..., Any], wide: Callable[..., Any]) -> Callable[..., Any]:
    """One name for two scalar functions of one argument: ``narrow`` takes a float32, ``wide`` a float64."""

    def choose(x):  # type: ignore[no-untyped-def]
        return narrow(x) if x.itemsize == 4 else wide(x)

    @overload(choose, jit_options=_OPTIONS)
    def implementation(x):  # type: ignore[no-untyped-def]
        return (lambda x: narrow(x)) if x == types.float32 else (lambda x: wide(x))

    return choose


def _call(builder, name, values):  # type: ignore[no-untyped-def]
    """Call ``llvm.<name>.<type>``, whose arguments and result are all of one type."""
    kind = values[0].type
    shape = ir.FunctionType(kind, [kind] * len(values))
    return builder.call(builder.module.declare_intrinsic(f"llvm.{name}", (kind,), shape), values)


def _llvm(name: str) -> Callable[..., Any]:
    return lambda context, builder, kinds, values: _call(builder, name, values)


def _instruction(name: str) -> Callable[..., Any]:
    return lambda context, builder, kinds, values: getattr(builder, name)(*values)


def _bitcast(result_of: dict[Any, Any]) -> Callable[..., Any]:
    return lambda context, builder, kinds, values: builder.bitcast(
        values[0], context.get_value_type(result_of[kinds[0]]))


# --- literals ---------------------------------------------------------------------------------------------------


def _side(kind: Any) -> int:
    return 0 if kind.bitwidth == 32 else 1


def _emit_like(context, builder, kinds, values):  # type: ignore[no-untyped-def]
    value, kind = values[1], kinds[1]
    if isinstance(kind, types.BaseTuple):
        value, kind = builder.extract_value(value, _side(kinds[0])), kind[_side(kinds[0])]
    return context.cast(builder, value, kind, kinds[0])


@native(_emit_like, accepts=lambda *kinds: tuple(types.unliteral(kind) for kind in kinds))
def like(x, value):
    """``value`` in the type of ``x``; of a pair, the first where ``x`` has 32 bits and the second where it has 64."""
    if isinstance(value, tuple):
        value = value[0 if x.itemsize == 4 else 1]
    return type(x)(value)


def _emit_polynomial(context, builder, kinds, values):  # type: ignore[no-untyped-def]
    kind, coefficients, parts = kinds[0], values[1], kinds[1]
    if isinstance(parts[0], types.BaseTuple):
        coefficients, parts = builder.extract_value(coefficients, _side(kind)), parts[_side(kind)]
    terms = [context.cast(builder, builder.extract_value(coefficients, i), parts[i], kind) for i in range(len(parts))]
    total = terms.pop()
    while terms:
        total = _call(builder, "fma", [total, values[0], terms.pop()])
    return total


@native(_emit_polynomial, accepts=lambda *kinds: kinds)
def polynomial(x, coefficients):
    """``c[0] + c[1] x + c[2] x² + ...`` by Horner's rule; of a pair of tuples the one for the width of ``x``."""
    if isinstance(coefficients[0], tuple):
        coefficients = coefficients[0 if x.itemsize == 4 else 1]
    total = like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = fma(total, x, like(x, coefficient))
    return total


def _pairs(terms: list[Any], x: Any, times: Callable[..., Any], plus: Callable[..., Any]) -> Any:
    while len(terms) > 1:
        joined = [plus(b, x, a) for a, b in zip(terms[:-3:2], terms[1:-2:2])]
        *_, a, b, c = terms if len(terms) % 2 else [*terms, None]
        terms = [*joined, plus(b if c is None else plus(c, x, b), x, a)]
        x = times(x, x) if len(terms) > 1 else x
    return terms[0]


def _emit_polynomial_in_pairs(context, builder, kinds, values):  # type: ignore[no-untyped-def]
    terms = [context.cast(builder, builder.extract_value(values[1], i), kind, kinds[0]) for i, kind in enumerate(kinds[1])]
    return _pairs(terms, values[0], builder.fmul, lambda *values: _call(builder, "fma", list(values)))


@native(_emit_polynomial_in_pairs, accepts=lambda *kinds: kinds)
def polynomial_in_pairs(x, coefficients):
    """``polynomial`` of one tuple by Estrin's scheme: more operations, of which fewer wait for each other."""
    return _pairs([like(x, c) for c in coefficients], x, lambda a, b: a * b, fma)


# --- bits -------------------------------------------------------------------------------------------------------


@native(_bitcast(_INTEGER_OF), returns=_INTEGER_OF.get)
def float_bits(x):
    """The bits of a float, as the integer of its width."""
    return np.asarray(x).view(np.int32 if x.itemsize == 4 else np.int64)[()]


@native(_bitcast(_FLOAT_OF), returns=_FLOAT_OF.get)
def bits_float(i):
    """The float that has the bits of an integer."""
    return np.asarray(i).view(np.float32 if i.itemsize == 4 else np.float64)[()]


# Numba widens int32 arithmetic to int64, which halves the lanes of a loop; these keep the width and wrap around.

@native(_instruction("add"))
def add_bits(i, j):
    """``i + j`` in the width of ``i``, wrapping around."""
    with np.errstate(over="ignore"):
        return i + type(i)(j)


@native(_instruction("sub"))
def subtract_bits(i, j):
    """``i - j`` in the width of ``i``, wrapping around."""
    with np.errstate(over="ignore"):
        return i - type(i)(j)


@native(_instruction("and_"))
def and_bits(i, j):
    """Bitwise and, in the width of ``i``."""
    return i & type(i)(j)


@native(_instruction("xor"))
def xor_bits(i, j):
    """Bitwise exclusive or, in the width of ``i``."""
    return i ^ type(i)(j)


@native(_instruction("shl"))
def shift_left(i, places):
    """``i`` shifted left by a number of places below its width."""
    return i << type(i)(places)


@native(_instruction("lshr"))
def shift_right(i, places):
    """``i`` shifted right by a number of places below its width; zeros come in from the left."""
    unsigned = np.uint32 if i.itemsize == 4 else np.uint64
    return (i.view(unsigned) >> unsigned(places)).view(type(i))


# --- choice -----------------------------------------------------------------------------------------------------


@native(_instruction("select"), accepts=lambda condition, yes, no: (types.boolean, yes, yes), leading=1)
def select(condition, yes, no):
    """``yes`` where the condition holds, else ``no``; both are computed, so a loop over it has no branch."""
    chosen = yes if condition else no
    return np.float64(chosen) if isinstance(chosen, float) else chosen


@native(_llvm("maximum"))
def maximum(x, y):
    """The greater of two floats; NaN where either is NaN; +0 is above -0."""
    if x != x or y != y:
        return x + y
    if x == y:
        return y if np.signbit(x) else x
    return x if x > y else y


@native(_llvm("minimum"))
def minimum(x, y):
    """The smaller of two floats; NaN where either is NaN; -0 is below +0."""
    if x != x or y != y:
        return x + y
    if x == y:
        return x if np.signbit(x) else y
    return x if x < y else y


def _emit_settled(context, builder, kinds, values):  # type: ignore[no-untyped-def]
    if not pays():
        return values[0]
    frozen = ir.instructions.Instruction(builder.block, values[0].type, "freeze", values)  # for which llvmlite has no name
    builder._insert(frozen)
    return frozen


@native(_emit_settled, kinds=(types.Number, types.Boolean))
def settled(x):
    """``x``, just loaded, where it may be kept: stored again is what is chosen, ``x`` or something else.

    LLVM would store the something else under a mask, which on CPUs with AVX2 takes ten times as long as a plain store; it does
    not where it cannot see that ``x`` is what the memory holds.
    """
    return x


# --- rounding once ----------------------------------------------------------------------------------------------


def _fma32(x, y, z):
    product = float(x) * float(y)                                 # 48 bits: exact in float64
    total = product + float(z)
    part = total - product
    error = (product - (total - part)) + (float(z) - part)
    if error and not np.float64(total).view(np.int64) & 1:        # to odd, so that rounding twice is rounding once
        total = math.nextafter(total, math.copysign(math.inf, error))
    return np.float32(total)


def _fma64(x, y, z):
    (a, p), (b, q), (c, r) = (float(v).as_integer_ratio() for v in (x, y, z))
    exact = a * b * r + c * p * q
    try:
        return np.float64(exact / (p * q * r))                    # Python divides integers with one rounding
    except OverflowError:
        return np.float64(math.inf if exact > 0 else -math.inf)


@native(_llvm("fma"))
def fma(x, y, z):
    """``x y + z`` rounded once. Never left to the compiler: it may contract one copy of a loop and not another."""
    if not math.isfinite(z) and math.isfinite(x) and math.isfinite(y):
        return type(x)(z)                                         # even where the product overflows
    if x == 0 or y == 0 or not (math.isfinite(x) and math.isfinite(y)):
        return np.multiply(x, y) + z                              # exact, or decided by infinities and NaN
    return _fma32(x, y, z) if isinstance(x, np.float32) else _fma64(x, y, z)


# --- one-instruction functions ----------------------------------------------------------------------------------


@native(_llvm("sqrt"))
def sqrt(x):
    """Square root, correctly rounded; NaN below zero."""
    return np.sqrt(x)


@native(_llvm("fabs"))
def fabs(x):
    """``x`` without its sign."""
    return np.abs(x)


@native(_llvm("copysign"))
def copysign(x, y):
    """The magnitude of ``x`` with the sign of ``y``."""
    return np.copysign(x, y)


@native(_llvm("floor"))
def floor(x):
    """The greatest integer not above ``x``."""
    return np.floor(x)


@native(_llvm("ceil"))
def ceil(x):
    """The least integer not below ``x``."""
    return np.ceil(x)


@native(_llvm("trunc"))
def trunc(x):
    """The integer part of ``x``."""
    return np.trunc(x)


@native(_llvm("roundeven"))
def round_even(x):
    """The integer nearest to ``x``, the even one of two."""
    return np.rint(x)


@native(_instruction("frem"))
def fmod(x, y):
    """The remainder of a division that rounds towards zero, exact; it has the sign of ``x``."""
    return np.fmod(x, y)


@native(lambda context, builder, kinds, values: context.cast(builder, values[0], kinds[0], types.float64),
        returns=lambda x: types.float64)  # fmt: skip
def widen(x):
    """A float as a float64."""
    return np.float64(x)
