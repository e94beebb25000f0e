"""`assert_close`, with PyTorch's meaning and tolerances, and `make_tensor`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..ops.random import integer_array
from ..tensor import Tensor, wrap

#: dtype -> (rtol, atol) where none are given; integers and bools must be equal. Python's floats count as float64.
TOLERANCES: dict[Any, tuple[float, float]] = {np.dtype(np.float32): (1.3e-6, 1e-5), np.dtype(np.float64): (1e-7, 1e-7),
                                              dtypes.FLOAT16: (1e-3, 1e-5), dtypes.BFLOAT16: (1.6e-2, 1e-5)}  # fmt: skip


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere, and shapes and dtypes are equal.

    Compares tensors, ndarrays, Python numbers, and sequences and mappings of them. Tolerances default to those of the
    wider dtype; give both or neither. `msg` is the text of the error, or makes it from the text there would be.
    """
    if (rtol is None) != (atol is None):
        given, missing = ("atol", "rtol") if rtol is None else ("rtol", "atol")
        raise ValueError(f"rtol and atol must both be specified or both unspecified, but got {given} without {missing}")
    options = {
        "rtol": rtol,
        "atol": atol,
        "equal_nan": equal_nan,
        "check_dtype": check_dtype,
        "check_stride": check_stride,
    }
    if not allow_subclasses and type(actual) is not type(expected):
        raise TypeError(
            f"with allow_subclasses=False both must be of one type, but got {type(actual).__name__} and {type(expected).__name__}"
        )
    try:
        _compare(actual, expected, "", options)
    except AssertionError as error:
        if msg is None:
            raise
        raise AssertionError(msg(str(error)) if callable(msg) else msg) from None


