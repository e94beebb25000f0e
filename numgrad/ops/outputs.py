"""`out=`: a result written over tensors that were given for it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from ..autograd import mode
from ..dtypes import RANK, scalar_name
from ..tensor import Tensor


def call_with_out(made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an op, written over the tensor given as `out`, which takes its shape.

    It is computed apart first, so that `out` may be among the arguments. Errors: RuntimeError where a gradient would be recorded,
    or where the result's dtype is of a higher category (bool < integer < float) than that of `out`.
    """
    out = kwargs.pop("out")
    if out is None:
        return made(*args, **kwargs)
    if not made.public:
        raise TypeError(f"{made.name}() got an unexpected keyword argument 'out'")
    if isinstance(out, Tensor) and "dtype" in made.parameters[len(args) :] and kwargs.get("dtype") is None:
        kwargs["dtype"] = out.dtype
    return written(made.name, out, made(*args, **kwargs))


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes tensors, with `out` as a further argument."""

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        if isinstance(out, Tensor) and kwargs.get("dtype") is None:
            kwargs["dtype"] = out.dtype
        return written(function.__name__, out, function(*args, **kwargs))

    return call


def written(name: str, out: Any, result: Any) -> Any:
    """A result, or several, written over what was given as `out`."""
    if isinstance(result, (tuple, list)):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(result)} Tensors, not {type(out).__name__}")
        parts = [written(name, o, r) for o, r in zip(out, result, strict=True)]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if mode.enabled and (result.requires_grad or out.requires_grad):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.")
    check_cast(result._data.dtype, out._data.dtype)
    if out.shape != result.shape:
        if out.numel():
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not match the required output "
                f"shape {list(result.shape)}. Reuse an out tensor t by resizing it to zero elements with t.resize_(0).", stacklevel=4,
            )  # fmt: skip
        out.resize_(result.shape)  # type: ignore[attr-defined]
    return out.copy_(result)  # type: ignore[attr-defined]


def check_cast(found: Any, wanted: Any) -> None:
    """Results may be cast within and up the categories bool < integer < float, not down."""
    if RANK[found.kind] > RANK[wanted.kind]:
        raise RuntimeError(f"result type {scalar_name(found)} can't be cast to the desired output type {scalar_name(wanted)}")
