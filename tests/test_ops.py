"""The generic test: whatever is in REGISTRY is checked here, without another line anywhere.

Without the JIT, hypothesis looks for counterexamples (`NUMBA_DISABLE_JIT=1`); with it, a few fixed samples go through the
real kernels. `python -m tests` runs both. One op: `python -m pytest tests/test_ops.py -k "exp-"`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import numgrad
from numgrad.ops import REGISTRY
from numgrad.ops.elementwise import Pointwise
from numgrad.ops.record import MISSING, Op, OpNode
from numgrad.testing import checks
from numgrad.testing.bad_inputs import check_bad_inputs
from numgrad.testing.case import Case
from numgrad.testing.draw import Draw, numpy_draw
from numgrad.testing.dtype_checks import check_dtypes
from numgrad.testing.gradients import backward_of, gradients, upstream
from numgrad.testing.half_checks import check_halves
from numgrad.testing.inplace_checks import check_inplace
from numgrad.testing.strategies import cases, draws
from numgrad.testing.suite import checks_of

SAMPLED = [name for name, op in REGISTRY.items() if op.sample is not None]
WITH_ERRORS = [name for name, op in REGISTRY.items() if op.errors]
interpreted, native = pytest.mark.interpreted, pytest.mark.native


def each(names: list[str]) -> Any:
    return pytest.mark.parametrize("op", [pytest.param(REGISTRY[n], id=f"{n}-") for n in names])


def exploring(examples: int) -> settings:
    """Deterministic, and failures are made small."""
    phases = [Phase.generate, Phase.shrink]
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


def search(op: Op, check: Callable[[Case], None], examples: int, dtype: Any = np.float64) -> None:
    """Run a check on an op's samples as hypothesis chooses them."""

    @exploring(examples)
    @given(cases(op, dtype))
    def run(case: Case) -> None:
        check(case)

    run()


# --- without the JIT: many small samples ----------------------------------------------------------------------------


@interpreted
@each(SAMPLED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_value(op: Op, dtype: Any) -> None:
    search(op, checks.check_value, 20, dtype)


@interpreted
@each(SAMPLED)
def test_gradient(op: Op) -> None:
    search(op, checks.check_gradient, 10)


@interpreted
@each(SAMPLED)
def test_second_gradient(op: Op) -> None:
    search(op, checks.check_second_gradient, 6)


@interpreted
@each([n for n in SAMPLED if not isinstance(REGISTRY[n], Pointwise)])
def test_third_gradient(op: Op) -> None:
    """Backward ops come in pairs, each the gradient of the other: both have been differentiated after three."""
    search(op, functools.partial(checks.check_second_gradient, order=3), 2)


@interpreted
@each(SAMPLED)
def test_layouts(op: Op) -> None:
    search(op, checks.check_layouts, 8)


@interpreted
@each([n for n in SAMPLED if REGISTRY[n].inplace])
def test_inplace(op: Op) -> None:
    search(op, check_inplace, 8)


@interpreted
@each(SAMPLED)
def test_dtypes(op: Op) -> None:
    @exploring(30 if isinstance(op, Pointwise) else 10)
    @given(draws(np.float32))
    def run(draw: Any) -> None:
        check_dtypes(op, draw)

    run()


@interpreted
@each(SAMPLED)
def test_halves(op: Op) -> None:
    for dtype in (numgrad.float16, numgrad.bfloat16):
        check_halves(Case.drawn(op, numpy_draw(zlib.crc32(op.name.encode()), np.float32, side=4)), dtype)


@interpreted
@each([n for n in SAMPLED if checks_of(REGISTRY[n]).count("bad input")])
def test_bad_inputs(op: Op) -> None:
    """Wrong arguments, one at a time, made from right ones."""
    for seed in range(2):
        check_bad_inputs(sample(op, seed, np.float64))


@interpreted
@each(WITH_ERRORS)
def test_errors(op: Op) -> None:
    checks.check_errors(op)


@interpreted
def test_every_public_op_declares_errors() -> None:
    assert [n for n in SAMPLED if (REGISTRY[n].public or REGISTRY[n].method) and not REGISTRY[n].errors] == []


@interpreted
@each(SAMPLED)
def test_an_unknown_keyword_names_the_op(op: Op) -> None:
    case = sample(op, 0, np.float64)
    args, kwargs = case.fill([numgrad.tensor(a) for a in case.arrays])
    forms = [op, getattr(args[0], f"{op.name}_").__func__] if op.inplace and isinstance(args[0], numgrad.Tensor) else [op]
    for form in forms:
        with pytest.raises(TypeError, match=rf"^{op.name}\w*\(\) got an unexpected keyword argument 'no_such'"):
            form(*args, **kwargs, no_such=1)


# --- every op, also those that only other ops call -------------------------------------------------------------------


@interpreted
def test_every_op_is_tested() -> None:
    """An op without a sample is internal, and some sampled op reaches it, and its gradient."""
    unsampled = [op for op in REGISTRY.values() if op.sample is None]
    assert [op.name for op in unsampled if op.public] == [], "public ops need a sample"
    wanted = {op.name for op in unsampled}
    wanted |= {f"gradient of {op.name}" for op in unsampled if op.vjp not in (None, MISSING) and not op.composite}
    for seed in range(40):  # all but a few are reached by the first
        for name in SAMPLED if wanted else ():
            wanted -= reached(sample(REGISTRY[name], seed, np.float64))
    assert sorted(wanted) == [], "no sample reaches these"


@interpreted
def test_every_sampled_op_has_a_reference_or_is_random() -> None:
    """Without one, only gradients and precision are checked: right for backward ops, which nobody calls by name."""
    without = [n for n in SAMPLED if REGISTRY[n].reference is None and not REGISTRY[n].random]
    assert not [n for n in without if REGISTRY[n].public], f"public ops need a reference: {without}"


def reached(case: Case) -> set[str]:
    """The ops that run in a call and its first three gradients, and those whose own gradient runs."""
    found: set[str] = set()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.suppress(Exception),
    ):  # what fails here fails in the op's tests
        for kind in {k for op in REGISTRY.values() for k in type(op).__mro__ if issubclass(k, Op) and "__call__" in vars(k)}:
            watch(patch, kind, "__call__", lambda op, *_: found.update((op.name, getattr(op, "inner", op).name)))  # a `Front` has one
        # an op whose gradient runs has been called, if not by the door: calls that are planned go past it
        watch(patch, OpNode, "gradients", lambda node, *_: found.update((node.op.name, f"gradient of {node.op.name}")))
        function, arrays = case.function(case.floats), [case.arrays[i] for i in case.floats]
        for _ in range(3):
            weights = upstream(function, arrays)
            gradients(function, arrays, weights)
            function, arrays = backward_of(function, len(arrays)), [*arrays, *weights]
    return found


