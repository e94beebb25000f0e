"""The array API standard: every function's signature beside the standard's strict reference, its values beside NumPy's."""

from __future__ import annotations

import inspect
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import array_api as xp

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "float32", "float64"]
rng = np.random.default_rng(0)
F = rng.standard_normal((3, 4))
UNIT = rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
WHOLE = rng.integers(-5, 6, (3, 4))
SMALL = rng.integers(0, 4, (3, 4), dtype=np.uint8)
TRUTH = F > 0
NAN = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5], np.float32)
SQUARE = F[:, :3] @ F[:, :3].T + np.eye(3)
BATCH = np.stack([SQUARE, SQUARE + np.eye(3)])

REAL = ["acosh", "acos", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2", "reciprocal", "sin",
        "sinh", "sqrt", "tan", "tanh"]  # fmt: skip
ANY = ["abs", "ceil", "conj", "floor", "isfinite", "isinf", "isnan", "negative", "positive", "real", "imag", "round", "sign", "square", "trunc"]
PAIRS = ["add", "subtract", "multiply", "maximum", "minimum", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
REAL_PAIRS = ["atan2", "copysign", "divide", "floor_divide", "hypot", "logaddexp", "nextafter", "pow", "remainder"]
REDUCTIONS = ["sum", "prod", "max", "min", "mean", "std", "var", "all", "any", "count_nonzero"]


def elementwise() -> Iterator[tuple[str, tuple, dict]]:
    for name in REAL:
        yield name, (UNIT + (1 if name == "acosh" else 0),), {}
    for name in ANY:
        for x in (F, WHOLE, NAN, SMALL)[: 3 if name == "negative" else 4]:
            yield name, (x,), {}
    yield "signbit", (NAN,), {}
    for name in ("logical_and", "logical_or", "logical_xor"):
        yield name, (TRUTH, TRUTH[0]), {}
    yield "logical_not", (TRUTH,), {}
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"):
        yield name, (WHOLE, SMALL[0]), {}
    yield "bitwise_invert", (WHOLE,), {}
    yield "bitwise_invert", (TRUTH,), {}
    for name in PAIRS:
        for x, y in ((F, UNIT), (WHOLE, WHOLE[:1] + 1), (SMALL, WHOLE), (NAN, NAN[::-1]), (F, 2), (2.0, UNIT), (UNIT, np.float64(1.5))):
            yield name, (x, y), {}
    for name in REAL_PAIRS:
        for x, y in ((abs(F), UNIT), (UNIT, 2.0), (UNIT, F[0, 0] ** 2)):
            yield name, (x, y), {}
    for name in ("floor_divide", "remainder"):
        yield name, (WHOLE, np.where(WHOLE[:1] == 0, 3, WHOLE[:1])), {}
    yield "where", (TRUTH, F, UNIT), {}
    yield "where", (TRUTH, WHOLE, 1), {}
    for bounds in ({"min": -0.5}, {"max": 0.5}, {"min": -0.5, "max": 0.25}, {}):
        yield "clip", (F,), bounds


def reductions() -> Iterator[tuple[str, tuple, dict]]:
    for name in REDUCTIONS:
        for x in (F, UNIT[..., None]) + ((WHOLE,) if name not in ("mean", "std", "var") else ()) + ((TRUTH, TRUTH.astype(np.uint8)) if name in ("all", "any") else ()):
            for axis, keepdims in itertools.product((None, 0, -1, (0, 1), ()), (False, True)):
                yield name, (x,), {"axis": axis, "keepdims": keepdims}
    yield "var", (F,), {"axis": 1, "correction": 1.0}
    yield "sum", (UNIT,), {"dtype": "float64"}
    for name in ("sum", "prod", "mean"):
        yield name, (np.zeros((0, 2)),), {"axis": 1}
    for name, x in itertools.product(("cumulative_sum", "cumulative_prod"), (F, WHOLE)):
        yield name, (x,), {"axis": 1}
        yield name, (x,), {"axis": 0, "include_initial": True}
        yield name, (x[0],), {}
    for name, x in itertools.product(("argmax", "argmin"), (F, WHOLE)):
        for axis, keepdims in itertools.product((None, 0, -1), (False, True)):
            yield name, (x,), {"axis": axis, "keepdims": keepdims}
    for name, axis in itertools.product(("sort", "argsort"), (0, -1)):
        yield name, (F,), {"axis": axis}
    yield "diff", (F,), {"n": 2}
    yield "diff", (WHOLE,), {"axis": 0, "prepend": WHOLE[:1]}
    yield "nonzero", (WHOLE,), {}
    yield "searchsorted", (np.sort(F[0]), F), {"side": "right"}
    yield "searchsorted", (F[0], UNIT), {"sorter": np.argsort(F[0])}
    yield "isin", (WHOLE, SMALL), {"invert": True}
    for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
        yield name, (WHOLE,), {}
        yield name, (SMALL[0],), {}


def shapes() -> Iterator[tuple[str, tuple, dict]]:
    yield "broadcast_arrays", (F, F[0]), {}
    yield "broadcast_to", (F[0], (2, 4)), {}
    yield "broadcast_shapes", ((3, 1), (4,)), {}
    yield from (("concat", ([F, UNIT],), {"axis": axis}) for axis in (0, 1, None))
    yield "stack", ([WHOLE, SMALL],), {"axis": -1}
    yield "unstack", (F,), {"axis": 1}
    yield "expand_dims", (F,), {"axis": -1}
    yield "squeeze", (F[None, :, None],), {"axis": (0, 2)}
    yield from (("flip", (F,), {"axis": axis}) for axis in (None, 0, (0, 1)))
    yield "moveaxis", (BATCH, 0, -1), {}
    yield "permute_dims", (BATCH, (2, 0, 1)), {}
    yield "reshape", (F, (2, -1)), {}
    yield "repeat", (F, 2), {"axis": 1}
    yield from (("repeat", (F[0], np.array([1, 0, 2, 1], dtype)), {}) for dtype in (np.int64, np.uint8))
    yield from (("roll", (F, 2), {"axis": axis}) for axis in (None, 0, -1))
    yield "tile", (F, (2, 1, 2)), {}
    yield "take", (F, np.array([2, 0, -1])), {"axis": 1}
    yield "take_along_axis", (F, np.argsort(F, 0)), {"axis": 0}
    yield "matrix_transpose", (BATCH,), {}
    yield "astype", (F, "float32"), {}


def creation() -> Iterator[tuple[str, tuple, dict]]:
    yield from (("arange", args, {}) for args in ((5,), (2, 9, 3), (5, 0, -2), (3, 1)))
    yield "arange", (0.0, 1.0, 0.3), {"dtype": "float64"}
    yield from (("eye", args, {"k": k, "dtype": "float32"}) for args in ((3,), (2, 4)) for k in (-1, 0, 2))
    yield from (("linspace", (0, 1, 5), {"endpoint": end, "dtype": "float64"}) for end in (True, False))
    yield from (("full", ((2, 3), value), {}) for value in (True, 7))
    yield "full", (3, 2.5), {"dtype": "float64"}
    yield from ((name, ((2, 3),), {"dtype": "int32"}) for name in ("zeros", "ones"))
    yield from ((name, (WHOLE,), {}) for name in ("zeros_like", "ones_like"))
    yield "full_like", (F, 3), {}
    yield from (("meshgrid", (F[0], F[:, 0]), {"indexing": order}) for order in ("xy", "ij"))
    yield from ((name, (F,), {"k": k}) for name in ("tril", "triu") for k in (-1, 0, 1))
    yield "asarray", ([[1, 2], [3, 4]],), {}
    yield "from_dlpack", (F,), {}


def algebra() -> Iterator[tuple[str, tuple, dict]]:
    yield "matmul", (F, UNIT.T), {}
    yield "vecdot", (F, UNIT), {}
    yield "vecdot", (F, UNIT), {"axis": -2}
    yield from (("tensordot", (F, BATCH), {"axes": axes}) for axes in (0, ((0,), (1,))))
    yield from ((f"linalg.{name}", (BATCH,), {}) for name in ("cholesky", "det", "eigvalsh", "inv", "matrix_norm", "matrix_rank", "pinv", "slogdet",
                                                              "svdvals", "trace", "diagonal", "vector_norm"))  # fmt: skip
    yield "linalg.cross", (F[:, :3], UNIT[:, :3]), {}
    yield "linalg.outer", (F[0], UNIT[1]), {}
    yield "linalg.matrix_power", (BATCH, -2), {}
    yield "linalg.solve", (SQUARE, F[:, 0]), {}
    yield "linalg.solve", (BATCH, F[:, :2]), {}
    yield "linalg.matrix_norm", (BATCH,), {"ord": 1, "keepdims": True}
    yield "linalg.vector_norm", (BATCH,), {"ord": 3, "axis": (0, 2)}
    yield "linalg.vector_norm", (BATCH,), {"axis": ()}
    yield "linalg.vector_norm", (BATCH[0, 0, 0],), {}


CASES = [*elementwise(), *reductions(), *shapes(), *creation(), *algebra()]


def find(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


def given(value: Any, ours: bool) -> Any:
    """An argument for one of the two: dtypes are written as their names."""
    if isinstance(value, str) and value in DTYPES:
        return find(numgrad if ours else np, value)
    if isinstance(value, list):
        return [given(v, ours) for v in value]
    return numgrad.from_numpy(np.array(value)) if ours and isinstance(value, (np.ndarray, np.generic)) else value


def check(found: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            check(f, e)
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert isinstance(found, numgrad.Tensor) and tuple(found.shape) == expected.shape
        assert found.numpy().dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5 if expected.dtype == np.float32 else 1e-9, atol=1e-6)
    else:
        assert found == expected


@pytest.mark.interpreted
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _, _ in CASES))
def test_values_are_numpys(name: str) -> None:
    for case, args, options in CASES:
        if case != name:
            continue
        if name == "from_dlpack":
            check(xp.from_dlpack(*args), args[0])
            continue
        with np.errstate(all="ignore"):
            expected = find(np, name)(*(given(a, False) for a in args), **{k: given(v, False) for k, v in options.items()})
        expected = np.sort(expected) if name == "unique_values" else expected  # NumPy leaves the order open
        check(find(xp, name)(*(given(a, True) for a in args), **{k: given(v, True) for k, v in options.items()}), expected)


