"""Special functions against numbers that mpmath gives, in the tails and where branches meet."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

import numgrad
from numgrad import special

SINGLE = {
    "i0": (lambda x: mp.besseli(0, x), [-600.0, -8.0, 0.0, 1e-9, 3.5, 8.1, 30.0]),
    "i1": (lambda x: mp.besseli(1, x), [-600.0, -8.0, 0.0, 1e-9, 3.5, 8.1, 30.0]),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), [-600.0, -8.0, 0.0, 3.5, 8.1, 1e4]),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), [-600.0, -8.0, 1e-9, 3.5, 8.1, 1e4]),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [-20.0, -1.0, 0.0, 0.46, 0.48, 5.0, 27.9, 28.1, 90.0]),
    "log_ndtr": (lambda x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2), [-300.0, -30.0, -1.01, -0.99, 0.0, 3.0, 9.0]),
}


@pytest.mark.interpreted
@pytest.mark.parametrize("name", SINGLE)
def test_of_one_number(name: str) -> None:
    reference, points = SINGLE[name]
    for dtype, bound in ((np.float64, 1e-14), (np.float32, 2e-7)):
        x = np.array(points if dtype == np.float64 else [p for p in points if -9 < p < 80], dtype)
        found = getattr(special, name)(numgrad.from_numpy(x)).numpy()
        with mp.workdps(60):
            expected = [float(reference(mpf(float(v)))) for v in x]
        np.testing.assert_allclose(found, np.array(expected, dtype), rtol=bound, atol=1e-38)


@pytest.mark.interpreted
def test_quantiles_down_to_the_smallest() -> None:
    y = np.array([-38.0, -20.0, -6.0, -2.0, -1.9, -0.5, -1e-5, 0.5, 2.0])
    with mp.workdps(60):
        p = np.array([float(mp.erfc(-mpf(v) / mp.sqrt(2)) / 2) for v in y])
    np.testing.assert_allclose(special.ndtri(numgrad.from_numpy(p)).numpy(), y, rtol=1e-11)
    ends = special.ndtri(numgrad.tensor([0.0, 0.5, 1.0, -0.1, 2.0]))
    np.testing.assert_array_equal(ends.numpy(), [-math.inf, 0, math.inf, math.nan, math.nan])


@pytest.mark.interpreted
@pytest.mark.parametrize("a", [1e-6, 0.3, 1.0, 2.5, 11.0, 300.0])
def test_incomplete_gamma_functions(a: float) -> None:
    for x in (0.001, 0.5, 1.05, a * 0.5, a, a * 1.1 + 0.5, a * 3 + 1):
        found = [float(f(numgrad.tensor(a, dtype=numgrad.float64), numgrad.tensor(x, dtype=numgrad.float64))) for f in (special.gammainc, special.gammaincc)]
        with mp.workdps(40):
            expected = [float(mpmath.gammainc(a, 0, x, regularized=True)), float(mpmath.gammainc(a, x, mp.inf, regularized=True))]
        np.testing.assert_allclose(found, expected, rtol=2e-13, atol=1e-300)


@pytest.mark.interpreted
def test_zeta_and_what_has_no_gradient() -> None:
    s, q = numgrad.tensor([1.5, 2.0, 3.7, 40.0, 2.0], dtype=numgrad.float64), numgrad.tensor([0.01, 1.0, 14.0, 3.0, -2.5], dtype=numgrad.float64)
    expected = [float(mp.zeta(a, b)) for a, b in zip(s.tolist(), q.tolist(), strict=True)]
    np.testing.assert_allclose(special.zeta(s, q).numpy(), expected, rtol=1e-13)
    np.testing.assert_array_equal(special.zeta(numgrad.tensor([1.0, 0.5, 2.0, 2.5]), numgrad.tensor([1.0, 1.0, -1.0, -1.5])).numpy(), [math.inf, math.nan, math.inf, math.nan])
    a = numgrad.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="not implemented"):
        special.zeta(a, numgrad.ones(1)).backward()


@pytest.mark.interpreted
def test_the_gradient_of_the_shape() -> None:
    a, x = numgrad.tensor([0.7, 3.0], dtype=numgrad.float64, requires_grad=True), numgrad.tensor([1.1, 2.0], dtype=numgrad.float64)
    for function, sign in ((special.gammainc, 1), (special.gammaincc, -1)):
        (slope,) = numgrad.autograd.grad(function(a, x).sum(), a)
        expected = [float(mp.diff(lambda t, x=v: mp.gammainc(t, 0, x, regularized=True), b)) for b, v in zip(a.tolist(), x.tolist(), strict=True)]
        np.testing.assert_allclose(slope.numpy(), sign * np.array(expected), rtol=1e-6)


@pytest.mark.interpreted
def test_kaiser_windows() -> None:
    np.testing.assert_allclose(numgrad.kaiser_window(9, False, 5.0, dtype=numgrad.float64).numpy(), np.kaiser(9, 5.0), rtol=1e-9)
