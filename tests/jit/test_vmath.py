"""vmath against mpmath: 2 units in the last place over all floats, IEEE results at the ends, the same bits anywhere."""

import functools
import math
import os
import re

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from numba import config, njit

from numgrad.jit import vmath

JIT = not config.DISABLE_JIT
COUNT = 300 if JIT else 40  # points a kind of sample
FLOATS = [np.float32, np.float64]
ULP = 2.0


@functools.cache
def loop(name):
    """A kernel that maps a function over one array or two, compiled as pointwise kernels are."""
    function = getattr(vmath, name)
    if name in PAIRS:

        def run(out, x, y):
            for i in range(out.size):
                out[i] = function(x[i], y[i])
    else:

        def run(out, x):
            for i in range(out.size):
                out[i] = function(x[i])

    return njit(error_model="numpy", fastmath={"contract"})(run)


def evaluate(name, *arguments, result=None):
    out = np.empty(arguments[0].shape, result or arguments[0].dtype)
    with np.errstate(all="ignore"):
        loop(name)(out, *arguments)
    return out


# --- references -----------------------------------------------------------------------------------------------------


def bounded(x):
    """An exponent beyond which every float has overflowed, so that mpmath is not asked for more."""
    return max(mpf(-2000), min(mpf(2000), x))


def saturating(reference):
    return lambda x: reference(bounded(x))


def softplus(x):
    return max(x, mpf(0)) + mp.log1p(mp.exp(bounded(-abs(x))))


