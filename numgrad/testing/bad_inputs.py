"""Wrong calls of an op, made from right ones: each must end in an exception of the right sort, or in a right result."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..ops.random import default_generator
from ..tensor import Tensor, wrap
from .case import Case, _leaves, quiet

#: What a wrong call may raise, as PyTorch would; never what an op stumbles over inside.
RIGHT = (TypeError, ValueError, RuntimeError, IndexError, MemoryError, NotImplementedError)
WRONG = (RecursionError,)
HUGE = 2**62
#: Ops that give NaN a sign or a place, as PyTorch's do, where NumPy's do not, or another.
NAN_IS_PLACED = ("sign", "sgn", "heaviside", "searchsorted", "bucketize", "max_pool1d_with_indices", "max_pool2d_with_indices",
                 "max_pool3d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")  # fmt: skip
#: Ops whose reference is one for right inputs only: it does not broadcast, knows one offset, underflows where the op does not,
#: or multiplies NaN in a weight by the zeros of padding.
STRICT_REFERENCES = ("celu", "conv1d", "conv2d", "conv3d", "ctc_loss", "diagonal_scatter", "index_select", "masked_select", "prod")


def bad_calls(case: Case) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Calls with one argument changed: what was changed, and the arguments."""
    for i, value in enumerate(case.args):
        for what, bad in _changes(value):
            yield f"argument {i} {what}", (*case.args[:i], bad, *case.args[i + 1 :]), case.kwargs
    for name, value in case.kwargs.items():
        for what, bad in _changes(value):
            yield f"{name} {what}", case.args, case.kwargs | {name: bad}
    yield "nothing given", (), {}
    yield "an unknown keyword", case.args, case.kwargs | {"no_such_argument": 1}
    yield "too many arguments", (*case.args, *[1] * (len(case.op.parameters) + 1)), case.kwargs


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, bool):
        yield "None", None
    yield "text", "text"
    yield "an object", object()
    if isinstance(value, (np.ndarray, np.generic)):
        yield from _arrays(np.asarray(value))
    elif isinstance(value, bool):
        yield "2", 2
    elif isinstance(value, int):
        for bad in (-1, 0, 100, -100, HUGE, -HUGE, 2**70):
            yield str(bad), bad
        yield "1.5", 1.5
        yield "a tuple", (value, value)
    elif isinstance(value, float):
        for number in (float("nan"), float("inf"), -1.0, 0.0, 1e300):
            yield str(number), number
    elif isinstance(value, str):
        yield "another word", value + "_"
        yield "a number", 3
    elif isinstance(value, (tuple, list)):
        yield from _sequences(value)


def _arrays(x: np.ndarray) -> Iterator[tuple[str, np.ndarray | float | list[Any]]]:
    yield "with one dimension more", x[None]
    yield "with two dimensions more", x[None, ..., None]
    yield "flat", x.reshape(-1)
    if x.ndim:
        yield "with one dimension less", np.zeros(x.shape[1:], x.dtype)
        yield "longer at the end", np.zeros((*x.shape[:-1], x.shape[-1] + 1), x.dtype)
        yield "longer at the start", np.zeros((x.shape[0] + 1, *x.shape[1:]), x.dtype)
        yield "empty", x[:0]
    for kind in (np.bool_, np.uint8, np.int64, np.float32, np.float64):
        if x.dtype != kind:
            with quiet():
                yield f"of {np.dtype(kind).name}", np.zeros(x.shape, kind)
    if x.dtype.kind == "f" and x.size:
        yield "of NaN", np.full(x.shape, np.nan, x.dtype)
        yield "of infinity", np.full(x.shape, np.inf, x.dtype)
    if x.dtype.kind in "iu" and x.size:
        for number in (-1, -100, 100, np.iinfo(x.dtype).max, np.iinfo(x.dtype).min):
            if np.iinfo(x.dtype).min <= number:
                yield f"of {number}", np.full(x.shape, number, x.dtype)
    yield "a list", [1.0, [2.0]]