def _compare(actual: Any, expected: Any, where: str, options: dict[str, Any]) -> None:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if set(actual) != set(expected):
            raise AssertionError(
                f"The keys of the mappings do not match{where}: {sorted(map(str, set(actual) ^ set(expected)))} are in one only"
            )
        for key in actual:
            _compare(actual[key], expected[key], f"{where} at key {key!r}", options)
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            raise AssertionError(f"The length of the sequences mismatch{where}: {len(actual)} != {len(expected)}")
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            _compare(a, b, f"{where} at index {i}", options)
    elif actual is None or expected is None:
        if actual is not expected:
            raise AssertionError(f"None mismatch{where}: {actual!r} is not {expected!r}")
    else:
        _compare_arrays(*_arrays(actual, expected), where, options)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _arrays(actual: Any, expected: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both as ndarrays; TypeError where they are not comparable."""
    kinds = [
        "Tensor"
        if isinstance(v, Tensor)
        else "array"
        if isinstance(v, (np.ndarray, np.generic))
        else "number"
        if isinstance(v, (int, float))
        else None
        for v in (actual, expected)
    ]
    if None in kinds or kinds[0] != kinds[1]:
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    found = [v.detach()._data if isinstance(v, Tensor) else np.asarray(v) for v in (actual, expected)]
    return found[0], found[1]


def _compare_arrays(actual: np.ndarray, expected: np.ndarray, where: str, options: dict[str, Any]) -> None:
    if actual.shape != expected.shape:
        raise AssertionError(
            f"The values for attribute 'shape' do not match{where}: {list(actual.shape)} != {list(expected.shape)}."
        )
    if options["check_dtype"] and actual.dtype != expected.dtype:
        raise AssertionError(
            f"The values for attribute 'dtype' do not match{where}: {_name(actual)} != {_name(expected)}."
        )
    if options["check_stride"] and actual.strides != expected.strides:
        steps = [[s // a.itemsize for s in a.strides] for a in (actual, expected)]
        raise AssertionError(f"The values for attribute 'stride()' do not match{where}: {steps[0]} != {steps[1]}.")
    rtol, atol = options["rtol"], options["atol"]
    if rtol is None:
        found = [TOLERANCES.get(a.dtype, (0.0, 0.0)) for a in (actual, expected)]
        rtol, atol = max(r for r, _ in found), max(a for _, a in found)
    actual, expected = (a if a.dtype != dtypes.BFLOAT16 else wrap(a).float()._data for a in (actual, expected))  # type: ignore[attr-defined]
    if actual.dtype.kind != "f" and expected.dtype.kind != "f" and rtol == atol == 0:
        wrong, difference = actual != expected, np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    else:
        wrong, difference = _far(actual, expected, rtol, atol, options["equal_nan"])
    if np.any(wrong):
        raise AssertionError(_message(actual, expected, wrong, difference, where, rtol, atol))


def _name(array: np.ndarray) -> str:
    return str(dtypes.FROM_NUMPY.get(array.dtype, array.dtype))


def _far(
    actual: np.ndarray, expected: np.ndarray, rtol: float, atol: float, equal_nan: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Where two arrays are not close, and how far apart they are."""
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(all="ignore"):
        difference = np.abs(a - b)
        close = (a == b) | (np.isfinite(difference) & (difference <= atol + rtol * np.abs(b)))
    if equal_nan:
        close |= np.isnan(a) & np.isnan(b)
    return ~close, difference


def _message(
    actual: np.ndarray, expected: np.ndarray, wrong: Any, difference: np.ndarray, where: str, rtol: float, atol: float
) -> str:
    kind = "Tensor-likes" if rtol or atol or actual.dtype.kind == "f" else "Tensor-likes (exactly)"
    if actual.ndim == 0:
        head = f"Scalars are not close{where}!\n\nExpected {expected.item()!r} but got {actual.item()!r}."
        return f"{head}\nAbsolute difference: {difference.item()} (up to {atol} allowed)\nRelative difference: {_relative(difference, expected).item()} (up to {rtol} allowed)"
    difference = np.where(wrong, np.where(np.isnan(difference), np.inf, difference), -1.0)
    relative = np.where(wrong, _relative(difference, expected), -1.0)
    count = int(np.count_nonzero(wrong))
    worst, worst_relative = (np.unravel_index(int(np.argmax(d)), d.shape) for d in (difference, relative))
    return (
        f"{kind} are not close{where}!\n\nMismatched elements: {count} / {actual.size} ({100 * count / actual.size:.1f}%)\n"
        f"Greatest absolute difference: {difference[worst]} at index {tuple(map(int, worst))} (up to {atol} allowed)\n"
        f"Greatest relative difference: {relative[worst_relative]} at index {tuple(map(int, worst_relative))} (up to {rtol} allowed)"
    )


def _relative(difference: np.ndarray, expected: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(difference / np.abs(expected.astype(np.float64)))


def make_tensor(
    *shape: Any, dtype: dtypes.dtype, device: Any = None, low: float | None = None, high: float | None = None,
    requires_grad: bool = False, noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of random values in [low, high): by default -9 to 9 for floats and 0 or -9 to 9 for unsigned and signed integers.

    Drawn from NumPy's generator, seeded with numgrad's, so that `numgrad.manual_seed` fixes them.
    """
    dtypes.check_device(device)
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)
    if dtype in (dtypes.float16, dtypes.bfloat16):
        found = make_tensor(*shape, dtype=dtypes.float32, device=device, low=low, high=high, noncontiguous=noncontiguous, exclude_zero=exclude_zero)
        return found.to(dtype).requires_grad_(requires_grad)  # type: ignore[attr-defined]
    kind = dtypes.to_numpy(dtype)
    if requires_grad and kind.kind != "f":
        raise ValueError(
            f"requires_grad=True is not supported for {dtype}; only floating-point tensors can require grad"
        )
    rng = np.random.default_rng(_seed())
    values = _uniform(rng, (*sizes[:-1], 2 * sizes[-1]) if noncontiguous and sizes else sizes, kind, low, high)
    if exclude_zero:
        values = np.where(values == 0, np.ones((), kind), values)
    if noncontiguous and sizes:
        values = values[..., ::2]
    return wrap(values).requires_grad_(requires_grad)


def _uniform(
    rng: np.random.Generator, sizes: tuple[int, ...], kind: np.dtype, low: float | None, high: float | None
) -> np.ndarray:
    if kind.kind == "b":
        return rng.integers(0, 2, sizes).astype(kind)
    low = (0 if kind.kind == "u" else -9) if low is None else low
    high = (10 if kind.kind in "iu" else 9) if high is None else high
    if low > high:
        raise ValueError(f"make_tensor(): low must not exceed high, but got low={low} and high={high}")
    if kind.kind in "iu":
        return rng.integers(math.ceil(low), max(math.ceil(high), math.ceil(low) + 1), sizes, dtype=kind)
    return rng.uniform(low, high, sizes).astype(kind)


def _seed() -> int:
    return int(integer_array((1,), 0, 2**31, np.dtype(np.int64))[0])