#: function -> (reference, where most of its interest lies in float32, and in float64)
SINGLE = {
    "exp": (saturating(mp.exp), (-104, 89), (-746, 710)),
    "exp2": (saturating(lambda x: mpf(2) ** x), (-150, 129), (-1076, 1025)),
    "expm1": (saturating(mp.expm1), (-20, 89), (-40, 710)),
    "log": (mp.log, (0, 4), (0, 4)),
    "log1p": (mp.log1p, (-1, 3), (-1, 3)),
    "log2": (lambda x: mp.log(x) / mp.log(2), (0, 4), (0, 4)),
    "log10": (mp.log10, (0, 4), (0, 4)),
    "tanh": (saturating(mp.tanh), (-10, 10), (-21, 21)),
    "sinh": (saturating(mp.sinh), (-90, 90), (-711, 711)),
    "cosh": (saturating(mp.cosh), (-90, 90), (-711, 711)),
    "sigmoid": (saturating(lambda x: 1 / (1 + mp.exp(-x))), (-104, 20), (-746, 40)),
    "softplus": (softplus, (-104, 20), (-746, 40)),
    "logsigmoid": (lambda x: -softplus(-x), (-20, 104), (-40, 746)),
    "erf": (mp.erf, (-4, 4), (-6, 6)),
    "erfc": (saturating(mp.erfc), (-4, 10.2), (-6, 27.3)),
    "erfinv": (mp.erfinv, (-1, 1), (-1, 1)),
    "sin": (mp.sin, (-1000, 1000), (-1000, 1000)),
    "cos": (mp.cos, (-1000, 1000), (-1000, 1000)),
    "tan": (mp.tan, (-1000, 1000), (-1000, 1000)),
    "asin": (mp.asin, (-1, 1), (-1, 1)),
    "acos": (mp.acos, (-1, 1), (-1, 1)),
    "atan": (mp.atan, (-4, 4), (-4, 4)),
    "asinh": (mp.asinh, (-4, 4), (-4, 4)),
    "acosh": (mp.acosh, (1, 4), (1, 4)),
    "atanh": (mp.atanh, (-1, 1), (-1, 1)),
    "sqrt": (mp.sqrt, (0, 4), (0, 4)),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), (0, 4), (0, 4)),
}
ANGULAR = [SINGLE[name][0] for name in ("sin", "cos", "tan")]
PAIRS = {"nextafter", "pow", "atan2", "fmod", "remainder", "copysign", "maximum", "minimum"}
ROUNDING = {"floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint, "fabs": np.abs}

#: values where branches meet, and the ends of the formats
CORNERS = [0.0, 1e-45, 1e-40, 1.1754942e-38, 1.1754944e-38, 5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308,
           2.0**-149, 2.0**-126, 1e-20, 2.0**-25, 2.0**-24, 1e-4, 0.1, 0.25, 0.34657359, 0.41421356, 0.47, 0.5, 0.5625,
           math.log(2), 0.70710678, 0.95, 1 - 2.0**-24, 1 - 2.0**-53, 1.0, 1 + 2.0**-23, 1 + 2.0**-52, 1.41421356, 2.0,
           math.e, 3.0, math.pi, math.pi / 2, math.pi / 4, 4.0, 6.0, 8.0, 10.0, 19.0, 27.2, 88.0, 88.7228, 89.0, 103.9,
           104.0, 127.0, 128.0, 709.78, 710.4, 745.1, 1000.0, 2.0**22, 1e8, 2.0**41, 2.0**63, 1e22, 1e30, 3.4028234e38,
           1e60, 2.0**512, 2.0**513, 1e300, 1.7976931348623157e308]  # fmt: skip
#: the floats nearest to multiples of pi / 2, and the double of William Kahan
ANGLES = [16367173.0 * 2.0**72, 5.419351e06, 6.1833428e29, 6381956970095103.0 * 2.0**797, 5.319372648326541e255]


def random_floats(kind, count, seed=0):
    """Random bits: every exponent as likely as the next."""
    unsigned = np.uint32 if kind is np.float32 else np.uint64
    high = np.iinfo(unsigned).max
    bits = np.random.default_rng(seed).integers(0, high, count, dtype=unsigned, endpoint=True)
    found = bits.view(kind)
    return found[np.isfinite(found)]


def points(kind, low, high):
    generator = np.random.default_rng(1)
    with np.errstate(over="ignore"):
        corners = np.array([*CORNERS, *ANGLES]).astype(kind)
    corners = corners[np.isfinite(corners)] if JIT else corners[np.isfinite(corners)][::6]
    near_zero = generator.uniform(-1, 1, COUNT) * 2.0 ** generator.uniform(-30, 6, COUNT)
    return np.concatenate([
        corners, -corners, np.nextafter(corners, kind(-1)), random_floats(kind, COUNT),
        generator.uniform(low, high, COUNT).astype(kind), near_zero.astype(kind),
    ])  # fmt: skip


def ulps(got, exact, kind):
    """The distance of a float from an exact number, in units of its last place; inf counts as the next power of 2."""
    info = np.finfo(kind)
    end = mpf(2) ** int(info.maxexp)
    exact = max(-end, min(end, exact))
    value = mp.sign(got) * end if mp.isinf(got) else mpf(float(got))
    exponent = max(mp.frexp(exact)[1] - 1, int(info.minexp)) if exact else int(info.minexp)
    return abs(value - exact) / mpf(2) ** (exponent - int(info.nmant))


def exactly(reference, *arguments):
    """The reference in 140 bits, more for a large angle; None where the function is not defined."""
    large = mp.mag(arguments[0]) if reference in ANGULAR and arguments[0] else 0
    with mp.workprec(140 + max(0, large)):
        try:
            value = reference(*map(mpf, arguments))
        except (ValueError, ZeroDivisionError, mpmath.libmp.ComplexResult):
            return None
        except OverflowError:
            return mpf("inf")
        if isinstance(value, mpmath.mpc):
            return value.real if value.imag == 0 else None
        return None if mp.isnan(value) else value


def worst(got, kind, reference, *arguments):
    """The largest error and where it is."""
    found = (mpf(0), None)
    for y, *x in zip(got, *arguments, strict=True):
        exact = exactly(reference, *map(float, x))
        if exact is None:
            assert np.isnan(y) or np.isinf(y), f"at {x}: {y} where the function is not defined"
        else:
            assert not np.isnan(y), f"at {x}: NaN instead of {mp.nstr(exact)}"
            found = max(found, (ulps(y, exact, kind), (x, y)), key=lambda pair: pair[0])
    return found


# --- accuracy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", SINGLE)
def test_within_two_ulps(name, kind):
    reference, *ranges = SINGLE[name]
    x = points(kind, *ranges[kind is np.float64])
    error, where = worst(evaluate(name, x), kind, reference, x)
    assert error <= ULP, f"{name} is {mp.nstr(error, 4)} ulp off at {where}"


@pytest.mark.parametrize("kind", FLOATS)
def test_power_within_two_ulps(kind):
    generator, info = np.random.default_rng(2), np.finfo(kind)
    x = np.abs(random_floats(kind, 2 * COUNT, 3))
    x = x[x > 0]
    exponent = generator.uniform(info.minexp - info.nmant, info.maxexp, x.size) / np.log2(x.astype(float))
    base = np.concatenate([x, generator.uniform(-9, 9, COUNT)]).astype(kind)
    y = np.concatenate([exponent, generator.integers(-40, 40, COUNT)]).astype(kind)
    error, where = worst(evaluate("pow", base, y), kind, lambda a, b: a**b, base, y)
    assert error <= ULP, f"pow is {mp.nstr(error, 4)} ulp off at {where}"


@pytest.mark.parametrize("kind", FLOATS)
def test_powers_that_are_floats_are_exact(kind):
    bases, exponents = np.meshgrid(np.arange(-12, 13), np.arange(0, 7))
    got = evaluate("pow", bases.ravel().astype(kind), exponents.ravel().astype(kind))
    assert np.array_equal(got, (bases**exponents).ravel().astype(kind))
    powers_of_two = np.arange(-126, 128).astype(kind)
    assert np.array_equal(evaluate("exp2", powers_of_two), 2.0**powers_of_two)
    assert np.array_equal(evaluate("log2", kind(2.0) ** powers_of_two), powers_of_two)


@pytest.mark.parametrize("kind", FLOATS)
def test_atan2_within_two_ulps(kind):
    generator = np.random.default_rng(4)
    y = np.concatenate([random_floats(kind, COUNT, 5), generator.normal(size=2 * COUNT).astype(kind)])
    x = np.concatenate([random_floats(kind, COUNT, 6), generator.normal(size=2 * COUNT).astype(kind)])
    count = min(x.size, y.size)
    y, x = y[:count], x[:count]
    error, where = worst(evaluate("atan2", y, x), kind, mp.atan2, y, x)
    assert error <= ULP, f"atan2 is {mp.nstr(error, 4)} ulp off at {where}"


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_gamma_family(name, kind):
    reference = mp.digamma if name == "digamma" else lambda x: mp.log(abs(mp.gamma(x)))
    generator = np.random.default_rng(7)
    x = np.concatenate([
        generator.uniform(-20, 40, COUNT), generator.uniform(0.5, 3, COUNT), 2.0 ** generator.uniform(-40, 16, COUNT),
        [0.5, 1.5, 2.5, 8, np.nextafter(8, 0), 10, 1e-30, -1e-30, 171.5],
    ]).astype(kind)  # fmt: skip
    for at, got in zip(x, evaluate(name, x), strict=True):
        exact = exactly(reference, float(at))
        bound = 2e-14 * max(abs(exact), 1) + (abs(exact) * 2.0**-24 if kind is np.float32 else 0)
        assert abs(mpf(float(got)) - exact) <= bound, f"{name}({at!r}) = {got!r}, not {mp.nstr(exact, 17)}"


@pytest.mark.parametrize("kind", FLOATS)
def test_ndtr_is_right_to_the_last_bit_of_1(kind):
    x = np.random.default_rng(8).uniform(-9, 9, 2 * COUNT).astype(kind)
    for at, got in zip(x, evaluate("ndtr", x), strict=True):
        exact = exactly(mp.ncdf, float(at))
        assert abs(mpf(float(got)) - exact) <= ULP * np.finfo(kind).epsneg, f"ndtr({at!r}) = {got!r}"
        if kind is np.float32 and -5.6 < at < 0:  # where 0.5 (1 + erf) would have nothing left
            assert abs(mpf(float(got)) / exact - 1) < 2e-4, f"ndtr({at!r}) = {got!r}"
    assert evaluate("ndtr", np.array([-np.inf, 0, np.inf], kind)).tolist() == [0, 0.5, 1]
    assert np.isnan(evaluate("ndtr", np.array([np.nan], kind)))


@pytest.mark.parametrize("kind", FLOATS)
def test_lgamma_keeps_its_digits_at_one_and_two(kind):
    step = 2.0 ** -np.arange(2.0, 20.0)
    x = np.concatenate([1 + step, 1 - step, 2 + step, 2 - step]).astype(kind)
    error, where = worst(evaluate("lgamma", x), kind, mp.loggamma, x)
    assert error <= 8, where


# --- the ends -------------------------------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
NUMPY = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2,
    "log10": np.log10, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "sqrt": np.sqrt,
} | ROUNDING  # fmt: skip
#: at 0, -0, 1, -1, inf, -inf, NaN
OURS = {
    "sigmoid": [0.5, 0.5, None, None, 1, 0, NAN],
    "softplus": [math.log(2), math.log(2), None, None, INF, 0, NAN],
    "logsigmoid": [-math.log(2), -math.log(2), None, None, -0.0, -INF, NAN],
    "erf": [0.0, -0.0, None, None, 1, -1, NAN],
    "erfc": [1, 1, None, None, 0, 2, NAN],
    "erfinv": [0.0, -0.0, INF, -INF, NAN, NAN, NAN],
    "rsqrt": [INF, -INF, 1, NAN, 0, NAN, NAN],
    "lgamma": [INF, INF, 0, INF, INF, INF, NAN],
    "digamma": [-INF, INF, None, NAN, INF, NAN, NAN],
    "sign": [0, 0, 1, -1, 1, -1, 0],
    "isnan": [0, 0, 0, 0, 0, 0, 1],
    "isinf": [0, 0, 0, 0, 1, 1, 0],
    "isfinite": [1, 1, 1, 1, 0, 0, 0],
}
ENDS = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN]


