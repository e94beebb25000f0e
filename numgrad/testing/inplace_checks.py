"""In-place forms: the same values and gradients as out of place, in the tensor and in whatever shares its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import autograd
from ..tensor import Tensor, wrap
from .case import Case
from .checks import LAYOUTS, check_raises, check_same
from .gradients import direction


def check_inplace(case: Case) -> None:
    """`x.op_(...)` writes what `x.op(...)` returns, into x and into views, returns x, and has the same gradients."""
    name = case.op.name + "_"
    if not case.op.inplace or case.op.random or not (case.args and isinstance(case.args[0], np.ndarray)):
        return
    first = case.arrays[0]
    expected = np.array(case.results()[0])
    if expected.shape != first.shape or not _castable(expected.dtype, first.dtype):
        check_raises(lambda: getattr(wrap(first.copy()), name)(*_rest(case)), RuntimeError, "", f"{case!r} in place")
        return
    for layout in ("contiguous", "transposed", "strided"):
        memory = LAYOUTS[layout](first) if first.ndim and layout in LAYOUTS else first.copy()
        target = wrap(memory)
        version = target._version
        returned = getattr(target, name)(*_rest(case), **_rest_named(case))
        assert returned is target, f"{case.op.name}_ does not return the tensor it changed"
        assert target._version > version, f"{case.op.name}_ does not count its change"
        check_same(target._data, expected.astype(first.dtype), 32 * case.op.tolerance, f"{case!r} in place, {layout}")
    if first.dtype.kind == "f":
        _check_inplace_gradient(case, name)


def _castable(found: np.dtype, wanted: np.dtype) -> bool:
    order = "biuf".replace("u", "")
    return order.index(found.kind.replace("u", "i")) <= order.index(wanted.kind.replace("u", "i"))


def _rest(case: Case) -> tuple[Any, ...]:
    return case.fill([wrap(a) for a in case.arrays])[0][1:]


def _rest_named(case: Case) -> dict[str, Any]:
    return case.fill([wrap(a) for a in case.arrays])[1]


def _check_inplace_gradient(case: Case, name: str) -> None:
    """Gradients through a changed tensor, and through a view whose base changes with it."""
    rng = np.random.default_rng(0)
    u = wrap(direction(rng, case.arrays[0].reshape(-1)).reshape(case.arrays[0].shape).astype(case.arrays[0].dtype))
    expected = _gradients_of(case, lambda x, *rest: (case.op(x, *rest, **_rest_named(case)), x), u)

    def direct(x: Tensor, *rest: Any) -> Any:
        return getattr(x.clone(), name)(*rest, **_rest_named(case)), x  # type: ignore[attr-defined]

    def through_view(x: Tensor, *rest: Any) -> Any:
        base = x.unsqueeze(0).expand(2, *x.shape).clone()  # type: ignore[attr-defined]
        getattr(base.select(0, 1), name)(*rest, **_rest_named(case))
        return base.select(0, 1), x

    for how in (direct, through_view):
        for i, (a, e) in enumerate(zip(_gradients_of(case, how, u), expected, strict=True)):
            check_same(a, e, 64 * case.op.tolerance, f"{case!r} in place, {how.__name__}: gradient {i}")


def _gradients_of(case: Case, function: Callable[..., Any], u: Tensor) -> list[np.ndarray]:
    tensors = [wrap(a) for a in case.arrays]
    for i in case.floats:
        tensors[i].requires_grad_()
    args, _ = case.fill(tensors)
    result, _ = function(*args)
    inputs = [tensors[i] for i in case.floats]
    found = autograd.grad([result], inputs, [u], allow_unused=True) if result.requires_grad else [None] * len(inputs)
    return [np.zeros(x.shape, x._data.dtype) if g is None else g._data for g, x in zip(found, inputs, strict=True)]
