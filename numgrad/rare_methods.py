"""Methods of Tensor that only some scripts call: constructors of old, other shapes in place, Python functions, and what it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import dtypes, ops
from .ops import creation
from .ops.inplace import check_writeable
from .tensor import Tensor, wrap

# --- new tensors ------------------------------------------------------------------------------------------------------


def _new(self: Tensor, *args: Any, device: Any = None, size: Any = None) -> Tensor:
    """The legacy constructor of this tensor's dtype: sizes, a `Size`, data, a tensor (whose memory is shared), or nothing."""
    dtypes.check_device(device)
    if size is not None:
        args = (dtypes.Size(size),)
    if len(args) == 1 and isinstance(args[0], Tensor):
        if args[0].dtype is not self.dtype:
            raise TypeError(f"new(): expected a tensor of {self.dtype}, but got one of {args[0].dtype}; convert it with .to()")
        return args[0].detach()
    return wrap(creation.legacy(args, self._data.dtype))


def _strided_memory(size: Any, stride: Any, dtype: Any, requires_grad: bool) -> Tensor:
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(f"dimensionality of sizes ({len(size)}) must match dimensionality of strides ({len(stride)})")
    if min((*size, *stride), default=0) < 0:
        raise RuntimeError(f"empty_strided: negative sizes and strides are not supported, got size={list(size)}, stride={list(stride)}")
    length = 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else 0
    memory: Any = creation.empty(length, dtype=dtype)
    found = memory.as_strided(size, stride, 0).detach()
    return found.requires_grad_(requires_grad)


def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:  # fmt: skip
    """Uninitialised memory of the given shape and strides."""
    dtypes.check_device(device, layout)
    return _strided_memory(size, stride, dtypes.get_default_dtype() if dtype is None else dtype, requires_grad)


def _new_empty_strided(
    self: Tensor, size: Any, stride: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any
) -> Tensor:  # fmt: skip
    """`empty_strided` with this tensor's dtype."""
    return _strided_memory(size, stride, self.dtype if dtype is None else dtype, requires_grad)


def _as_subclass(self: Tensor, cls: type) -> Any:
    """This tensor's memory as a tensor of a class derived from Tensor."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): argument 'cls' must be a class derived from Tensor, not {cls!r}")
    result: Any = object.__new__(cls)
    alias: Any = self.view_as(self) if self.requires_grad else self.detach()  # type: ignore[attr-defined]
    result.__dict__.update(alias.__dict__)
    return result


# --- other shapes, in place -------------------------------------------------------------------------------------------


def _alone(self: Tensor, data: Any) -> Tensor:
    """Give a tensor other memory or another view of its own: it is no view of its base any longer."""
    self._data, self._kind, self._base, self._chain = data, None, None, None
    self.bump()
    return self


def _resize(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """Another shape in place. As many elements or fewer stay where they are, in memory shared as before; for more there is new
    memory that begins with the old elements and goes on uninitialised, and whoever shared the old keeps it."""
    shape = ops.shape.sizes(size)
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if any(n < 0 for n in shape):
        raise RuntimeError(f"resize_(): sizes must not be negative, but got {list(shape)}")
    old, count = self._data, math.prod(shape)
    if old.shape == shape:
        return self
    if count <= old.size and old.flags.c_contiguous:
        return _alone(self, old.reshape(-1)[:count].reshape(shape))
    new = creation.empty_memory(shape, old.dtype)
    kept = min(old.size, count)
    if kept:
        ops.elementwise.copy_into(new.reshape(-1)[:kept], old.reshape(-1)[:kept])
    return _alone(self, new)


def _resize_as(self: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    return _resize(self, the_template.shape)


def _as_strided(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`as_strided` in place: the tensor itself becomes that view of its memory."""
    if self.requires_grad:
        raise RuntimeError("as_strided_(): not for tensors that require grad; use as_strided")
    view: Any = self.as_strided(size, stride, storage_offset)  # type: ignore[attr-defined]
    self._data, self._kind = view._data, None
    if self._base is not None:
        self._chain = view._chain
    self.bump()
    return self