def same(a, b):
    """Equal, with NaN equal to itself and 0 different from -0."""
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a) & (a == a), np.signbit(b) & (b == b))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", sorted(NUMPY | OURS))
def test_ends(name, kind):
    x = np.array(ENDS, kind)
    got = evaluate(name, x)
    if name in NUMPY:
        with np.errstate(all="ignore"):
            expected = NUMPY[name](x)
    else:
        expected = np.array([NAN if e is None else e for e in OURS[name]], kind)
    known = [name in NUMPY or OURS[name][i] is not None for i in range(x.size)]
    if name == "logsigmoid":
        got, expected = got + kind(0), expected + kind(0)  # the sign of its zero is nobody's concern
    close = np.isclose(got, expected, rtol=2 * np.finfo(kind).eps, atol=0, equal_nan=True)
    zeros = (expected != 0) | (np.signbit(got) == np.signbit(expected))
    assert np.all((close & zeros)[known]), (got, expected)


@pytest.mark.parametrize("kind", FLOATS)
def test_overflow_and_underflow_are_where_they_belong(kind):
    info = np.finfo(kind)
    highest, lowest = np.log(info.max, dtype=kind), kind((info.minexp - info.nmant - 1) * math.log(2))
    below, above = np.nextafter(highest, kind(0)), np.nextafter(highest, kind(INF))
    x = np.array([below, above, lowest * 0.999, lowest * 1.001], kind)
    got = evaluate("exp", x)
    assert np.isfinite(got[0]) and np.isinf(got[1]) and 0 < got[2] < info.tiny and got[3] == 0
    assert np.array_equal(evaluate("sigmoid", x[2:]) > 0, [True, False])
    assert np.isinf(evaluate("exp2", np.array([info.maxexp], kind))[0])
    smallest = np.array([info.minexp - info.nmant], kind)
    assert evaluate("exp2", smallest)[0] == info.smallest_subnormal


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", ["pow", "atan2", "fmod", "copysign", "maximum", "minimum", "nextafter"])
def test_ends_of_pairs(name, kind):
    values = [*ENDS, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, 1e30, -1e30, 2.0**24 - 1, -(2.0**24 - 1), 5e-324, 1e-40]
    values = np.array(values).astype(kind)
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        reference = {"pow": np.power, "atan2": np.arctan2}.get(name) or getattr(np, name)
        expected, got = reference(x, y), evaluate(name, x, y)
    assert np.allclose(got, expected, rtol=4 * np.finfo(kind).eps, atol=0, equal_nan=True)
    if name in ("maximum", "minimum"):  # NumPy leaves the order of zeros open, we do not
        zeros = evaluate(name, np.array([0.0, -0.0], kind), np.array([-0.0, 0.0], kind))
        assert np.array_equal(np.signbit(zeros), [name == "minimum"] * 2)
    else:
        signed = ~np.isnan(expected)
        assert np.array_equal(np.signbit(got)[signed], np.signbit(expected)[signed])


