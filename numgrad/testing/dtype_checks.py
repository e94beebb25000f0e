"""Which dtypes come out for which go in: PyTorch's promotion, stated independently of the code that does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops.elementwise import Pointwise
from ..ops.record import Op
from .case import Case, quiet
from .checks import ROUNDINGS, check_close, slack
from .draw import Draw

INTEGERS = (np.int64, np.int32, np.uint8, np.bool_)
#: What an op that does not take a dtype may raise.
REFUSALS = (RuntimeError, TypeError, NotImplementedError, IndexError, ValueError)


def check_dtypes(op: Op, draw: Draw) -> None:
    """On integers and bools the op gives the reference's result in the dtype PyTorch gives, or refuses."""
    if op.random or op.reference is None or op.sample is None:
        return
    if isinstance(op, Pointwise) and op.sample == op.sample_operands:
        _check_promotion(op, draw)
        return
    case = Case.drawn(op, draw)
    if case.floats and (op.public or op.method):
        _check_integers(case, draw.choice(INTEGERS))


def _check_integers(case: Case, kind: Any) -> None:
    arrays = [_whole(a).astype(kind) if a.dtype.kind == "f" else a for a in case.arrays]
    whole = case.with_arrays(arrays)
    try:
        # NumPy's exp of uint8 is float16: what the reference gives for the same numbers as floats is as good
        own, floating = (
            whole.expected(),
            whole.with_arrays([a.astype(np.float64) if a.dtype == kind else a for a in arrays]).expected(),
        )
    except Exception:  # the reference, or the op, has no meaning for these numbers
        return
    try:
        actual = whole.results()
    except REFUSALS as error:
        assert str(error), f"{whole!r} raises {type(error).__name__} without a message"
        return
    for i, (a, e, f) in enumerate(zip(actual, own, floating, strict=True)):
        where = f"{whole!r}, result {i}"
        assert a.shape == e.shape, f"{where} has shape {list(a.shape)} instead of {list(e.shape)}"
        assert a.dtype.kind != "f" or e.dtype.kind == "f", f"{where} is {a.dtype}, but the reference gives {e.dtype}"
        best = f if a.dtype.kind == "f" and f.shape == e.shape else e
        eps = float(np.finfo(a.dtype).eps) if a.dtype.kind == "f" else 0.0
        scale = (
            float(np.max(np.abs(np.where(np.isfinite(best), best, 0)), initial=0)) if best.dtype.kind == "f" else 0.0
        )
        check_close(a, best, ROUNDINGS * case.op.tolerance * eps * scale, where)


def _whole(a: np.ndarray) -> np.ndarray:
    """Numbers that every dtype has; rows that are sorted stay so, for an op may need them to be."""
    found = np.asarray(np.nan_to_num(np.abs(np.round(a)), posinf=9))
    return np.sort(found, -1) if a.ndim and bool(np.all(a[..., 1:] >= a[..., :-1])) else found


# --- promotion ------------------------------------------------------------------------------------------------------

_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}


def promoted(operands: Sequence[Any]) -> np.dtype:
    """PyTorch's rule. Categories are bool < integer < float. The highest category decides; among the operands that have it,
    tensors with dimensions decide before tensors without, and those before Python numbers."""
    ranked = [_rank(o) for o in operands]
    highest = max(category for category, _, _ in ranked)
    strength = max(s for category, s, _ in ranked if category == highest)
    return np.result_type(*[d for category, s, d in ranked if (category, s) == (highest, strength)])


def _rank(operand: Any) -> tuple[int, int, np.dtype]:
    if isinstance(operand, np.ndarray):
        return _CATEGORY[operand.dtype.kind], 2 if operand.ndim else 1, operand.dtype
    kind = np.dtype(np.bool_ if isinstance(operand, bool) else np.int64 if isinstance(operand, int) else np.float32)
    return _CATEGORY[kind.kind], 0, kind


def _operand(op: Pointwise, draw: Draw, shape: tuple[int, ...]) -> Any:
    """A tensor of any dtype, or a number where the op takes one, inside the formula's domain."""
    numbers = [] if op.numbers is None else [int, float, bool]
    kind = draw.choice([np.float32, np.float64, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_, *numbers])
    if kind in (float, np.float32, np.float64):
        return (
            draw.number(op.low, op.high) if kind is float else draw.array(shape, op.low, op.high, op.avoid, dtype=kind)
        )
    low = 0 if kind in (np.uint8, np.bool_, bool) else math.ceil(op.low)
    whole = [n for n in range(low, min(math.floor(op.high), 127) + 1) if n not in op.avoid and op.low <= n <= op.high]
    whole = whole if kind not in (bool, np.bool_) else [n for n in whole if n < 2]
    if not whole:
        return draw.array(shape, op.low, op.high, op.avoid)
    if kind in (int, bool):
        return kind(draw.choice(whole))
    return np.asarray(np.array(whole)[draw.integers(shape, 0, len(whole) - 1)], kind)


def _check_promotion(op: Pointwise, draw: Draw) -> None:
    shape = draw.shape()
    first = _operand(op, draw, shape)
    first = first if isinstance(first, np.ndarray) else draw.array(shape, op.low, op.high, op.avoid)
    case = Case(op, (first, *(_operand(op, draw, draw.broadcastable(shape)) for _ in op.variables[1:])))
    compute = promoted(case.args)
    if op.kind == "float" and compute.kind != "f":
        compute = np.dtype(np.float32)
    if _refused(op, case.args, compute.kind):
        _check_refused(case, compute)
        return
    result = np.dtype(np.bool_) if op.kind in ("compare", "logical") else compute
    with quiet():
        # what is computed is computed in the promoted dtype, so the reference gets its operands as that
        exact = Case(op, tuple(np.asarray(a).astype(compute) for a in case.args))
        exact = exact.astype(np.float64)
        try:
            expected = exact.expected()[0]
        except (TypeError, ValueError):  # NumPy has no such function of these dtypes
            return
    actual = case.results()[0]
    assert actual.dtype == result, f"{case!r} is {actual.dtype} instead of {result}"
    eps = float(np.finfo(compute).eps) if compute.kind == "f" else 0.0
    bound = (
        ROUNDINGS
        * op.tolerance
        * (eps * np.abs(np.where(np.isfinite(expected), expected, 0)) + slack(exact, [expected], eps)[0])
        if eps
        else 0.0
    )
    check_close(
        actual, expected.astype(np.float64) if result.kind == "f" else expected.astype(result), bound, repr(case)
    )


def _refused(op: Pointwise, args: Sequence[Any], computed: str) -> bool:
    """Whether an op takes no operands of such dtypes."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    if op.alike and any(a.dtype != args[0].dtype for i, a in enumerate(args) if isinstance(a, np.ndarray) and (a.ndim or i < 2)):
        return True
    if op.kind == "floating":
        return promoted(arrays).kind != "f"
    if op.kind == "signed":
        return any(np.asarray(a).dtype.kind == "b" for a in args)
    return computed in {"integer": "f", "whole": "fb", "number": "b"}.get(op.kind, "")


def _check_refused(case: Case, compute: np.dtype) -> None:
    try:
        case.results()
    except REFUSALS as error:
        assert str(error), f"{case!r} raises {type(error).__name__} without a message"
        return
    raise AssertionError(f"{case!r} computes in {compute}, which '{case.op.name}' is declared not to take")
