"""The generic test: whatever is in REGISTRY is checked here, without another line anywhere.

Without the JIT, hypothesis looks for counterexamples (`NUMBA_DISABLE_JIT=1`); with it, a few fixed samples go through the
real kernels. `python -m tests` runs both. One op: `python -m pytest tests/test_ops.py -k "exp-"`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from numgrad.jit import DISABLED
from numgrad.ops import REGISTRY
from numgrad.ops.elementwise import Pointwise
from numgrad.ops.record import Op
from numgrad.testing import checks
from numgrad.testing.case import Case
from numgrad.testing.draw import numpy_draw
from numgrad.testing.dtype_checks import check_dtypes
from numgrad.testing.strategies import cases, draws

SAMPLED = [name for name, op in REGISTRY.items() if op.sample is not None]
WITH_ERRORS = [name for name, op in REGISTRY.items() if op.errors]
interpreted = pytest.mark.skipif(not DISABLED, reason="runs without the JIT, in its own lane")
native = pytest.mark.skipif(DISABLED, reason="needs real kernels")


def each(names: list[str]) -> Any:
    return pytest.mark.parametrize("op", [pytest.param(REGISTRY[n], id=f"{n}-") for n in names])


def exploring(examples: int) -> settings:
    """Deterministic, and failures are made small."""
    phases = [Phase.generate, Phase.shrink]
    return settings(max_examples=examples, derandomize=True, database=None, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))


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
@each(SAMPLED)
def test_layouts(op: Op) -> None:
    search(op, checks.check_layouts, 8)


@interpreted
@each([n for n in SAMPLED if REGISTRY[n].inplace])
def test_inplace(op: Op) -> None:
    search(op, checks.check_inplace, 8)


@interpreted
@each(SAMPLED)
def test_dtypes(op: Op) -> None:
    @exploring(30 if isinstance(op, Pointwise) else 10)
    @given(draws(np.float32))
    def run(draw: Any) -> None:
        check_dtypes(op, draw)

    run()


@interpreted
@each(WITH_ERRORS)
def test_errors(op: Op) -> None:
    checks.check_errors(op)


# --- with it: real kernels ------------------------------------------------------------------------------------------


def sample(op: Op, seed: int, dtype: Any, side: int = 4) -> Case:
    return Case.drawn(op, numpy_draw(seed, dtype, side))


@native
@each(SAMPLED)
def test_native(op: Op) -> None:
    """Values and gradients in float32, and the same bits on any number of threads."""
    for seed in range(2):
        case = sample(op, seed, np.float32)
        checks.check_value(case)
        checks.check_gradient_of_reference(case)
    checks.check_threads(sample(op, 2, np.float32, side=24))