@pytest.mark.interpreted
def test_every_function_is_tested() -> None:
    functions = {n for n in xp.__all__ if callable(getattr(xp, n)) and not isinstance(getattr(xp, n), numgrad.dtype)}
    elsewhere = {"__array_namespace_info__", "can_cast", "finfo", "iinfo", "isdtype", "result_type", "empty", "empty_like"}
    assert functions - {name for name, _, _ in CASES} == elsewhere
    several = {"eigh", "svd", "qr"}  # whose vectors' signs are free
    assert {n for n in xp.linalg.__all__ if n not in functions} - {name.removeprefix("linalg.") for name, _, _ in CASES} == several


def test_signatures_are_the_standards() -> None:
    strict = pytest.importorskip("array_api_strict")
    aside = {n for n in strict.__all__ if "strict" in n.lower()} | {"Device", "__version__"}
    for theirs, ours in ((strict, xp), (strict.linalg, xp.linalg)):
        missing = {n for n in theirs.__all__ if n not in dir(ours)} - aside
        assert missing == (set(xp.LEFT_OUT) if ours is xp else set())
        for name in set(theirs.__all__) - aside - missing:
            if inspect.isfunction(getattr(theirs, name)):
                assert parameters(getattr(ours, name)) == parameters(getattr(theirs, name)), name


