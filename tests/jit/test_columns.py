"""Rows folded column by column: the same as NumPy, for any width, number of rows and place of NaN."""

from typing import Any

import numpy as np
import pytest

from numgrad.jit.columns import _FAR, FUNCTIONS
from numgrad.jit.kernel import kernel

sum_columns, largest_columns, smallest_columns = FUNCTIONS.values()


@kernel
def _sum(y, x, first, stop, begin):  # type: ignore[no-untyped-def]
    sum_columns(y, x, 1, first, stop, begin, begin + y.size)


@kernel
def _largest(y, x, first, stop, begin):  # type: ignore[no-untyped-def]
    largest_columns(y, x, 1, first, stop, begin, begin + y.size)


@kernel
def _smallest(y, x, first, stop, begin):  # type: ignore[no-untyped-def]
    smallest_columns(y, x, 1, first, stop, begin, begin + y.size)


PAIRS = [(_sum, np.sum), (_largest, np.max), (_smallest, np.min)]
WIDTHS = [1, 3, 4, 7, 8, 9, 31, 32, 33, 40, 63, 100]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pitch", [110, _FAR + 60])
def test_any_part_of_a_matrix(pair: Any, dtype: type, pitch: int) -> None:
    folded, expected = pair
    x = np.random.default_rng(0).integers(-50, 50, (3, 30, pitch)).astype(dtype)  # sums of integers are exact in any order
    for width in WIDTHS:
        for first, stop, begin in ((0, 30, 0), (5, 6, 3), (2, 9, 10), (7, 26, 1), (0, 8, pitch - width)):
            memory = np.full(width + 20, 77, dtype)
            folded.serial(memory[10 : 10 + width], x, first, stop, begin)
            assert (memory[10 : 10 + width] == expected(x[1, first:stop, begin : begin + width], axis=0)).all()
            assert (memory[:10] == 77).all() and (memory[10 + width :] == 77).all()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nan_is_found_in_every_row(pair: Any, width: int) -> None:
    folded, expected = pair
    for rows in (1, 4, 6):
        for row in range(rows):
            x = np.random.default_rng(row).standard_normal((2, rows, width))
            x[1, row, ::3] = np.nan
            x[1, (row + 1) % rows, 1::3] = np.inf
            y = np.empty(width)
            folded.serial(y, x, 0, rows, 0)
            assert np.allclose(y, expected(x[1], axis=0), rtol=0, atol=1e-14, equal_nan=True)  # six numbers below 4: five roundings of 2**-50


def test_of_no_rows() -> None:
    y = np.empty(9)
    for (folded, _), nothing in zip(PAIRS, [0.0, -np.inf, np.inf], strict=True):
        folded.serial(y, np.ones((2, 4, 9)), 2, 2, 0)
        assert (y == nothing).all()
