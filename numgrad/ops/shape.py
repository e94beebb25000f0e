"""Views of all elements: reshaped, in another order, repeated. They share memory and gradient with the tensor they are of."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from operator import methodcaller
from typing import Any

import numpy as np

from ..dtypes import dtype
from ..tensor import Tensor, wrap
from .convert import contiguous
from .elementwise import broadcast_shape
from .operands import NOT_A_TENSOR
from .planned import front
from .record import REGISTRY, composite
from .views import view_op


def dimension(dim: Any, ndim: int) -> int:
    """A dimension counted from the front; IndexError as PyTorch's where there is none such."""
    if not isinstance(dim, int):
        try:
            dim = dim.__index__()
        except AttributeError:
            raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}") from None
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def dimensions(dims: Any, ndim: int) -> tuple[int, ...]:
    """Several dimensions, or one, counted from the front; RuntimeError for a repeated one."""
    found = tuple(dimension(d, ndim) for d in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    for i, d in enumerate(found):
        if d in found[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return found


def sizes(given: Sequence[Any]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence; each an int or a tensor of one integer."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    if set(map(type, given)) == {int}:
        return tuple(given)
    try:
        return tuple(n.__index__() for n in given)
    except (AttributeError, TypeError):
        raise TypeError(f"sizes must be ints, but got {tuple(type(n).__name__ for n in given)}") from None


def _shaped(draw: Any, **kwargs: Any) -> Any:
    return draw.array(draw.shape(**kwargs))


# --- reshape --------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _fill_in(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """A shape with its -1 replaced."""
    if sum(n == -1 for n in shape) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(n < -1 for n in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    known = math.prod(n for n in shape if n != -1)
    if -1 in shape:
        if known == 0 and numel == 0:
            raise RuntimeError(f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and is ambiguous")
        if known and numel % known == 0:
            return tuple(numel // known if n == -1 else n for n in shape)
    elif known == numel:
        return shape
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def _view_forward(input: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return input.reshape(shape, copy=False)


_view = view_op("reshape_view", _view_forward,
           vjp=(lambda g, input_shape: reshape(g, input_shape),), prepare=lambda input, shape: methodcaller("reshape", shape))  # fmt: skip


def _can_view(data: np.ndarray, shape: tuple[int, ...]) -> bool:
    if data.flags.c_contiguous:
        return True
    try:
        data.reshape(shape, copy=False)
    except ValueError:
        return False
    return True


def _view_arguments(input: Tensor, *shape: Any) -> Any:
    """The same memory in another shape (one size may be -1), or `view(dtype)`: the same bits as another dtype of the same width."""
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return _bits(input, shape[0])
    wanted = _fill_in(sizes(shape), input.numel())
    if not _can_view(input._data, wanted):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return input, wanted


def _bits(input: Tensor, wanted: dtype) -> Tensor:
    if wanted.itemsize != input.itemsize:
        raise RuntimeError(f"view({wanted}): {input.dtype} has another width; numgrad views as dtypes of the same width only")
    return wrap(input._data.view(wanted.numpy))


def _reshape_sample(draw: Any) -> Any:
    shape = draw.shape(min_side=1)
    size = math.prod(shape)
    return (draw.array(shape), draw.choice([(size,), (1, size), (-1,), (*shape, 1), tuple(reversed(shape))])), {}


def _reshape_arguments(input: Tensor, *shape: Any) -> Any:
    """Another shape (one size may be -1): a view where memory allows, else a copy."""
    wanted = _fill_in(sizes(shape), input.numel())
    return input if _can_view(input._data, wanted) else contiguous(input), wanted


_bad_shapes: Any = [((np.ones(6), (4, 2)), RuntimeError, "invalid"), ((np.ones(6), (-1, -1)), RuntimeError, "inferred")]
view = front("view", _view, _view_arguments, reference=np.reshape, sample=_reshape_sample, public=False, errors=_bad_shapes)
reshape = front("reshape", _view, _reshape_arguments, reference=np.reshape, sample=_reshape_sample, errors=_bad_shapes)


def _flatten_arguments(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions start_dim to end_dim as one."""
    ndim = input.dim()
    first, last = dimension(start_dim, ndim), dimension(end_dim, ndim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._data.shape
    return _reshape_arguments(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def _flatten_reference(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    return x.reshape(*x.shape[:first], int(np.prod(x.shape[first : last + 1])), *x.shape[last + 1 :])


def _flatten_sample(draw: Any) -> Any:
    x = _shaped(draw)
    n = max(x.ndim, 1)
    first = draw.integer(0, n - 1)
    return (x, first, draw.integer(first, n - 1) - draw.choice([0, n])), {}


flatten = front("flatten", _view, _flatten_arguments, reference=_flatten_reference, sample=_flatten_sample,
                    errors=[((np.ones((2, 3)), 1, 0), RuntimeError, "start_dim")])  # fmt: skip


def _ravel_function(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1) if input.numel() else reshape(input, 0)


ravel = composite("ravel", _ravel_function, reference=np.ravel, sample=lambda draw: ((_shaped(draw),), {}), errors=NOT_A_TENSOR)


def _unflatten_function(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension as several; one of `sizes` may be -1."""
    d, shape = dimension(dim, input.dim()), input._data.shape
    if not tuple(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    return reshape(input, (*shape[:d], *_fill_in(tuple(sizes), shape[d]), *shape[d + 1 :]))


unflatten = composite("unflatten", _unflatten_function, reference=lambda x, dim, sizes: x.reshape(*x.shape[:dim], *sizes, *x.shape[dim % x.ndim + 1 :]),
                      sample=lambda draw: ((draw.array((draw.integer(0, 3), 6)), 1, draw.choice([(2, 3), (6, 1)])), {}),
                      errors=[((np.ones(4), 0, (3, 2)), RuntimeError, "invalid for input"), ((np.ones(4), 1, (2, 2)), IndexError, "range"), ((np.ones(4), 0, (-1, -1)), RuntimeError, "one dimension"),
                              ((np.ones(4), 0, ()), RuntimeError, "non-empty")])  # fmt: skip


# --- order of dimensions --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


_permute = view_op("permute_view", lambda input, order: input.transpose(order),
              vjp=(lambda g, order: _permute(g, _inverse(order)),), prepare=lambda input, order: methodcaller("transpose", order))  # fmt: skip


def _permute_arguments(input: Tensor, *dims: Any) -> Any:
    """A view with dimensions in the given order."""
    dims = sizes(dims)
    if len(dims) != input.dim():
        raise RuntimeError(f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {input.dim()} is not equal to len(dims) = {len(dims)}")
    return input, dimensions(dims, input.dim())


def _permute_sample(draw: Any) -> Any:
    x = _shaped(draw)
    return (x, tuple(int(d) for d in draw.generator().permutation(x.ndim))), {}


permute = front("permute", _permute, _permute_arguments, reference=np.transpose, sample=_permute_sample,
                    errors=[((np.ones((2, 3)), (0,)), RuntimeError, "dimensions"), ((np.ones((2, 3)), (0, 0)), RuntimeError, "multiple")])  # fmt: skip


def _transpose_arguments(input: Tensor, dim0: int, dim1: int) -> Any:
    """A view with two dimensions exchanged."""
    n = input.dim()
    a, b = dimension(dim0, n), dimension(dim1, n)
    order = list(range(n))
    if n:
        order[a], order[b] = b, a
    return input, tuple(order)


def _transpose_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=1)
    return (x, draw.dim(x.ndim), draw.dim(x.ndim)), {}


_transpose_record: Any = {"reference": np.swapaxes, "sample": _transpose_sample,
                          "errors": [((np.ones((2, 3)), 0, 2), IndexError, "range")]}  # fmt: skip
transpose = front("transpose", _permute, _transpose_arguments, **_transpose_record)
for _alias in ("swapaxes", "swapdims"):
    front(_alias, _permute, _transpose_arguments, **_transpose_record)


def _t_arguments(input: Tensor) -> Any:
    """The transpose of a matrix; tensors of fewer dimensions as they are."""
    if input.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.dim()}D")
    return input, tuple(range(input.dim() - 1, -1, -1))


t = front("t", _permute, _t_arguments, reference=np.transpose, sample=lambda draw: ((_shaped(draw, max_dims=2),), {}),
              errors=[((np.ones((1, 2, 3)),), RuntimeError, "2 dimensions")])  # fmt: skip


def _movedim_function(input: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with some dimensions moved to new places, the others keeping their order."""
    n = input.dim()
    source, destination = dimensions(source, n), dimensions(destination, n)
    if len(source) != len(destination):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same number of dims as destination ({list(destination)} dims)")
    order = [d for d in range(n) if d not in source]
    for to, origin in sorted(zip(destination, source, strict=True)):
        order.insert(to, origin)
    return _permute(input, tuple(order))


def _movedim_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=1)
    return (x, draw.dim(x.ndim), draw.dim(x.ndim)), {}


for _name in ("movedim", "moveaxis"):
    movedim = composite(_name, _movedim_function, reference=np.moveaxis, sample=_movedim_sample, errors=[
        ((np.ones((2, 3)), 2, 0), IndexError, "range"), ((np.ones((2, 3)), (0, 0), (0, 1)), RuntimeError, "multiple|repeated"),
        ((np.ones((2, 3)), (0, 1), (0, 0)), RuntimeError, "multiple|repeated"), ((np.ones((2, 3)), (0, 1), (0,)), RuntimeError, "same number")])  # fmt: skip

# --- size 1 ---------------------------------------------------------------------------------------------------------


def _squeeze_arguments(input: Tensor, dim: Any = None) -> Any:
    """A view without dimensions of size 1: all, or those in `dim` that have it."""
    shape = input._data.shape
    dims = range(len(shape)) if dim is None else dimensions(dim, len(shape))
    return input, tuple([n for d, n in enumerate(shape) if n != 1 or d not in dims])


def _squeeze_reference(x: Any, dim: Any = None) -> Any:
    dims = range(x.ndim) if dim is None else [d % max(x.ndim, 1) for d in (dim if isinstance(dim, tuple) else (dim,))]
    return np.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


def _squeeze_sample(draw: Any) -> Any:
    x = draw.array(tuple(draw.choice([1, 1, 2]) for _ in range(draw.integer(0, 3))))
    return (x, draw.choice([None, draw.dim(x.ndim), draw.dims(x.ndim)])), {}


squeeze = front("squeeze", _view, _squeeze_arguments, reference=_squeeze_reference, sample=_squeeze_sample,
                    errors=[((np.ones(1), 1), IndexError, "range")])  # fmt: skip


def _unsqueeze_arguments(input: Tensor, dim: int) -> Any:
    """A view with a new dimension of size 1 at `dim`."""
    shape = input._data.shape
    d = dimension(dim, len(shape) + 1)
    return input, (*shape[:d], 1, *shape[d:])


def _unsqueeze_sample(draw: Any) -> Any:
    x = _shaped(draw)
    return (x, draw.dim(x.ndim + 1)), {}


unsqueeze = front("unsqueeze", _view, _unsqueeze_arguments, reference=np.expand_dims, sample=_unsqueeze_sample,
                      errors=[((np.ones(2), 2), IndexError, "range")])  # fmt: skip

# --- repetition without memory --------------------------------------------------------------------------------------



def _expand_forward(input: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As `np.broadcast_to`, but not read-only: what may not be written to is found by `check_writeable`."""
    extra = len(shape) - input.ndim
    strides = [0 if n == 1 != m else s for n, m, s in zip(input.shape, shape[extra:], input.strides, strict=True)]
    if input.size and input.flags.c_contiguous:  # the same in a tenth of the time
        return np.ndarray(shape, input.dtype, input, 0, (*(0,) * extra, *strides))
    return np.lib.stride_tricks.as_strided(input, shape, (0,) * extra + tuple(strides), writeable=input.flags.writeable)


class _Repeated:
    """A view of a contiguous array of known shape and strides."""

    __slots__ = ("dtype", "shape", "strides")

    def __init__(self, model: np.ndarray):
        self.shape, self.dtype, self.strides = model.shape, model.dtype, model.strides

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.ndarray(self.shape, self.dtype, x, 0, self.strides)


def _prepare_expand(input: np.ndarray, shape: tuple[int, ...]) -> Any:
    return _Repeated(_expand_forward(input, shape)) if input.size and input.flags.c_contiguous else None


_expand = view_op("expand_view", _expand_forward, prepare=_prepare_expand,
             vjp=(lambda g, input_shape: REGISTRY["sum_to_size"](g, input_shape),))  # fmt: skip


def _expand_arguments(input: Tensor, *size: Any, implicit: bool = False) -> Any:
    """A view that repeats dimensions of size 1; -1 leaves a size as it is."""
    wanted, shape = list(sizes(size)), input._data.shape
    extra = len(wanted) - len(shape)
    if extra < 0:
        raise RuntimeError(f"expand({input.dtype}, size={wanted}): the number of sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})")
    for d, n in enumerate(wanted):
        have = shape[d - extra] if d >= extra else None
        if n == -1:
            if have is None:
                raise RuntimeError(f"expand(size={wanted}): the expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {d}")
            wanted[d] = have
        elif have not in (None, 1, n):
            raise RuntimeError(f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton dimension {d}.  Target sizes: {wanted}.  Tensor sizes: {list(shape)}")
    return input, tuple(wanted)


def _expand_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(draw.broadcastable(shape)), shape), {}


_not_shapes: Any = [((np.ones(3), "text"), TypeError, "must be Tensor"), ((np.ones(3), 2), TypeError, "must be Tensor")]
_expand_errors: Any = [((np.ones(3), (4,)), RuntimeError, "match"), ((np.ones((2, 3)), (3,)), RuntimeError, "number of sizes")]
expand = front("expand", _expand, _expand_arguments, reference=np.broadcast_to, sample=_expand_sample, public=False, errors=_expand_errors)
broadcast_to = composite("broadcast_to", lambda input, size: expand(input, size), doc="A view that repeats dimensions of size 1, as `expand`.", reference=np.broadcast_to, sample=_expand_sample, errors=_expand_errors)
expand_as = composite("expand_as", lambda input, other: expand(input, other.shape), doc="`expand` to the shape of another tensor.", public=False,
                      reference=lambda x, other: np.broadcast_to(x, other.shape),
                      sample=lambda draw: ((lambda s: (draw.array(draw.broadcastable(s)), draw.integers(s)))(draw.shape()), {}),
                      errors=[((np.ones(3), np.ones(4)), RuntimeError, "match"), *_not_shapes])  # fmt: skip
view_as = composite("view_as", lambda input, other: view(input, other.shape), doc="`view` in the shape of another tensor.", public=False, reference=lambda x, o: x.reshape(o.shape),
                    sample=lambda draw: ((draw.array((2, 6)), draw.integers((3, 4))), {}), errors=[((np.ones(3), np.ones(4)), RuntimeError, "invalid for input"), *_not_shapes])  # fmt: skip
reshape_as = composite("reshape_as", lambda input, other: reshape(input, other.shape), doc="`reshape` to the shape of another tensor.", public=False, reference=lambda x, o: x.reshape(o.shape),
                       sample=lambda draw: ((draw.array((2, 6)), draw.integers((3, 4))), {}), errors=[((np.ones(3), np.ones(4)), RuntimeError, "invalid for input"), *_not_shapes])  # fmt: skip


def _broadcast_tensors_function(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of all tensors in the shape they broadcast to together."""
    tensors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = broadcast_shape([x._data.shape for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


broadcast_tensors = composite("broadcast_tensors", _broadcast_tensors_function, method=False, reference=lambda *x: tuple(np.broadcast_arrays(*x)),
                              sample=lambda draw: ((draw.array((3, 1)), draw.array((2,))), {}),
                              errors=[((np.ones(3), np.ones(4)), RuntimeError, "must match"), *_not_shapes])  # fmt: skip
