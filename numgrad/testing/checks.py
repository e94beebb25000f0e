"""What is true of every op, as small checks: each takes a `Case`, or an op, and raises AssertionError where it does not hold."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import autograd, dtypes
from ..jit import Observer, get_num_threads, observe, set_num_threads
from ..ops.record import Op
from ..tensor import Tensor, wrap
from .case import Case, _leaves, quiet
from .gradients import (
    GradientError,
    backward_of,
    check_gradients,
    check_second_gradients,
    direction,
    outputs_of,
    upstream,
)

#: Roundings an op may be away from the exact result, in units of what one rounding of its inputs or output changes.
ROUNDINGS = 16
FLOAT32 = np.dtype(np.float32)


# --- values ---------------------------------------------------------------------------------------------------------


def check_value(case: Case) -> None:
    """The result is the reference's, computed in float64 from the same numbers, up to rounding; shape and dtype too.

    How far rounding may take it is measured: a stable algorithm gives the exact result for inputs that differ by a few
    roundings, so the reference is run on such inputs as well.
    """
    with case.untouched() as own:
        actual = own.results()
    if case.op.random:
        return
    doubles = case.astype(np.float64)
    exact = doubles.expected() if case.op.reference else doubles.results()
    kinds = case.expected() if case.op.reference else exact
    assert len(actual) == len(exact), f"{case!r} returns {len(actual)} results instead of {len(exact)}"
    try:
        _check_values(case, actual, exact, kinds, _rounding(doubles, exact, _eps(case), 4))
    except AssertionError:  # few inputs a rounding off may all happen to give the same
        _check_values(case, actual, exact, kinds, _rounding(doubles, exact, _eps(case), 100))


def _rounding(doubles: Case, exact: list[np.ndarray], eps: float, draws: int) -> list[np.ndarray]:
    """How far one rounding of the inputs, or of the results, takes the results."""
    extra = slack(doubles, exact, eps, draws) if doubles.op.reference else [eps * np.max(np.abs(e), initial=0) for e in exact]
    return [eps * np.abs(_finite(e)) + s for e, s in zip(exact, extra, strict=True)]


def _check_values(case: Case, actual: list[np.ndarray], exact: list[np.ndarray], kinds: list[np.ndarray], rounding: list[np.ndarray]) -> None:
    for i, (a, e, r, k) in enumerate(zip(actual, exact, rounding, kinds, strict=True)):
        where = f"{case!r}, result {i}"
        assert a.shape == e.shape, f"{where} has shape {list(a.shape)} instead of {list(e.shape)}"
        _check_dtype(case, a.dtype, k.dtype, where)
        check_close(a, e, ROUNDINGS * case.op.tolerance * r, where)


def _eps(case: Case) -> float:
    found = [a.dtype for a in case.arrays if a.dtype.kind == "f"]
    return float(np.finfo(max(found, key=lambda d: np.finfo(d).eps) if found else FLOAT32).eps)


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0) if x.dtype.kind == "f" else np.zeros(x.shape)


def slack(case: Case, exact: list[np.ndarray], eps: float, draws: int = 4) -> list[np.ndarray]:
    """How much the reference's results change where each input number changes by one rounding, up or down.

    With many draws by 16, a 16th of it: what one rounding does may be lost in the reference's own.
    """
    by = 16 if draws > 4 else 1
    return [s / by for s in _spread(case, exact, eps * by, Case.expected, draws)]


def _spread(case: Case, exact: list[np.ndarray], eps: float, compute: Callable[[Case], list[np.ndarray]], draws: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = [np.zeros(e.shape) for e in exact]
    for _ in range(draws if case.floats else 0):
        moved = [_moved(a, eps, rng, case.op.normwise) if a.dtype.kind == "f" else a for a in case.arrays]
        try:
            results = compute(case.with_arrays(moved))
        except Exception:  # a reference may insist on exact structure
            continue
        for s, e, r in zip(found, exact, results, strict=True):
            if r.shape == e.shape and e.dtype.kind == "f":
                with quiet():
                    np.maximum(s, np.nan_to_num(np.abs(r - e), nan=0, posinf=0), out=s)
    return found


def _moved(a: np.ndarray, eps: float, rng: np.random.Generator, normwise: bool) -> np.ndarray:
    """The array with each element a rounding off: its own, or one of the largest."""
    size = np.max(np.abs(_finite(a)), initial=0) if normwise else a
    return np.asarray(a + size * eps * rng.choice([-1.0, 1.0], a.shape), a.dtype)


def _check_dtype(case: Case, found: np.dtype, reference: np.dtype, where: str) -> None:
    given = [a.dtype for a in case.arrays if a.dtype.kind == "f"]
    asked = any(isinstance(leaf, (dtypes.dtype, np.dtype)) for leaf in _leaves((case.args, case.kwargs)))
    if reference.kind == "f" and not asked:
        wanted = (
            {reference} if np.dtype(np.float64) in given else {reference, FLOAT32}
        )  # NumPy widens more often than PyTorch
    elif reference.kind in "iu":
        wanted = {reference, np.dtype(np.int64)}
    else:
        wanted = {reference}
    assert found in wanted, f"{where} is {found} instead of {' or '.join(map(str, wanted))}"


def check_close(actual: np.ndarray, expected: np.ndarray, bound: Any, where: str) -> None:
    """AssertionError at the first place where two arrays differ by more than a bound; NaN equals NaN."""
    if expected.dtype.kind != "f" or actual.dtype.kind != "f":
        close = actual == expected
    else:
        with quiet():
            difference = np.abs(actual.astype(np.float64) - expected)
            tiny = np.finfo(actual.dtype).tiny
            close = (actual == expected) | (difference <= bound + tiny) | (np.isnan(actual) & np.isnan(expected))
            # what overflows the narrower type is an infinity there
            close |= (
                np.isinf(actual)
                & (np.abs(expected) >= 0.999 * np.finfo(actual.dtype).max)
                & (np.sign(actual) == np.sign(expected))
            )
    if not np.all(close):
        at = tuple(int(i) for i in np.argwhere(~np.asarray(close))[0])
        allowed = np.broadcast_to(bound, expected.shape)[at]
        raise AssertionError(
            f"{where}{list(at) if at else ''}: {actual[at]} instead of {expected[at]} (allowed: {allowed:.2g})"
        )


# --- gradients ------------------------------------------------------------------------------------------------------


def _has_gradient(case: Case) -> bool:
    """Random results need not depend on the inputs; all others must have the gradient that they have."""
    if not case.op.random:
        return True
    inputs = [wrap(case.arrays[i]).requires_grad_() for i in case.floats]
    return any(o.requires_grad for o in outputs_of(case.function(case.floats)(*inputs)))


def check_gradient(case: Case, projections: int = 2) -> None:
    """Backward agrees with central differences, for each input by itself (float64)."""
    if case.floats and _has_gradient(case):
        with case.untouched() as own:
            floats = [own.arrays[i] for i in case.floats]
            with _naming(case):
                check_gradients(own.function(case.floats), floats, projections=projections, precision=1e-9 * case.op.tolerance,
                                names=_names(case))  # fmt: skip


def check_second_gradient(case: Case, order: int = 2) -> None:
    """The gradient of backward agrees with central differences (float64); with `order` 3, that of its backward too."""
    if case.floats and _has_gradient(case):
        with case.untouched() as own:
            function, arrays, names = own.function(case.floats), [own.arrays[i] for i in case.floats], _names(case)
            if any(o._data.dtype != np.float64 for o in outputs_of(own.run())):
                return  # what a conversion to float32 rounds away shows in a gradient's differences
            for _ in range(order - 2):
                given = upstream(function, arrays)
                function, arrays = backward_of(function, len(arrays)), [*arrays, *given]
                names += [f"the gradient of result {i}" for i in range(len(given))]
            with _naming(case, f"gradient of order {order}, "):
                check_second_gradients(function, arrays, precision=1e-9 * case.op.tolerance, names=names)


def _names(case: Case) -> list[str]:
    return [case.names[i] for i in case.floats]


@contextlib.contextmanager
def _naming(case: Case, what: str = "") -> Iterator[None]:
    """Errors say which call they are about."""
    try:
        yield
    except GradientError as error:
        error.args = (f"{what}{error}\n    in {case!r}",)
        raise


def check_gradient_of_reference(case: Case) -> None:
    """Backward, in the case's own dtype, agrees with central differences of the reference in float64."""
    if not case.floats or case.op.reference is None or case.op.random:
        return
    doubles = case.astype(np.float64)

    def compute(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        filled = list(doubles.arrays)
        for i, a in zip(case.floats, arrays, strict=True):
            filled[i] = a
        return [r for r in doubles.with_arrays(filled).expected() if r.dtype.kind == "f"]

    with case.untouched() as own:
        floats = [own.arrays[i] for i in case.floats]
        with _naming(case):
            check_gradients(
                own.function(case.floats), floats, projections=1, precision=4 * ROUNDINGS * case.op.tolerance * _eps(case),
                compute=compute, names=_names(case),
            )  # fmt: skip


# --- layouts --------------------------------------------------------------------------------------------------------


def _transposed(x: np.ndarray) -> np.ndarray:
    return x.T.copy().T


def _strided(x: np.ndarray) -> np.ndarray:
    if x.ndim == 0:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    wide[..., 1::2] = x
    return wide[..., 1::2]


def _expanded(x: np.ndarray) -> np.ndarray:
    """Repeats the first index of every other dimension, without memory for it."""
    index = tuple(slice(0, 1) if d % 2 == 0 else slice(None) for d in range(x.ndim))
    return np.broadcast_to(x[index], x.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": _transposed,
    "strided": _strided,
    "expanded": _expanded,
}


def check_layouts(case: Case) -> None:
    """Results and gradients are those for contiguous arrays, however the inputs and the incoming gradient lie in memory."""
    if case.op.name == "empty_like":  # its values are what was in memory
        return
    for name, change in LAYOUTS.items():
        changed = case.with_arrays([change(a) for a in case.arrays])
        plain = changed.with_arrays([np.ascontiguousarray(a).reshape(a.shape) for a in changed.arrays])
        try:
            expected = _everything(plain, lambda u, change=change: np.array(change(u)))
        except Exception:
            if name != "expanded":  # repeated values may lie outside the op's domain
                raise
            continue
        try:
            actual = _everything(changed, change)
        except RuntimeError as error:
            if "Use .reshape(...) instead" not in str(error):  # what cannot be a view must say so
                raise
            continue
        if all(a.tobytes() == e.tobytes() for a, e in zip(actual, expected, strict=True)):
            continue
        extra = _order_of_sums(plain, expected, change)
        for i, (a, e, s) in enumerate(zip(actual, expected, extra, strict=True)):
            check_same(a, e, 32 * case.op.tolerance, f"{case!r}, {name}, result or gradient {i}", 32 * s)


def _order_of_sums(case: Case, exact: list[np.ndarray], change: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """What sums in another order may be off: what changes where the inputs and the incoming gradient are a rounding off."""
    rng, eps = np.random.default_rng(1), _eps(case)
    return _spread(case, exact, eps, lambda moved: _everything(moved, lambda u: _moved(np.array(change(u)), eps, rng, False)), 16)


def _everything(case: Case, change: Callable[[np.ndarray], np.ndarray] = lambda u: u) -> list[np.ndarray]:
    """Results and gradients of a call; the incoming gradient passes through `change`."""
    rng = np.random.default_rng(0)
    indices = case.floats
    inputs = [wrap(case.arrays[i]).requires_grad_() for i in indices]
    result = case.function(indices)(*inputs)
    found = [np.array(r.detach()._data if isinstance(r, Tensor) else r) for r in _leaves(result)]
    outputs = [o for o in outputs_of(result) if o.requires_grad]
    if outputs:
        weights = [
            wrap(change(direction(rng, o._data.reshape(-1)).reshape(o._data.shape).astype(o._data.dtype)))
            for o in outputs
        ]
        received = autograd.grad(outputs, inputs, weights, allow_unused=True)
        found += [np.zeros(()) if grad is None else grad.detach()._data for grad in received]
    return found


def check_same(actual: np.ndarray, expected: np.ndarray, roundings: float, where: str, more: Any = 0.0) -> None:
    """AssertionError unless two arrays have one shape and dtype, and values that differ by a few roundings, and `more` at most."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype, (
        f"{where}: {actual.dtype}{list(actual.shape)} instead of {expected.dtype}{list(expected.shape)}"
    )
    bound = more
    if expected.dtype.kind == "f":
        bound = more + roundings * float(np.finfo(expected.dtype).eps) * float(np.max(np.abs(_finite(expected)), initial=0))
    check_close(actual, expected, bound, where)


# --- threads --------------------------------------------------------------------------------------------------------


def check_threads(case: Case, counts: Sequence[int] = (2, 3, 4)) -> None:
    """Results and gradients have the same bits from the serial and the parallel kernels, on any number of threads."""
    with _threads(1, grain=1 << 62):
        expected = _everything(case)
    for count in counts:
        if count <= _pool():
            with _threads(count, grain=0):
                actual = _everything(case)
            for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
                assert a.tobytes() == e.tobytes(), (
                    f"{case!r}, result or gradient {i}: {count} threads give other bits than the serial kernel"
                )


def _pool() -> int:
    import os

    return int(os.environ.get("NUMBA_NUM_THREADS", 1))


@contextlib.contextmanager
def _threads(count: int, grain: int) -> Iterator[None]:
    module: Any = importlib.import_module("numgrad.jit.kernel")
    before = module.GRAIN, get_num_threads()
    module.GRAIN = grain
    set_num_threads(count)
    try:
        with observe(Observer()):  # else calls whose work was found to be small go straight to the serial form
            yield
    finally:
        module.GRAIN = before[0]
        set_num_threads(before[1])


# --- errors ---------------------------------------------------------------------------------------------------------


def check_errors(op: Op) -> None:
    """Every declared bad input raises what it declares."""
    for args, kind, pattern in op.errors:
        case = Case(op, args)
        check_raises(case.run, kind, pattern, repr(case))


def check_raises(call: Callable[[], Any], kind: type[BaseException], pattern: str, where: str) -> None:
    """AssertionError unless a call raises this kind of error with a message that matches."""
    try:
        call()
    except kind as error:
        assert re.search(pattern, str(error)), (
            f"{where} raises {type(error).__name__}({str(error)!r}), which does not match {pattern!r}"
        )
        return
    except Exception as error:
        raise AssertionError(f"{where} raises {type(error).__name__}: {error}; expected {kind.__name__}") from error
    raise AssertionError(f"{where} raises nothing; expected {kind.__name__}")