def _sequences(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value) if type(value) in (tuple, list) else tuple
    yield "nothing in it", kind()
    if value:
        yield "one more", kind([*value, value[-1]])
        yield "one less", kind(value[:-1])
        for what, bad in _changes(value[0]):
            yield f"first {what}", kind([bad, *value[1:]])


def check_bad_inputs(case: Case) -> None:
    """Every wrong call raises what it may raise, with a message, or gives tensors of their full sizes that could be read."""
    for what, args, kwargs in bad_calls(case):
        error = trial(case, args, kwargs)
        if error is not None:
            raise AssertionError(f"{case!r} with {what}: {error}") from None


class Outcome(NamedTuple):
    """What became of a wrong call: what is wrong with that, if anything, and whether the call was refused."""

    wrong: str | None
    refused: bool = False


def trial(case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """What is wrong with the outcome of a call, if anything."""
    return outcome(case, args, kwargs).wrong


def outcome(case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    """What becomes of a call."""
    before = [a.tobytes() for a in case.arrays]
    call = Case(case.op, args, kwargs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is deprecated says so
            if not case.op.module.startswith("numgrad."):
                warnings.simplefilter("ignore", RuntimeWarning)  # a user's op may compute with NumPy
            result = _run(call)
    except WRONG as error:
        return Outcome(f"{type(error).__name__}: {error}", True)
    except RIGHT as error:
        return Outcome(None if str(error) else f"{type(error).__name__} without a message", True)
    except Exception as error:
        return Outcome(f"{type(error).__name__}: {error}", True)
    if before != [a.tobytes() for a in case.arrays]:
        return Outcome("an input was changed")
    huge = any(isinstance(v, int) and abs(v) >= HUGE for v in _leaves((args, kwargs)))  # a reference may take for ever
    return Outcome(None if huge or case.op.name in STRICT_REFERENCES else _differs(call, result))


def _run(call: Case) -> Any:
    args, kwargs = call.fill([wrap(a) for a in call.arrays])
    if call.op.random:
        default_generator.manual_seed(0)
    result = call.op(*args, **kwargs)
    for leaf in _leaves(result):
        if isinstance(leaf, Tensor):
            leaf.sum() if leaf.numel() else None  # type: ignore[attr-defined]
    return result


def _differs(call: Case, result: Any) -> str | None:
    """Whether a result is none that the reference gives: then it is a silent number."""
    if call.op.reference is None or call.op.random:
        return None
    try:
        expected = call.expected()
    except Exception:  # what the reference does not take tells nothing
        return None
    if any(a.dtype.kind == "f" and a.size and np.isnan(a).all() for a in call.arrays) and call.op.name in NAN_IS_PLACED:
        return None
    found = [leaf.detach()._data if isinstance(leaf, Tensor) else np.asarray(leaf) for leaf in _leaves(result)]
    if len(found) != len(expected):
        return None
    for a, e in zip(found, expected, strict=True):
        if a.shape != e.shape:
            return f"the result has shape {list(a.shape)}, the reference's {list(e.shape)}"
        if a.dtype.kind in "biuf" and e.dtype.kind in "biuf" and not _alike(a, e):
            return f"the result is {a.ravel()[:4]}, the reference's {e.ravel()[:4]}"
    return None


def _alike(a: np.ndarray, e: np.ndarray) -> bool:
    """Equal up to the rounding of the narrower of two dtypes; infinities and NaN are not told from one another."""
    with quiet():
        p, q = a.astype(np.float64), e.astype(np.float64)
        finite = np.isfinite(p) & np.isfinite(q)
        scale = np.max(np.abs(q[finite]), initial=1.0)
        # a number where the reference has none is a silent one; the other way round it is not silent
        return bool(np.all(np.abs(p - q)[finite] <= 1e-3 * scale)) and not bool(np.any(np.isfinite(p) & np.isnan(q)))