def _fill_diagonal(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """A value on the main diagonal, in place; with `wrap` it begins anew below the square part of a tall matrix."""
    if self.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.dim() > 2:
        if len(set(self.shape)) > 1:
            raise RuntimeError("all dimensions of input must be of equal length")
        if self.numel():
            places = creation.arange(self.shape[0])
            self[(places,) * self.dim()] = fill_value  # type: ignore[index]
        return self
    rows, columns = self.shape
    for first in range(0, rows, columns + 1) if wrap else (0,):
        self[first : first + columns].diagonal().fill_(fill_value)  # type: ignore[index]
    return self


# --- Python functions of elements -------------------------------------------------------------------------------------


def _mapped(name: str, function: Callable[..., Any], target: Tensor, *others: Tensor) -> Tensor:
    if any(t.requires_grad for t in (target, *others)):
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")
    for t in others:
        if t.dtype is not target.dtype:
            raise TypeError(f"{name}: expected a tensor of {target.dtype} for 'other' (got {t.dtype})")
    check_writeable(target)
    columns = [target.reshape(-1).tolist(), *[t.expand(target.shape).reshape(-1).tolist() for t in others]]  # type: ignore[attr-defined]
    found = [function(*values) for values in zip(*columns, strict=True)]
    return target.copy_(creation.tensor(found, dtype=target.dtype).reshape(target.shape))  # type: ignore[attr-defined]


def _apply(self: Tensor, callable: Callable[..., Any]) -> Tensor:
    """Each element replaced by a Python function of it: slow."""
    return _mapped("apply_", callable, self)


def _map(self: Tensor, tensor: Tensor, callable: Callable[..., Any]) -> Tensor:
    """Each element replaced by a Python function of it and of another tensor's: slow."""
    return _mapped("map_", callable, self, tensor)


def _map2(self: Tensor, x: Tensor, y: Tensor, callable: Callable[..., Any]) -> Tensor:
    """Each element replaced by a Python function of it and of two other tensors': slow."""
    return _mapped("map2_", callable, self, x, y)


# --- questions --------------------------------------------------------------------------------------------------------


def is_nonzero(input: Tensor) -> bool:
    """Whether a tensor of one element is not zero."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return input.shape == other.shape


def is_signed(input: Tensor) -> bool:
    """Whether the dtype can hold negative numbers."""
    return input.dtype.is_signed


def _never(what: str) -> Any:
    def function(input: Tensor) -> bool:
        return False

    function.__doc__ = f"Always False: {what}."
    return function


def _dim_order(self: Tensor, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the one of the largest stride to that of the smallest."""
    steps = self.stride()
    return tuple(sorted(range(self.dim()), key=lambda d: -steps[d]))


def _imag(self: Tensor) -> Tensor:
    """Always an error: numbers are real."""
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero()`, filled up with rows of `fill_value` if there are fewer."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found: Any = input.nonzero()[:size]  # type: ignore[attr-defined]
    return ops.REGISTRY["pad"](found, (0, 0, 0, size - found.shape[0]), fill_value)


def _float_power(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` in place, of float64 only."""
    if self.dtype is not dtypes.float64:
        raise RuntimeError(f"the base given to float_power_ has dtype {dtypes.scalar_name(self._data.dtype)} but the operation's result requires dtype Double")
    return self.pow_(exponent)  # type: ignore[attr-defined]


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return ops.REGISTRY["polygamma"](n, self)


def _polygamma_in_place(self: Tensor, n: int) -> Tensor:
    """`polygamma`, in place."""
    return self.copy_(ops.REGISTRY["polygamma"](n, self))  # type: ignore[attr-defined]


def _resized(self: Tensor, *size: Any) -> Tensor:
    """A view in another shape of as many elements; deprecated by PyTorch in favour of `reshape`."""
    shape = ops.shape.sizes(size)
    if math.prod(shape) != self.numel():
        raise RuntimeError(f"requested resize to {list(shape)}, but the given tensor has a size of {list(self.shape)}: resize() keeps the number of elements")
    return self.reshape(shape)  # type: ignore[attr-defined]


def _resized_as(self: Tensor, tensor: Tensor) -> Tensor:
    """A view in the shape of another tensor of as many elements."""
    return _resized(self, tensor.shape)


def _is_pinned(self: Tensor, device: Any = None) -> bool:
    """Always False: there is no device to copy to."""
    return False


def _itself(self: Tensor) -> Tensor:
    """The tensor itself: numbers are real."""
    return self


METHODS: dict[str, Any] = {
    "new": _new, "new_empty_strided": _new_empty_strided, "as_subclass": _as_subclass, "resize_": _resize, "resize_as_": _resize_as,
    "as_strided_": _as_strided, "fill_diagonal_": _fill_diagonal, "apply_": _apply, "map_": _map, "map2_": _map2, "is_nonzero": is_nonzero,
    "is_same_size": is_same_size, "is_pinned": _is_pinned, "dim_order": _dim_order, "imag": property(_imag),
    "nonzero_static": nonzero_static, "float_power_": _float_power, "polygamma": _polygamma, "polygamma_": _polygamma_in_place,
    "resize": _resized, "resize_as": _resized_as,
    "is_conj": _never("numbers are real"), "is_neg": _never("views are not negated"), "is_distributed": _never("there is one process"),
    "is_coalesced": _never("tensors are dense"), "conj_physical": _itself, "conj_physical_": _itself,
    "is_cpu": True, "name": None,
}  # fmt: skip
METHODS |= dict.fromkeys(("is_sparse_csr", "is_ipu", "is_maia", "is_mtia", "is_vulkan", "is_xla"), False)
