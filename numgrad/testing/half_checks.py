"""Two-byte floats: an op gives what it gives for the same numbers in float32, rounded once; gradients likewise."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor, wrap
from .case import Case, _leaves, quiet
from .dtype_checks import REFUSALS

#: Ops whose results do not take the dtype of their operands.
_OWN = {"to", "to_dtype", "bincount"}


def check_halves(case: Case, dtype: dtypes.dtype) -> None:
    """The op on float16 or bfloat16 beside the op on float32 that holds the same numbers."""
    wide = [np.array(_rounded(a, dtype).float()._data) if a.dtype.kind == "f" else a for a in case.arrays]  # type: ignore[attr-defined]
    try:
        with quiet():
            floats = [wrap(a) for a in wide]
            expected, wanted = _run(case, floats, dtype)
    except REFUSALS:
        return
    with quiet():
        halves = [_rounded(a, dtype) if a.dtype.kind == "f" else wrap(a) for a in wide]
        actual, found = _run(case, halves, dtype)
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        where = f"{case!r} of {dtype}, result {i}"
        if e._data.dtype == np.float32 and case.op.name not in _OWN:
            assert a.dtype is dtype, f"{where} is {a.dtype}"
        else:
            assert a.dtype is e.dtype, f"{where} is {a.dtype} instead of {e.dtype}"
        if case.op.name not in _OWN | {"einsum"}:  # a view is a view, but of what einsum widened
            shared, wanted_shared = ([np.may_share_memory(r._data, t._data) for t in ts] for r, ts in ((a, halves), (e, floats)))
            assert shared == wanted_shared, f"{where} shares memory: {shared} instead of {wanted_shared}"
        _check_same(a, e.to(a.dtype), where)  # type: ignore[attr-defined]
    if case.op.inplace and not case.op.random and isinstance(case.args[0], np.ndarray) and case.args[0].dtype.kind == "f":
        _check_inplace(case, wide, actual[0], dtype)
    for i, (g, w) in enumerate(zip(found, wanted, strict=True)):
        where = f"{case!r} of {dtype}, gradient {i}"
        assert (g is None) == (w is None), where
        if g is not None:
            assert g.dtype is dtype, f"{where} is {g.dtype}"
            _check_same(g, w.to(dtype), where)


def _check_inplace(case: Case, wide: list[np.ndarray], expected: Tensor, dtype: dtypes.dtype) -> None:
    """`x.op_(...)` writes into x, and into what shares its memory, what `op` returns."""
    tensors = [_rounded(a, dtype) if a.dtype.kind == "f" else wrap(a) for a in wide]
    (first, *rest), kwargs = case.fill(tensors)
    if expected.shape != first.shape or not expected.is_floating_point():
        return
    view = first.view(-1) if first.dim() else first.detach()  # type: ignore[attr-defined]
    with quiet():
        returned = getattr(first, case.op.name + "_")(*rest, **kwargs)
    assert returned is first and first.dtype is dtype, f"{case!r} of {dtype} in place"
    _check_same(view.view(first.shape), expected.to(dtype), f"{case!r} of {dtype} in place")  # type: ignore[attr-defined]


def _rounded(array: np.ndarray, dtype: dtypes.dtype) -> Tensor:
    return wrap(np.array(array, np.float32)).to(dtype)  # type: ignore[attr-defined]


def _run(case: Case, tensors: list[Tensor], dtype: dtypes.dtype) -> tuple[list[Tensor], list[Any]]:
    """Results, and the gradients of the operands for gradients of the results that both dtypes hold."""
    floats = [t.detach().requires_grad_() if t.is_floating_point() else t for t in tensors]
    results = [r for r in _leaves(case.run(floats)) if isinstance(r, Tensor)]
    live = [r for r in results if r.requires_grad]
    rng = np.random.default_rng(0)
    ups = [_rounded(rng.integers(-8, 9, r.shape) / 8, dtype).to(r.dtype) for r in live]  # type: ignore[attr-defined]
    leaves = [t for t in floats if t.requires_grad]
    from ..autograd import backward

    if live and case.op.vjp is not None:
        backward(live, ups)
    return [r.detach() for r in results], [t.grad for t in leaves]


def _check_same(actual: Tensor, expected: Tensor, where: str) -> None:
    a, e = (t.double()._data if t.is_floating_point() else t._data for t in (actual, expected))  # type: ignore[attr-defined]
    assert a.shape == e.shape, f"{where} has shape {list(a.shape)} instead of {list(e.shape)}"
    assert np.array_equal(a, e, equal_nan=a.dtype.kind == "f"), f"{where} is {a.tolist()} instead of {e.tolist()}"
