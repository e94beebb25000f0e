"""Loops that compute several vectors side by side, shorter forms near zero, sums of runs: the same numbers, however long a row."""

import numpy as np
import pytest

import numgrad
from numgrad.jit import codegen, formula, vmath
from numgrad.jit.kernel import DISABLED, device, kernel
from numgrad.jit.overlap import vectors
from numgrad.jit.total import total


@device(overlap=4)
def _several(y, x):  # type: ignore[no-untyped-def]
    for j in range(y.size):
        y[j] = vmath.exp(x[j])


@kernel
def _exp(y, x):  # type: ignore[no-untyped-def]
    _several(y, x)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 31, 32, 33, 63, 65, 200])
def test_rows_of_any_length(size: int) -> None:
    x = np.linspace(-3, 3, size, dtype=np.float32)
    y, one = np.empty_like(x), np.empty(1, np.float32)
    _exp.serial(y, x)
    for i in range(size):
        _exp.serial(one, x[i : i + 1])
        assert one[0] == y[i]


def test_long_formulas_overlap_less() -> None:
    assert [vectors(cost) for cost in (1, 7, 8, 24, 25, 64, 65)] == [1, 1, 4, 4, 2, 2, 1]


@pytest.mark.skipif(DISABLED, reason="plain Python computes either way")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_near_zero_the_bits_are_those_of_the_whole_range(name: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    x = (generator.standard_normal(2000) * 10.0 ** generator.uniform(-12, 11, 2000)).astype(dtype)
    x[:4] = 0.0, -0.0, 3.1415927, -1e-40
    made = codegen.pointwise(name, formula.parse(f"{name}(x)"), ["x"], "ff", np.dtype(dtype), np.dtype(dtype))
    near, far = np.empty_like(x), np.empty(x.size + 1, dtype)
    made.serial(near, x)
    made.serial(far, np.append(x, dtype(1e30)))  # one that is far makes all of its tile so
    assert near.tobytes() == far[:-1].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 3, 8, 9, 31, 40, 128, 135, 1000])
def test_totals(size: int, dtype: type) -> None:
    @kernel
    def run(y, x):  # type: ignore[no-untyped-def]
        y[0] = total(x)

    x = np.random.default_rng(size).standard_normal(size).astype(dtype)
    found = np.empty(1)
    run.serial(found, x)
    exact, scale = x.astype(float).sum(), np.abs(x).astype(float).sum()
    assert abs(found[0] - exact) <= 4 * np.finfo(dtype).epsneg * scale
    if size:
        x[-1] = np.inf
        run.serial(found, x)
        assert found[0] == np.inf


@pytest.mark.parametrize("size", [5, 100])
def test_what_is_changed_in_place(size: int) -> None:
    x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    x[1] = np.nan
    found = numgrad.tensor(x.copy())
    found.relu_()
    np.testing.assert_array_equal(found.numpy(), np.where(x < 0, np.float32(0), x))
