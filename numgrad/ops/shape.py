"""Views, which share memory and gradient with the tensor they are of, and the copies that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import check_device, device, dtype, to_numpy
from ..tensor import Tensor
from .elementwise import broadcast_shape, copied, copy_into
from .record import REGISTRY, composite, op


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
    try:
        return tuple(n.__index__() for n in given)
    except (AttributeError, TypeError):
        raise TypeError(f"sizes must be ints, but got {tuple(type(n).__name__ for n in given)}") from None


def _shaped(draw: Any, **kwargs: Any) -> Any:
    return draw.array(draw.shape(**kwargs))


# --- reshape --------------------------------------------------------------------------------------------------------


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


_view = op("reshape_view", _view_forward, view=True, public=False, method=False,
           vjp=(lambda g, input_shape: reshape(g, input_shape),))  # fmt: skip


def _can_view(data: np.ndarray, shape: tuple[int, ...]) -> bool:
    if data.flags.c_contiguous:
        return True
    try:
        data.reshape(shape, copy=False)
    except ValueError:
        return False
    return True


def _view_function(input: Tensor, *shape: Any) -> Tensor:
    """The same memory in another shape (one size may be -1), or `view(dtype)`: the same bits as another dtype of the same width."""
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return _bits(input, shape[0])
    wanted = _fill_in(sizes(shape), input.numel())
    if not _can_view(input._data, wanted):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return _view(input, wanted)


def _bits(input: Tensor, wanted: dtype) -> Tensor:
    if wanted.itemsize != input.itemsize:
        raise RuntimeError(f"view({wanted}): {input.dtype} has another width; numgrad views as dtypes of the same width only")
    from ..tensor import wrap

    return wrap(input._data.view(wanted.numpy))


def _reshape_sample(draw: Any) -> Any:
    shape = draw.shape(min_side=1)
    size = math.prod(shape)
    return (draw.array(shape), draw.choice([(size,), (1, size), (-1,), (*shape, 1), tuple(reversed(shape))])), {}


def _reshape_function(input: Tensor, *shape: Any) -> Tensor:
    """Another shape (one size may be -1): a view where memory allows, else a copy."""
    wanted = _fill_in(sizes(shape), input.numel())
    return _view(input if _can_view(input._data, wanted) else contiguous(input), wanted)


_bad_shapes: Any = [((np.ones(6), (4, 2)), RuntimeError, "invalid"), ((np.ones(6), (-1, -1)), RuntimeError, "inferred")]
view = composite("view", _view_function, reference=np.reshape, sample=_reshape_sample, public=False, errors=_bad_shapes)
reshape = composite("reshape", _reshape_function, reference=np.reshape, sample=_reshape_sample, errors=_bad_shapes)


def _flatten_function(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim as one."""
    ndim = input.dim()
    first, last = dimension(start_dim, ndim), dimension(end_dim, ndim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if ndim == 0:
        return input.reshape(1)
    shape = input._data.shape
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def _flatten_reference(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    return x.reshape(*x.shape[:first], int(np.prod(x.shape[first : last + 1])), *x.shape[last + 1 :])


def _flatten_sample(draw: Any) -> Any:
    x = _shaped(draw)
    n = max(x.ndim, 1)
    first = draw.integer(0, n - 1)
    return (x, first, draw.integer(first, n - 1) - draw.choice([0, n])), {}


flatten = composite("flatten", _flatten_function, reference=_flatten_reference, sample=_flatten_sample,
                    errors=[((np.ones((2, 3)), 1, 0), RuntimeError, "start_dim")])  # fmt: skip


def _ravel_function(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1) if input.numel() else reshape(input, 0)


ravel = composite("ravel", _ravel_function, reference=np.ravel, sample=lambda draw: ((_shaped(draw),), {}))


def _unflatten_function(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension as several; one of `sizes` may be -1."""
    d, shape = dimension(dim, input.dim()), input._data.shape
    return reshape(input, (*shape[:d], *_fill_in(tuple(sizes), shape[d]), *shape[d + 1 :]))


unflatten = composite("unflatten", _unflatten_function, reference=lambda x, dim, sizes: x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :]),
                      sample=lambda draw: ((draw.array((draw.integer(0, 3), 6)), 1, draw.choice([(2, 3), (6, 1)])), {}))  # fmt: skip


# --- order of dimensions --------------------------------------------------------------------------------------------


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


_permute = op("permute_view", lambda input, order: input.transpose(order), view=True, public=False, method=False,
              vjp=(lambda g, order: _permute(g, _inverse(order)),))  # fmt: skip


def _permute_function(input: Tensor, *dims: Any) -> Tensor:
    """A view with dimensions in the given order."""
    dims = sizes(dims)
    if len(dims) != input.dim():
        raise RuntimeError(f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {input.dim()} is not equal to len(dims) = {len(dims)}")
    return _permute(input, dimensions(dims, input.dim()))


def _permute_sample(draw: Any) -> Any:
    x = _shaped(draw)
    return (x, tuple(int(d) for d in draw.generator().permutation(x.ndim))), {}


permute = composite("permute", _permute_function, reference=np.transpose, sample=_permute_sample,
                    errors=[((np.ones((2, 3)), (0,)), RuntimeError, "dimensions"), ((np.ones((2, 3)), (0, 0)), RuntimeError, "multiple")])  # fmt: skip


def _transpose_function(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions exchanged."""
    n = input.dim()
    a, b = dimension(dim0, n), dimension(dim1, n)
    order = list(range(n))
    if n:
        order[a], order[b] = b, a
    return _permute(input, tuple(order))


def _transpose_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=1)
    return (x, draw.dim(x.ndim), draw.dim(x.ndim)), {}


_transpose_record: Any = {"reference": np.swapaxes, "sample": _transpose_sample,
                          "errors": [((np.ones((2, 3)), 0, 2), IndexError, "range")]}  # fmt: skip
transpose = composite("transpose", _transpose_function, **_transpose_record)
for _alias in ("swapaxes", "swapdims"):
    composite(_alias, _transpose_function, **_transpose_record)


def _t_function(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dimensions as they are."""
    if input.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.dim()}D")
    return transpose(input, 0, 1) if input.dim() == 2 else _permute(input, tuple(range(input.dim())))


t = composite("t", _t_function, reference=np.transpose, sample=lambda draw: ((_shaped(draw, max_dims=2),), {}),
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


movedim = composite("movedim", _movedim_function, reference=np.moveaxis, sample=_movedim_sample)
moveaxis = composite("moveaxis", _movedim_function, reference=np.moveaxis, sample=_movedim_sample)

# --- size 1 ---------------------------------------------------------------------------------------------------------


def _squeeze_function(input: Tensor, dim: Any = None) -> Tensor:
    """A view without dimensions of size 1: all, or those in `dim` that have it."""
    shape = input._data.shape
    dims = range(len(shape)) if dim is None else dimensions(dim, len(shape))
    return _view(input, tuple(n for d, n in enumerate(shape) if n != 1 or d not in dims))


def _squeeze_reference(x: Any, dim: Any = None) -> Any:
    dims = range(x.ndim) if dim is None else [d % max(x.ndim, 1) for d in (dim if isinstance(dim, tuple) else (dim,))]
    return np.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


def _squeeze_sample(draw: Any) -> Any:
    x = draw.array(tuple(draw.choice([1, 1, 2]) for _ in range(draw.integer(0, 3))))
    return (x, draw.choice([None, draw.dim(x.ndim), draw.dims(x.ndim)])), {}


squeeze = composite("squeeze", _squeeze_function, reference=_squeeze_reference, sample=_squeeze_sample,
                    errors=[((np.ones(1), 1), IndexError, "range")])  # fmt: skip


def _unsqueeze_function(input: Tensor, dim: int) -> Tensor:
    """A view with a new dimension of size 1 at `dim`."""
    shape = input._data.shape
    d = dimension(dim, len(shape) + 1)
    return _view(input, (*shape[:d], 1, *shape[d:]))


def _unsqueeze_sample(draw: Any) -> Any:
    x = _shaped(draw)
    return (x, draw.dim(x.ndim + 1)), {}


unsqueeze = composite("unsqueeze", _unsqueeze_function, reference=np.expand_dims, sample=_unsqueeze_sample,
                      errors=[((np.ones(2), 2), IndexError, "range")])  # fmt: skip

# --- repetition without memory --------------------------------------------------------------------------------------

_expand = op("expand_view", lambda input, shape: np.broadcast_to(input, shape), view=True, public=False, method=False,
             vjp=(lambda g, input_shape: REGISTRY["sum_to_size"](g, input_shape),))  # fmt: skip


def _expand_function(input: Tensor, *size: Any, implicit: bool = False) -> Tensor:
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
    return _expand(input, tuple(wanted))


def _expand_sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(draw.broadcastable(shape)), shape), {}


_expand_errors: Any = [((np.ones(3), (4,)), RuntimeError, "match"), ((np.ones((2, 3)), (3,)), RuntimeError, "number of sizes")]
expand = composite("expand", _expand_function, reference=np.broadcast_to, sample=_expand_sample, public=False, errors=_expand_errors)
broadcast_to = composite("broadcast_to", lambda input, size: expand(input, size), reference=np.broadcast_to, sample=_expand_sample, errors=_expand_errors)
expand_as = composite("expand_as", lambda input, other: expand(input, other.shape), public=False,
                      reference=lambda x, other: np.broadcast_to(x, other.shape),
                      sample=lambda draw: ((lambda s: (draw.array(draw.broadcastable(s)), draw.integers(s)))(draw.shape()), {}))  # fmt: skip
view_as = composite("view_as", lambda input, other: view(input, other.shape), public=False, reference=lambda x, o: x.reshape(o.shape),
                    sample=lambda draw: ((draw.array((2, 6)), draw.integers((3, 4))), {}))  # fmt: skip
reshape_as = composite("reshape_as", lambda input, other: reshape(input, other.shape), public=False, reference=lambda x, o: x.reshape(o.shape),
                       sample=lambda draw: ((draw.array((2, 6)), draw.integers((3, 4))), {}))  # fmt: skip


def _broadcast_tensors_function(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of all tensors in the shape they broadcast to together."""
    tensors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = broadcast_shape([x._data.shape for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


broadcast_tensors = composite("broadcast_tensors", _broadcast_tensors_function, method=False, reference=lambda *x: tuple(np.broadcast_arrays(*x)),
                              sample=lambda draw: ((draw.array((3, 1)), draw.array((2,))), {}))  # fmt: skip

# --- parts ----------------------------------------------------------------------------------------------------------


def _narrow_forward(input: np.ndarray, dim: int, start: int, length: int) -> np.ndarray:
    return input[(slice(None),) * dim + (slice(start, start + length),)]


def _narrow_backward(g: Tensor, input_shape: tuple[int, ...], dim: int, start: int, length: int) -> Tensor:
    return slice_backward(g, input_shape, dim, start, 1)


_narrow = op("narrow_view", _narrow_forward, view=True, public=False, method=False, vjp=(_narrow_backward,))


def _slice_backward_forward(g: np.ndarray, shape: tuple[int, ...], dim: int, start: int, step: int) -> np.ndarray:
    from ..jit import zeros

    result = zeros(shape, g.dtype)
    copy_into(result[(slice(None),) * dim + (slice(start, start + step * (g.shape[dim] - 1) + 1 if g.shape[dim] else start, step),)], g)
    return result


slice_backward = op("slice_backward", _slice_backward_forward, public=False, method=False,
                    vjp=(lambda g, g_shape, dim, start, step: _slice(g, dim, start, start + step * g_shape[dim], step),))  # fmt: skip


def _slice_forward(input: np.ndarray, dim: int, start: int, stop: int, step: int) -> np.ndarray:
    return input[(slice(None),) * dim + (slice(start, stop, step),)]


_slice = op("slice_view", _slice_forward, view=True, public=False, method=False,
            vjp=(lambda g, input_shape, dim, start, stop, step: slice_backward(g, input_shape, dim, start, step),))  # fmt: skip


def _narrow_function(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """A view of `length` indices of one dimension, from `start` (negative: from the end)."""
    if input.dim() == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d, start = dimension(dim, input.dim()), start.__index__()
    n = input._data.shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _narrow(input, d, start, length)


def _narrow_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=1)
    d = draw.dim(x.ndim)
    start = draw.integer(0, x.shape[d])
    return (x, d, start, draw.integer(0, x.shape[d] - start)), {}


narrow = composite("narrow", _narrow_function, sample=_narrow_sample,
                   reference=lambda x, dim, start, length: np.take(x, np.arange(start, start + length), axis=dim),
                   errors=[((np.ones(3), 0, 2, 2), RuntimeError, "exceeds"), ((np.ones(3), 0, 4, 0), IndexError, "range")])  # fmt: skip


def _select_forward(input: np.ndarray, dim: int, index: int) -> np.ndarray:
    return input[(slice(None),) * dim + (index, ...)]


_select = op("select_view", _select_forward, view=True, public=False, method=False,
             vjp=(lambda g, input_shape, dim, index: slice_backward(unsqueeze(g, dim), input_shape, dim, index, 1),))  # fmt: skip


def _select_function(input: Tensor, dim: int, index: Any) -> Tensor:
    """A view of one index of one dimension, which goes."""
    if input.dim() == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, index = dimension(dim, input.dim()), index.__index__()
    n = input._data.shape[d]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}")
    return _select(input, d, index % n)


def _select_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=1, min_side=1)
    d = draw.dim(x.ndim)
    return (x, d, draw.integer(-x.shape[d], x.shape[d] - 1)), {}


select = composite("select", _select_function, sample=_select_sample, reference=lambda x, dim, index: np.take(x, index, axis=dim),
                   errors=[((np.ones(3), 0, 3), IndexError, "range")])  # fmt: skip


def _diagonal_forward(input: np.ndarray, offset: int, dim1: int, dim2: int) -> np.ndarray:
    found = np.diagonal(input, offset, dim1, dim2)
    return np.lib.stride_tricks.as_strided(found, found.shape, found.strides, writeable=input.flags.writeable)


def _diagonal_backward_forward(g: np.ndarray, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> np.ndarray:
    from ..jit import zeros

    result = zeros(shape, g.dtype)
    copy_into(_diagonal_forward(result, offset, dim1, dim2), g)
    return result


_diagonal_backward = op("diagonal_backward", _diagonal_backward_forward, public=False, method=False,
                        vjp=(lambda g, offset, dim1, dim2: _diagonal(g, offset, dim1, dim2),))  # fmt: skip
_diagonal = op("diagonal_view", _diagonal_forward, view=True, public=False, method=False,
               vjp=(lambda g, input_shape, offset, dim1, dim2: _diagonal_backward(g, input_shape, offset, dim1, dim2),))  # fmt: skip


def _diagonal_function(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonals of dimensions dim1 and dim2, as last dimension."""
    a, b = dimension(dim1, input.dim()), dimension(dim2, input.dim())
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diagonal(input, offset, a, b)


def _diagonal_sample(draw: Any) -> Any:
    x = _shaped(draw, min_dims=2, min_side=1)
    return (x, draw.integer(-2, 2)), {}


diagonal = composite("diagonal", _diagonal_function, reference=np.diagonal, sample=_diagonal_sample,
                     errors=[((np.ones((2, 2)), 0, 1, 1), RuntimeError, "identical")])  # fmt: skip


def _unfold_forward(input: np.ndarray, dim: int, size: int, step: int) -> np.ndarray:
    count = (input.shape[dim] - size) // step + 1
    shape = (*input.shape[:dim], count, *input.shape[dim + 1 :], size)
    strides = (*input.strides[:dim], input.strides[dim] * step, *input.strides[dim + 1 :], input.strides[dim])
    return np.lib.stride_tricks.as_strided(input, shape, strides, writeable=input.flags.writeable)


def _unfold_backward_forward(g: np.ndarray, shape: tuple[int, ...], dim: int, size: int, step: int) -> np.ndarray:
    from ..jit import zeros

    result = zeros(shape, g.dtype)
    plus = REGISTRY["plus"]
    for offset in range(size):  # windows overlap only between different offsets
        part = _slice_forward(result, dim, offset, offset + step * (g.shape[dim] - 1) + 1, step)
        plus.forward(part, g[..., offset], out=part)
    return result


_unfold_backward = op("unfold_backward", _unfold_backward_forward, public=False, method=False,
                      vjp=(lambda g, dim, size, step: _unfold(g, dim, size, step),))  # fmt: skip
_unfold = op("unfold_view", _unfold_forward, view=True, public=False, method=False,
             vjp=(lambda g, input_shape, dim, size, step: _unfold_backward(g, input_shape, dim, size, step),))  # fmt: skip


def _unfold_function(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of all windows of `size` in one dimension, `step` apart; the window is the last dimension."""
    if input.dim() == 0:
        input = reshape(input, 1)
    d = _dim(dimension, input.dim())
    n = input._data.shape[d]
    if size < 0 or size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(input, d, size, step)


_dim = dimension


def _unfold_sample(draw: Any) -> Any:
    size, step = draw.integer(1, 3), draw.integer(1, 3)
    return (draw.array((draw.integer(3, 7), 2)), 0, size, step), {}


def _unfold_reference(x: Any, dimension: int, size: int, step: int) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dimension)
    return np.take(windows, np.arange(0, windows.shape[dimension], step), axis=dimension)


unfold = composite("unfold", _unfold_function, public=False, reference=_unfold_reference, sample=_unfold_sample,
                   errors=[((np.ones(3), 0, 4, 1), RuntimeError, "maximum size"), ((np.ones(3), 0, 1, 0), RuntimeError, "step")])  # fmt: skip

# --- copies ---------------------------------------------------------------------------------------------------------


def _clone_forward(input: np.ndarray) -> np.ndarray:
    """A copy, contiguous; gradients pass through."""
    return copied(input)


_clone = op("clone_copy", _clone_forward, vjp=(lambda g: g,), public=False, method=False)
clone = composite("clone", lambda input, *, memory_format=None: _clone(input), reference=np.copy, sample=lambda draw: ((_shaped(draw),), {}))


def _contiguous_function(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements lie in order in memory, else a copy where they do."""
    return input if input._data.flags.c_contiguous else _clone(input)


contiguous = composite("contiguous", _contiguous_function, reference=np.ascontiguousarray, public=False,
                       sample=lambda draw: ((_shaped(draw, min_dims=1),), {}))  # fmt: skip

to_dtype = op("to_dtype", lambda input, dtype: copied(input, dtype), vjp=(lambda g: g,), public=False, method=False)


def _to_function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The tensor as another dtype; `device` may only be the CPU. Itself if nothing changes and `copy` is not set."""
    kwargs.pop("non_blocking", None), kwargs.pop("memory_format", None)
    wanted, copy = kwargs.pop("dtype", None), kwargs.pop("copy", False)
    check_device(kwargs.pop("device", None))
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for a in (*args, *(() if other is None else (other,))):
        if isinstance(a, Tensor):
            wanted = a.dtype
        elif isinstance(a, (str, device)):
            check_device(a)
        elif a is not None and not isinstance(a, bool):
            wanted = a
    target = input._data.dtype if wanted is None else to_numpy(wanted)
    if target == input._data.dtype:
        return _clone(input) if copy else input
    return to_dtype(input, target)


to = composite("to", _to_function, public=False, reference=lambda x, d: x.astype(d.numpy),
               sample=lambda draw: ((_shaped(draw), draw.choice([to_numpy_dtype("float64"), to_numpy_dtype("float32"), to_numpy_dtype("int64")])), {}))  # fmt: skip


def to_numpy_dtype(name: str) -> dtype:
    """The numgrad dtype of a name."""
    from .. import dtypes

    return getattr(dtypes, name)


def _copy_into_arrays(out: np.ndarray, source: Any, non_blocking: bool = False) -> None:
    if isinstance(source, np.ndarray) and broadcast_shape([out.shape, source.shape]) != out.shape:
        raise RuntimeError(f"The expanded size of the tensor {list(out.shape)} must match the existing size {list(source.shape)}")
    copy_into(out, source)


def _copy_forward(input: np.ndarray, source: Any, non_blocking: bool = False) -> np.ndarray:
    from ..jit import empty

    result = empty(input.shape, input.dtype)
    _copy_into_arrays(result, source)
    return result


copy = op("copy", _copy_forward, into=_copy_into_arrays, inplace=True, public=False, method=False,
          vjp=(lambda g: REGISTRY["zeros_like"](g), lambda g: g))  # fmt: skip