@pytest.mark.parametrize("kind", FLOATS)
def test_remainder_has_the_sign_of_the_divisor(kind):
    x = np.array([5, -5, 5, -5, 6, -6, 0, 1, 1, -1, INF, 7.5], kind)
    y = np.array([3, 3, -3, -3, 3, 3, 3, 0, INF, INF, 2, -2], kind)
    expected = np.array([2, 1, -1, -2, 0, 0, 0, NAN, 1, INF, NAN, -0.5], kind)
    assert np.array_equal(evaluate("remainder", x, y), expected, equal_nan=True)


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", sorted(ROUNDING))
def test_rounding_is_exact(name, kind):
    x = np.concatenate([random_floats(kind, COUNT), np.arange(-8, 8.25, 0.25), [2.0**23 - 0.5, 2.0**52 - 0.5]])
    x = x.astype(kind)
    assert same(evaluate(name, x), ROUNDING[name](x))


# --- the compiled form ----------------------------------------------------------------------------------------------

NAMES = sorted(set(vmath.__all__))


def some(name, kind, count):
    generator = np.random.default_rng(8)
    shape = (2 if name in PAIRS else 1, count)
    return list((generator.normal(size=shape) * 2.0 ** generator.integers(-3, 9, shape)).astype(kind))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_number_has_the_same_bits_at_any_place(name, kind):
    operands = some(name, kind, 40)
    whole = evaluate(name, *operands)
    for size in range(1, 41) if JIT else (1, 39):
        for start in {0, 40 - size} if JIT else {40 - size}:
            part = evaluate(name, *(x[start : start + size] for x in operands))
            assert same(part, whole[start : start + size]), (size, start)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name):
    function, operands = getattr(vmath, name), [np.float32(0.25)] * (2 if name in PAIRS else 1)
    expected = "bool" if name.startswith("is") else "float32"
    if not JIT:
        with np.errstate(all="ignore"):
            assert type(function(*operands)).__name__.removesuffix("_") == expected
        return
    probe = njit(lambda x, y: function(x, y)) if name in PAIRS else njit(lambda x: function(x))
    with np.errstate(all="ignore"):
        probe(*operands)
    assert str(probe.nopython_signatures[0].return_type) == expected


@pytest.mark.skipif(not JIT or "NUMBA_CPU_NAME" in os.environ, reason="looks at the machine code for this CPU")
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"fmod", "remainder"}))
def test_loops_vectorise(name):
    from llvmlite import binding

    if not binding.get_host_cpu_features().get("avx2"):
        pytest.skip("looks for AVX2")
    for kind in FLOATS:
        evaluate(name, *some(name, kind, 8))
    for code in loop(name).inspect_llvm().values():
        assert re.search(r"<\d+ x (float|double)>", code), "no vector in the loop"