def parameters(function: Any) -> list[tuple[Any, ...]]:
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, None if "UNDEF" in str(p.default) else p.default) for p in found]


@pytest.mark.interpreted
def test_dtypes_promote_as_the_standard_says() -> None:
    for one, two in itertools.product(DTYPES, DTYPES):
        kinds = {np.dtype(one).kind, np.dtype(two).kind} - {"u"}
        if len(kinds) > 1 and kinds != {"i"}:
            continue  # of different kinds: not the standard's
        expected = getattr(numgrad, np.result_type(getattr(np, one), getattr(np, two)).name)
        a, b = numgrad.ones(2, dtype=getattr(numgrad, one)), numgrad.ones((), dtype=getattr(numgrad, two))
        assert xp.result_type(a, b) == expected == xp.result_type(a.dtype, b.dtype)
        assert xp.can_cast(a, b.dtype) == (expected == b.dtype)
        if one != "bool":
            assert xp.add(a, b).dtype == expected
    assert xp.result_type(numgrad.float32, 2.0) == numgrad.float32 and xp.result_type(numgrad.int8, 3) == numgrad.int8
    assert xp.isdtype(numgrad.int8, "integral") and xp.isdtype(numgrad.float32, ("bool", numgrad.float32)) and not xp.isdtype(numgrad.bool, "numeric")
    assert xp.finfo(numgrad.ones(1)).smallest_normal == np.finfo(np.float32).smallest_normal and xp.iinfo(numgrad.uint8)[:3] == (8, 255, 0)