def watch(patch: pytest.MonkeyPatch, owner: type, name: str, note: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        note(*args)
        return original(*args, **kwargs)

    patch.setattr(owner, name, wrapped)


# --- with it: real kernels ------------------------------------------------------------------------------------------


class PlainDraw(Draw):
    """Operands of one shape and no numbers among them: each layout is a kernel of its own, and compiling takes time."""

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape itself."""
        return shape


def sample(op: Op, seed: int, dtype: Any, side: int = 4, kind: type[Draw] = Draw) -> Case:
    rng = np.random.default_rng([seed, zlib.crc32(op.name.encode())])
    return Case.drawn(op, kind(lambda low, high: int(rng.integers(low, high, endpoint=True)), dtype, side))


def distinct(names: list[str]) -> list[str]:
    """Without formulas that another op has too: their kernels are the same but for the name."""
    seen: dict[Any, str] = {}
    for name in names:
        op = REGISTRY[name]
        key = (ast.unparse(op.tree), op.kind, tuple(op.variables), str(op.grad)) if isinstance(op, Pointwise) else name
        seen.setdefault(key, name)
    return list(seen.values())


@native
@each(distinct(SAMPLED))
def test_native(op: Op) -> None:
    """Values and gradients in float32."""
    for seed in range(2):
        case = sample(op, seed, np.float32, kind=PlainDraw)
        checks.check_value(case)
        checks.check_gradient_of_reference(case)


# Formulas share their loops: a few stand for all.
FORMULAS = ["mul", "exp", "where", "lerp", "maximum"]


@native
@each([n for n in SAMPLED if n in FORMULAS or not (isinstance(REGISTRY[n], Pointwise) or REGISTRY[n].random)])
def test_threads(op: Op) -> None:
    """The same bits from serial and parallel kernels, on any number of threads."""
    cases = (sample(op, seed, np.float32, side=24, kind=PlainDraw) for seed in range(2, 100))
    checks.check_threads(next(case for case in cases if all(a.size for a in case.arrays)))


@native
@each(FORMULAS)
def test_layouts_of_formulas(op: Op) -> None:
    """Strided, broadcast and transposed operands, which have kernels of their own."""
    for seed in range(4):
        case = sample(op, seed, np.float32)
        checks.check_value(case)
        checks.check_layouts(case)
