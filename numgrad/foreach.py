"""PyTorch's `_foreach_` functions, with which optimizers of other libraries update lists of tensors.

Each is a loop over the function of its name; `numgrad.compile` makes one launch of what they do. Functions return tuples,
their in-place forms (with `_` at the end) the list they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import ops
from .tensor import Tensor

_UNARY = ("abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "neg",
          "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc")  # fmt: skip
_BINARY = ("add", "clamp_max", "clamp_min", "div", "maximum", "minimum", "mul", "pow", "sub")
_TERNARY = ("addcdiv", "addcmul", "lerp")
_BOUNDS = {"maximum": "clamp_min", "minimum": "clamp_max"}


def _listed(name: str, self: Any) -> Sequence[Tensor]:
    """The tensors of a list; TypeError for other things, RuntimeError if there are none."""
    if not isinstance(self, (list, tuple)) or not all(isinstance(t, Tensor) for t in self):
        raise TypeError(f"_foreach_{name}(): argument 'self' (position 1) must be tuple of Tensors, not {type(self).__name__}")
    if not self:
        raise RuntimeError(f"_foreach_{name}(): Tensor list must have at least one tensor.")
    return self


def _each(name: str, tensors: Sequence[Tensor], other: Any, *, spread: bool = False) -> Sequence[Any]:
    """One argument for each tensor: a list's entries, with `spread` a tensor's too, else the same number or 0-d tensor for all."""
    if spread and isinstance(other, Tensor) and other.dim() == 1:
        other = other.tolist()
    if isinstance(other, (list, tuple)):
        if len(other) != len(tensors):
            kind = "lists must have the same number of tensors" if other and isinstance(other[0], Tensor) else "list must have same number of elements as scalar list"
            raise RuntimeError(f"_foreach_{name}(): Tensor {kind}, got {len(tensors)} and {len(other)}")
        return other
    if isinstance(other, Tensor) and other.dim() > 0:
        raise RuntimeError(f"_foreach_{name}(): scalar tensor expected to be 0 dim but it has {other.dim()} dimensions and {other.numel()} elements.")
    return [other] * len(tensors)


def _apply(name: str, inplace: bool, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The function of a tensor, written into it if `inplace`."""
    if name in _BOUNDS and not isinstance(args[0], Tensor):
        name = _BOUNDS[name]
    if not inplace:
        return ops.REGISTRY[name](tensor, *args, **kwargs)
    own = getattr(tensor, name + "_", None)
    return tensor.copy_(ops.REGISTRY[name](tensor, *args, **kwargs)) if own is None else own(*args, **kwargs)  # type: ignore[attr-defined]


def _result(inplace: bool, given: Any, made: list[Tensor]) -> Any:
    return given if inplace else tuple(made)


def _unary(name: str, inplace: bool) -> Callable[..., Any]:
    def function(self: Any) -> Any:
        return _result(inplace, self, [_apply(name, inplace, tensor) for tensor in _listed(name, self)])

    return function


def _binary(name: str, inplace: bool) -> Callable[..., Any]:
    def function(self: Any, other: Any, **alpha: Any) -> Any:
        if name == "pow" and not inplace and isinstance(other, (list, tuple)) and not isinstance(self, (list, tuple)):
            return tuple(ops.REGISTRY["pow"](self, exponent) for exponent in _listed(name, other))
        tensors = _listed(name, self)
        return _result(inplace, self, [_apply(name, inplace, t, o, **alpha) for t, o in zip(tensors, _each(name, tensors, other), strict=True)])

    return function


def _ternary(name: str, inplace: bool) -> Callable[..., Any]:
    def function(self: Any, tensors1: Any, *more: Any, **named: Any) -> Any:
        tensors = _listed(name, self)
        lists = [_each(name, tensors, tensors1), *(_each(name, tensors, m, spread=name != "lerp") for m in more)]
        last = [_each(name, tensors, value, spread=True) for value in named.values()]
        if name == "lerp" or (len(lists) == 2 and not last):
            made = [_apply(name, inplace, t, *rest) for t, *rest in zip(tensors, *lists, *last, strict=True)]
        else:
            made = [_apply(name, inplace, t, a, b, value=v) for t, a, b, v in zip(tensors, *lists, *last, strict=True)]
        return _result(inplace, self, made)

    return function


def _norm(self: Any, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each."""
    from .linalg import vector_norm

    return tuple(vector_norm(tensor, ord, dtype=dtype) for tensor in _listed("norm", self))


def _copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Copy each of `src` into the tensor at its place."""
    tensors = _listed("copy_", self)
    for tensor, source in zip(tensors, _each("copy_", tensors, src), strict=True):
        tensor.copy_(source)  # type: ignore[attr-defined]
    return self


def _zero_(self: Any) -> Any:
    """Set all to zero."""
    for tensor in _listed("zero_", self):
        tensor.zero_()  # type: ignore[attr-defined]
    return self


def _mm(self: Any, mat2: Any) -> tuple[Tensor, ...]:
    """The products of matrices, one by one."""
    tensors = _listed("mm", self)
    return tuple(ops.REGISTRY["mm"](a, b) for a, b in zip(tensors, _each("mm", tensors, mat2), strict=True))


def _simple(name: str, of: Callable[..., Tensor]) -> Callable[..., Any]:
    return lambda self, *args: tuple(of(tensor, *args) for tensor in _listed(name, self))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_foreach_norm": _norm, "_foreach_copy_": _copy_, "_foreach_zero_": _zero_, "_foreach_mm": _mm,
    "_foreach_max": _simple("max", lambda t: t.max()), "_foreach_clone": _simple("clone", lambda t: t.clone()),  # type: ignore[attr-defined]
    "_foreach_powsum": _simple("powsum", lambda t, ord: t.abs().pow(ord).sum()),  # type: ignore[attr-defined]
}  # fmt: skip
for _names, _make in ((_UNARY, _unary), (_BINARY, _binary), (_TERNARY, _ternary)):
    for _name in _names:
        for _inplace in (False, True):
            _full = f"_foreach_{_name}{'_' * _inplace}"
            FUNCTIONS[_full] = _made = _make(_name, _inplace)
            _made.__name__ = _made.__qualname__ = _full
            _made.__doc__ = f"`{_name}{'_' * _inplace}` of each tensor of a list; other arguments are lists as long, or one for all."