def test_the_namespace_of_a_tensor() -> None:
    x = numgrad.ones(2, requires_grad=True)
    assert [*inspect.signature(x.__dlpack__).parameters] == ["stream", "max_version", "dl_device", "copy"]
    assert x.__array_namespace__() is xp is x.__array_namespace__(api_version="2023.12") and x.to_device("cpu") is x
    with pytest.raises(ValueError, match=r"2024\.12"):
        x.__array_namespace__(api_version="2030.01")
    with pytest.raises(AttributeError, match="complex"):
        _ = xp.complex64
    xp.sum(xp.multiply(xp.exp(x), x)).backward()
    np.testing.assert_allclose(x.grad.numpy(), [2 * np.e] * 2, rtol=1e-6)
    info = xp.__array_namespace_info__()
    assert info.default_dtypes()["indexing"] == numgrad.int64 and info.capabilities()["boolean indexing"] and info.default_device() in info.devices()
    assert set(info.dtypes(kind="integral")) == {"int8", "int16", "int32", "int64", "uint8"} and set(info.dtypes()) == set(DTYPES)


@pytest.mark.interpreted
def test_copies_and_errors() -> None:
    x = numgrad.arange(6.0).reshape(2, 3)
    assert xp.asarray(x).data_ptr() == x.data_ptr() != xp.asarray(x, copy=True).data_ptr()
    assert xp.astype(x, numgrad.float32, copy=False) is x and xp.astype(x, numgrad.float32).data_ptr() != x.data_ptr()
    assert xp.reshape(x, (3, 2), copy=False).data_ptr() == x.data_ptr() != xp.reshape(x, (3, 2), copy=True).data_ptr()
    assert xp.sort(x, descending=True).tolist() == [[2, 1, 0], [5, 4, 3]] and xp.argsort(x, descending=True)[0].tolist() == [2, 1, 0]
    assert xp.empty((2, 0)).shape == (2, 0) and xp.empty_like(x, dtype=xp.int8).dtype == numgrad.int8
    for wrong in (lambda: xp.squeeze(x, 0), lambda: xp.take(x, numgrad.tensor([0])), lambda: xp.reshape(x.T, (6,), copy=False),
                  lambda: xp.asarray([1], copy=False), lambda: xp.cumulative_sum(x), lambda: xp.vecdot(x, x, axis=0), lambda: xp.nonzero(numgrad.ones(())),
                  lambda: xp.isdtype(xp.int8, "real"), lambda: xp.asarray(x, dtype=xp.float64, copy=False)):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


PROGRAM = """
import numpy as np, scipy.special, scipy.stats, numgrad
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
x = np.random.default_rng(0).standard_normal((20, 3))
programs = [
    lambda x: StandardScaler().fit_transform(x), lambda x: abs(PCA(2, svd_solver="full").fit_transform(x)),
    lambda x: Ridge(solver="svd").fit(x, x[:, 0] + x[:, 1]).coef_, lambda x: scipy.special.logsumexp(x, axis=1), scipy.stats.skew,
]
with config_context(array_api_dispatch=True):
    for program in programs:
        found = program(numgrad.from_numpy(x))
        assert isinstance(found, numgrad.Tensor)
        np.testing.assert_allclose(found.numpy(), program(x))
"""


@pytest.mark.interpreted
def test_scipy_and_scikit_learn_take_tensors() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SPECIAL = [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, np.inf, -np.inf, np.nan, -np.nan, 1e300, -1e300, 5e-324, 1e-30, 7.5, -7.5, 2.0**53 + 2]


@pytest.mark.interpreted
@pytest.mark.parametrize("name", [*REAL, "abs", "ceil", "floor", "isfinite", "isinf", "isnan", "negative", "round", "sign", "signbit", "square",
                                  "trunc", *PAIRS, *REAL_PAIRS])  # fmt: skip
def test_special_values(name: str) -> None:
    """Infinities, NaN, signed zeros and the ends of the formats; which zero of two is larger is left open."""
    for dtype in (np.float32, np.float64):
        with np.errstate(all="ignore"):
            x = np.array(SPECIAL).astype(dtype)
            args = [a.ravel() for a in np.meshgrid(x, x)] if name in PAIRS + REAL_PAIRS else [x]
            expected = getattr(np, name)(*args)
        found = getattr(xp, name)(*map(numgrad.from_numpy, args)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype is np.float32 else 1e-12)
        signed = ~np.isnan(expected) & (name not in ("maximum", "minimum"))
        np.testing.assert_array_equal(np.copysign(1.0, found)[signed], np.copysign(1.0, expected)[signed])
