"""Every instruction against its Python twin, bit for bit."""

from fractions import Fraction

import numpy as np
import pytest
from numba import config, njit

from numgrad.jit import intrinsics

JIT = not config.DISABLE_JIT
KINDS = [np.float32, np.float64]
FLOAT = {"fma": 3, "maximum": 2, "minimum": 2, "copysign": 2, "fmod": 2, "sqrt": 1, "fabs": 1, "floor": 1, "ceil": 1,
         "trunc": 1, "round_even": 1}  # fmt: skip
INTEGER = ["add_bits", "subtract_bits", "and_bits", "xor_bits"]


def floats(kind, count, seed):
    """Random bits, numbers near 1 and everything that is special, in random order."""
    generator = np.random.default_rng(seed)
    unsigned = np.uint32 if kind is np.float32 else np.uint64
    bits = generator.integers(0, np.iinfo(unsigned).max, count, dtype=unsigned, endpoint=True).view(kind)
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 0.5, -1.5, np.finfo(kind).tiny], kind)
    found = np.concatenate([bits, generator.normal(size=count).astype(kind), np.repeat(special, 12)])
    generator.shuffle(found)
    return found


def identical(a, b):
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a[a == a]), np.signbit(b[b == b]))


def compiled(name, operands):
    function = getattr(intrinsics, name)
    body = {1: lambda x: function(x), 2: lambda x, y: function(x, y), 3: lambda x, y, z: function(x, y, z)}[operands]
    return njit(error_model="numpy")(body)


@pytest.mark.skipif(not JIT, reason="there is only the twin")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FLOAT)
def test_float_instructions_and_their_twins_agree(name, kind):
    operands = [floats(kind, 200, seed) for seed in range(FLOAT[name])]
    native, twin = compiled(name, FLOAT[name]), getattr(intrinsics, name)
    with np.errstate(all="ignore"):
        got = np.array([native(*x) for x in zip(*operands, strict=True)], kind)
        expected = np.array([twin(*x) for x in zip(*operands, strict=True)], kind)
    assert identical(got, expected)


@pytest.mark.skipif(not JIT, reason="there is only the twin")
@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("name", INTEGER)
def test_integer_instructions_and_their_twins_agree(name, kind):
    info = np.iinfo(kind)
    values = np.array([info.min, info.min + 1, -77, -1, 0, 1, 5, 1 << 20, info.max], kind)
    native, twin = compiled(name, 2), getattr(intrinsics, name)
    for x in values:
        for y in values:
            assert native(x, y) == twin(x, y)
            assert type(twin(x, y)) is kind


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_shifts(kind):
    minus = kind(-1)
    for function in (intrinsics.shift_left, intrinsics.shift_right):
        native = compiled(function.__name__, 2)
        for places in (0, 1, 7, kind().itemsize * 8 - 1):
            assert native(minus, kind(places)) == function(minus, kind(places))
    assert intrinsics.shift_right(minus, 1) == np.iinfo(kind).max  # zeros come in
    assert intrinsics.shift_left(kind(1), 5) == 32


@pytest.mark.parametrize("kind", KINDS)
def test_fma_rounds_once(kind):
    """Against exact rationals; products that cancel with the addend leave only what one rounding keeps."""
    generator, fma = np.random.default_rng(0), compiled("fma", 3)
    for x, y in generator.normal(size=(200, 2)).astype(kind):
        z = -(x * y)
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        assert Fraction(float(fma(x, y, z))) == exact == Fraction(float(intrinsics.fma(x, y, z)))


def test_float32_fma_does_not_round_twice():
    # x y + z lies 2**-70 below the middle of z and the float above; float64 holds only the middle, a tie that goes up.
    x, y = np.float32(2.0**-12 * (1 + 2.0**-23)), np.float32(2.0**-12 * (1 - 2.0**-23))
    z = np.float32(1 + 2.0**-23)
    assert np.float32(float(x) * float(y) + float(z)) > z
    assert intrinsics.fma(x, y, z) == z == compiled("fma", 3)(x, y, z)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_there_and_back(kind):
    x = floats(kind, 50, 3)
    view = x.view(np.int32 if kind is np.float32 else np.int64)
    to_bits, to_float = compiled("float_bits", 1), compiled("bits_float", 1)
    for value, bits in zip(x, view, strict=True):
        if not np.isnan(value):
            assert to_bits(value) == bits == intrinsics.float_bits(value)
            assert to_float(bits) == value == intrinsics.bits_float(bits)


PAIR = (0.5, 0.25)
COEFFICIENTS = ((1.0, 2.0), (3.0, 4.0, 5.0))


@njit
def _half(x):
    return intrinsics.like(x, 0.5)


@njit
def _by_width(x):
    return intrinsics.like(x, PAIR)


@njit
def _polynomial(x):
    return intrinsics.polynomial(x, COEFFICIENTS)


@njit
def _choice(x):
    return intrinsics.select(x > x * x, x, -x)


def test_literals_take_the_type_of_their_neighbour():
    assert _by_width(np.float32(7)) == 0.5 and _by_width(np.float64(7)) == 0.25
    assert _polynomial(np.float32(10)) == 21 and _polynomial(np.float64(10)) == 543
    assert _choice(np.float32(0.5)) == 0.5 and _choice(np.float32(2)) == -2
    if JIT:
        _half(np.float32(1))
        assert str(_half.nopython_signatures[0].return_type) == "float32"
    else:
        assert type(_half(np.float32(1))) is np.float32


@njit
def _in_pairs(x):
    return (
        intrinsics.polynomial_in_pairs(x, (3.0,)), intrinsics.polynomial_in_pairs(x, (3.0, 2.0)), intrinsics.polynomial_in_pairs(x, (3.0, 2.0, 5.0)),
        intrinsics.polynomial_in_pairs(x, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)), intrinsics.polynomial_in_pairs(x, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_polynomials_in_pairs(kind):
    """Small whole numbers, of which nothing is rounded."""
    assert _in_pairs(kind(3)) == (3, 9, 54, 1 + 6 + 27 + 108 + 405 + 1458, sum((i + 1) * 3**i for i in range(9)))
