"""The largest and smallest number of a row, and where they are: at all lengths around vectors, with NaN, infinities and ties."""

import numpy as np
import pytest

from numgrad.jit import kernel, launch, prange
from numgrad.jit.search import find, largest, smallest


@kernel
def _search(places, values, x, low):  # type: ignore[no-untyped-def]
    for i in prange(x.shape[0]):
        values[i] = smallest(x[i]) if low else largest(x[i])
        places[i] = find(x[i], values[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_search(dtype):
    rng = np.random.default_rng(0)
    for n in [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 130, 191, 1000]:
        x = rng.integers(-n // 2, n // 2 + 1, (24, n)).astype(dtype)
        x[::5, rng.integers(0, n, 5)] = np.nan
        x[::7, rng.integers(0, n)] = np.nan
        x[1], x[2], x[3] = -np.inf, np.inf, -0.0
        x[4, : n // 2] = 0.0
        for low, value, place in ((0, np.max, np.argmax), (1, np.min, np.argmin)):
            values, places = np.empty(24, dtype), np.empty(24, np.int64)
            launch(_search, places, values, x, low)
            np.testing.assert_array_equal(values, value(x, 1))
            np.testing.assert_array_equal(places, place(x, 1))
