"""Several tensors as one, and one as several: cat, stack, split, unbind and their relatives; grids and blocks."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..jit import empty, maker, observers
from ..jit.memory import LARGE
from ..tensor import Tensor
from .elementwise import copy_plan, copy_to_new
from .index import basic_part, basic_view
from .operands import NOT_A_TENSOR
from .planned import front, planned
from .record import Op, composite, register
from .shape import dimension, reshape
from .views import share

# --- joining --------------------------------------------------------------------------------------------------------


def _part(dim: int, start: int, length: int) -> tuple[Any, ...]:
    return (*[slice(None)] * dim, slice(start, start + length), Ellipsis)


@functools.lru_cache(maxsize=4096)
def _parts(dim: int, lengths: tuple[int | None, ...]) -> list[tuple[Any, ...]]:
    """Indices of consecutive parts; None: of nothing."""
    starts = itertools.accumulate([n or 0 for n in lengths], initial=0)
    return [_part(dim, s, n or 0) for s, n in zip(starts, lengths, strict=False)]


def _promoted(arrays: Sequence[np.ndarray]) -> np.dtype:
    first = arrays[0].dtype
    for a in arrays:
        if a.dtype != first:
            break
    else:
        return first
    return dtypes.promote(tuple((a.dtype, a.ndim) for a in arrays))


class Joined:
    """A copy of each of several small arrays to its part of a new one, with all known but the memory."""

    __slots__ = ("copies", "dtype", "make", "parts", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, parts: Sequence[Any], copies: Sequence[Any]):
        self.shape, self.dtype, self.parts, self.copies, self.make = shape, dtype, parts, copies, maker(shape, dtype)

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: np.dtype, parts: Sequence[Any], arrays: Sequence[np.ndarray]) -> Joined | None:
        """What joins such arrays; None where a copy is large, or has nothing to do."""
        if math.prod(shape) * dtype.itemsize >= LARGE or None in parts:
            return None
        y = np.empty(shape, dtype)
        copies = [copy_plan(y[part], a) for part, a in zip(parts, arrays, strict=True)]
        return None if any(c.entry is None for c in copies) else cls(shape, dtype, parts, copies)

    def __call__(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        watched = bool(observers)
        y = empty(self.shape, self.dtype) if watched else self.make(self.shape, self.dtype)
        for a, part, copy in zip(arrays, self.parts, self.copies, strict=True):
            if watched:
                copy_to_new(y[part], a)
            else:
                copy.entry(y[part], a, *copy.geometry)
        return y


def _cat_forward(tensors: Sequence[np.ndarray], dim: int, lengths: tuple[int | None, ...]) -> np.ndarray:
    shape, parts = _cat_plan(tuple([a.shape for a in tensors]), dim, lengths)
    result = empty(shape, _promoted(tensors))
    for a, part in zip(tensors, parts, strict=True):
        if part is not None:
            copy_to_new(result[part], a)
    return result


@functools.lru_cache(maxsize=2048)
def _cat_plan(shapes: tuple[Any, ...], dim: int, lengths: tuple[int | None, ...]) -> tuple[tuple[int, ...], list[Any]]:
    """The result's shape, and which part of it each tensor is; None for what has no elements."""
    model = next((s for s, n in zip(shapes, lengths, strict=True) if n is not None), (0,))
    parts = [part if n else None for part, n in zip(_parts(dim, lengths), lengths, strict=True)]
    return (*model[:dim], sum(n or 0 for n in lengths), *model[dim + 1 :]), parts


def _cat_backward(g: Tensor, dim: int, lengths: tuple[int | None, ...]) -> tuple[Any, ...]:
    return tuple([None if n is None else basic_part(g, part) for part, n in zip(_parts(dim, lengths), lengths, strict=True)])


def _prepare_cat(tensors: Sequence[np.ndarray], dim: int, lengths: tuple[int | None, ...]) -> Any:
    shape, parts = _cat_plan(tuple([a.shape for a in tensors]), dim, lengths)
    return Joined.of(shape, _promoted(tensors), parts, tensors)


#: `lengths` in dimension `dim`; None for an empty tensor of shape (0,), which is skipped whatever the others' shape.
_cat: Any = planned("cat_parts", _cat_forward, prepare=_prepare_cat, vjp=(_cat_backward,))


def _tensors(tensors: Any, name: str, message: str = "expected a non-empty TensorList", error: type[Exception] = RuntimeError) -> tuple[Any, ...]:
    """A sequence of tensors as a tuple; TypeError for what is none."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}")
    if not tensors:
        raise error(message)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return tuple(tensors)


def _cat_arguments(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Any:
    """Tensors one after the other in one dimension; the other sizes must agree. Empty tensors of shape (0,) are skipped."""
    tensors = _tensors(tensors, "cat", "cat(): expected a non-empty list of Tensors", ValueError)
    shapes = [t._data.shape for t in tensors]
    if shapes[0] and shapes.count(shapes[0]) == len(shapes) and shapes[0] != (0,):
        d = dimension(dim if axis is None else axis, len(shapes[0]))
        return tensors, d, (shapes[0][d],) * len(shapes)
    kept = [(i, s) for i, s in enumerate(shapes) if s != (0,)]
    model = kept[0][1] if kept else (0,)
    for i, s in enumerate(shapes):
        if not s:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    d = dimension(dim if axis is None else axis, len(model))
    for i, s in kept:
        if len(s) != len(model):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(model)} and {len(s)}")
        wrong = [k for k in range(len(s)) if k != d and s[k] != model[k]]
        if wrong:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected size {model[wrong[0]]} but got size "
                f"{s[wrong[0]]} for tensor number {i} in the list."
            )
    return tensors, d, tuple([s[d] if s != (0,) else None for s in shapes])


def _cat_sample(draw: Any) -> Any:
    shape = draw.shape(min_dims=1)
    d = draw.dim(len(shape))
    parts = []
    for _ in range(draw.integer(1, 3)):
        sides = list(shape)
        sides[d] = draw.integer(0, 3)
        parts.append(draw.array(sides))
    return (parts, d), {}


_cat_errors: Any = [(([],), ValueError, "non-empty"), (([np.ones((2, 3)), np.ones((2, 2))],), RuntimeError, "Expected size 3 but got size 2"),
                    (([np.ones(()), np.ones(())],), RuntimeError, "zero-dimensional"), (([np.ones(2)], 1), IndexError, "range"),
                    (([np.ones((2, 2)), np.ones(2)],), RuntimeError, "number of dimensions"), ((np.ones(2),), TypeError, "tuple of Tensors")]  # fmt: skip
_cat_record: Any = {"method": False, "sample": _cat_sample, "errors": _cat_errors, "reference": lambda parts, dim=0: np.concatenate(parts, dim)}
cat = front("cat", _cat, _cat_arguments, **_cat_record)
concat = front("concat", _cat, _cat_arguments, **_cat_record)
concatenate = front("concatenate", _cat, _cat_arguments, **_cat_record)


def _stack_forward(tensors: Sequence[np.ndarray], dim: int) -> np.ndarray:
    shape = tensors[0].shape
    result = empty((*shape[:dim], len(tensors), *shape[dim:]), _promoted(tensors))
    for i, a in enumerate(tensors):
        copy_to_new(result[(slice(None),) * dim + (i, Ellipsis)], a)
    return result


def _prepare_stack(tensors: Sequence[np.ndarray], dim: int) -> Any:
    shape = tensors[0].shape
    parts = [((slice(None),) * dim + (i, Ellipsis)) for i in range(len(tensors))]
    return Joined.of((*shape[:dim], len(tensors), *shape[dim:]), _promoted(tensors), parts, tensors)


_stack: Any = planned("stack_parts", _stack_forward, prepare=_prepare_stack, vjp=(lambda g, dim: _unbind(g, dim),))


def _stack_arguments(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape side by side in a new dimension."""
    tensors = _tensors(tensors, "stack", "stack expects a non-empty TensorList")
    shape = tensors[0]._data.shape
    for i, t in enumerate(tensors):
        if t._data.shape != shape:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(t._data.shape)} at entry {i}")
    return tensors, dimension(dim, len(shape) + 1)


def _stack_sample(draw: Any) -> Any:
    shape = draw.shape()
    return ([draw.array(shape) for _ in range(draw.integer(1, 3))], draw.dim(len(shape) + 1)), {}


stack = front("stack", _stack, _stack_arguments, method=False, reference=np.stack, sample=_stack_sample,
                  errors=[(([],), RuntimeError, "non-empty"), (([np.ones(2), np.ones(3)],), RuntimeError, "equal size")])  # fmt: skip


def _at_least(tensors: Sequence[Tensor], ndim: int) -> list[Tensor]:
    """Views with at least `ndim` dimensions, as `atleast_1d`, `_2d` and `_3d` make them."""
    found = []
    for t in tensors:
        shape = tuple(t.shape)
        if len(shape) < ndim:
            before = 1 if ndim > 1 and len(shape) == 1 else 0
            shape = (*[1] * before, *shape, *[1] * (ndim - len(shape) - before))
            t = reshape(t, shape)
        found.append(t)
    return found


def _at_least_op(ndim: int) -> Any:
    def function(*tensors: Any) -> Any:
        several = len(tensors) > 1 or isinstance(tensors[0], (tuple, list))
        found = _at_least(tensors[0] if isinstance(tensors[0], (tuple, list)) else tensors, ndim)
        return tuple(found) if several else found[0]

    function.__doc__ = f"Views with at least {ndim} dimension{'s' if ndim > 1 else ''}; of one tensor, or of each of several."
    return composite(f"atleast_{ndim}d", function, method=False, reference=getattr(np, f"atleast_{ndim}d"),
                     sample=lambda draw: (tuple(draw.array(draw.shape()) for _ in range(draw.integer(1, 2))), {}),
                     errors=(*NOT_A_TENSOR, ((np.ones(2), "text"), TypeError, "must be Tensor")))  # fmt: skip


atleast_1d, atleast_2d, atleast_3d = (_at_least_op(n) for n in (1, 2, 3))


def _hstack_function(tensors: Any) -> Tensor:
    """Tensors one after the other in dimension 1; those with one dimension in dimension 0."""
    parts = _at_least(_tensors(tensors, "hstack", "hstack expects a non-empty TensorList"), 1)
    return cat(parts, 0 if parts[0].dim() == 1 else 1)


def _vstack_function(tensors: Any) -> Tensor:
    """Tensors one after the other in dimension 0; those with one dimension become rows."""
    return cat(_at_least(_tensors(tensors, "vstack", "vstack expects a non-empty TensorList"), 2), 0)


def _dstack_function(tensors: Any) -> Tensor:
    """Tensors one after the other in dimension 2, which they get if they have none."""
    return cat(_at_least(_tensors(tensors, "dstack", "dstack expects a non-empty TensorList"), 3), 2)


def _column_stack_function(tensors: Any) -> Tensor:
    """Tensors one after the other in dimension 1; those with one dimension become columns."""
    parts = _tensors(tensors, "column_stack", "column_stack expects a non-empty TensorList")
    return cat([reshape(t, t.numel(), 1) if t.dim() <= 1 else t for t in parts], 1)


def _alike(draw: Any) -> Any:
    shape = draw.shape(max_dims=3)
    return ([draw.array(shape) for _ in range(draw.integer(1, 3))],), {}


def _stack_errors(misfit: np.ndarray) -> Any:
    return [(([],), RuntimeError, "non-empty"), (([np.ones((2, 2)), misfit],), RuntimeError, "Sizes of tensors must match"), ((np.ones(2),), TypeError, "tuple of Tensors"),
            (([np.ones(2), 2],), TypeError, "expected Tensor")]  # fmt: skip


hstack = composite("hstack", _hstack_function, method=False, reference=np.hstack, sample=_alike, errors=_stack_errors(np.ones((3, 2))))
vstack = composite("vstack", _vstack_function, method=False, reference=np.vstack, sample=_alike, errors=_stack_errors(np.ones((2, 3))))
row_stack = composite("row_stack", _vstack_function, method=False, reference=np.vstack, sample=_alike, errors=_stack_errors(np.ones((2, 3))))
dstack = composite("dstack", _dstack_function, method=False, reference=np.dstack, sample=_alike, errors=_stack_errors(np.ones((2, 3))))
column_stack = composite("column_stack", _column_stack_function, method=False, sample=_alike, errors=_stack_errors(np.ones((3, 2))),
                         reference=lambda parts: np.concatenate([p.reshape(p.size, 1) if p.ndim < 2 else p for p in parts], 1))  # fmt: skip

# --- parting --------------------------------------------------------------------------------------------------------


class Parts(Op):
    """An op whose outputs are views of its input, each with a recipe of its own, and one node on the tape for all."""

    def finish(self, args: tuple[Any, ...], result: Any, tracked: bool) -> Any:
        outputs = super().finish(args, result, tracked)
        for output, plan in zip(outputs, self.plans(*args), strict=True):
            share(output, args[0], (basic_view, (plan,)))
        return outputs

    @staticmethod
    def plans(input: Any, dim: int, lengths: tuple[int, ...] | None = None) -> list[tuple[Any, ...]]:
        """What each output is of the input, as an index."""
        if lengths is None:
            return [(*[slice(None)] * dim, i, Ellipsis) for i in range(input.shape[dim])]
        return _parts(dim, lengths)


def _parts_forward(input: np.ndarray, dim: int, lengths: tuple[int, ...] | None = None) -> tuple[np.ndarray, ...]:
    return tuple([input[plan] for plan in Parts.plans(input, dim, lengths)])


_unbind: Any = register(Parts("unbind_parts", _parts_forward, vjp=(lambda g, dim: _stack(g, dim),), public=False, method=False))
_split: Any = register(Parts("split_parts", _parts_forward, vjp=(lambda g, dim, lengths: _cat(g, dim, lengths),), public=False, method=False))


def _unbind_function(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all indices of one dimension, which goes."""
    if input.dim() == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return _unbind(input, dimension(dim, input.dim()))


def _parts_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    return (x, draw.dim(x.ndim)), {}


unbind = composite("unbind", _unbind_function, sample=_parts_sample, reference=lambda x, dim=0: tuple(np.moveaxis(x, dim, 0)),
                   errors=[((np.ones(()),), IndexError, "no dimensions"), ((np.ones(2), 1), IndexError, "range")])  # fmt: skip


def _split_function(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `split_size` indices of one dimension each (the last may be smaller), or of as many as a list of sizes says."""
    if input.dim() == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = dimension(dim, input.dim())
    n = input._data.shape[d]
    if isinstance(split_size_or_sections, (tuple, list)):
        lengths = tuple([s.__index__() for s in split_size_or_sections])
        if any(s < 0 for s in lengths):
            raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={list(lengths)}")
        if sum(lengths) != n:
            raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got split_sizes={list(lengths)}")
        return _split(input, d, lengths)
    size = split_size_or_sections.__index__()
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max(-(-n // size), 1) if size else 1
    return _split(input, d, tuple([min(size, n - i * size) for i in range(count)]))


def _split_sample(draw: Any) -> Any:
    x = draw.array(draw.shape(min_dims=1, min_side=1))
    d = draw.dim(x.ndim)
    n = x.shape[d]
    first = draw.integer(0, n)
    return (x, draw.choice([draw.integer(1, n + 1), [first, 0, n - first]]), d), {}


def _split_reference(x: Any, size: Any, dim: int = 0) -> Any:
    n = x.shape[dim]
    cuts = np.cumsum(size)[:-1] if isinstance(size, list) else np.arange(size, n, size)
    return tuple(np.split(x, cuts, dim))


_split_record: Any = {"sample": _split_sample, "reference": _split_reference, "errors": [
    ((np.ones(3), [1, 1]), RuntimeError, "sum exactly"), ((np.ones(3), 0), RuntimeError, "can only be 0"), ((np.ones(3), -1), RuntimeError, "non-negative"),
    ((np.ones(()), 1), RuntimeError, "at least a 1-dimensional")]}  # fmt: skip
split = composite("split", _split_function, **_split_record)
split_with_sizes = composite("split_with_sizes", lambda input, split_sizes, dim=0: _split_function(input, tuple(split_sizes), dim), doc="Views of consecutive parts with the given sizes.",
                             sample=lambda draw: ((draw.array((5, 2)), [2, 0, 3], 0), {}), reference=_split_reference, errors=[
                                 ((np.ones(4), (3, 2)), RuntimeError, "sum exactly"), ((np.ones(4), (5, -1)), RuntimeError, "non-negative"),
                                 ((np.ones(4), (2, 2), 1), IndexError, "range"), ((np.ones(4), 2), TypeError, "")])  # fmt: skip


def _chunk_function(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size (the last may be smaller)."""
    if input.dim() == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = dimension(dim, input.dim())
    n = input._data.shape[d]
    return _split(input, d, (0,) * chunks) if n == 0 else _split_function(input, -(-n // chunks), d)


def _chunk_reference(x: Any, chunks: int, dim: int = 0) -> Any:
    size = -(-x.shape[dim] // chunks)
    return tuple(np.split(x, np.arange(size, x.shape[dim], size), dim))


chunk = composite("chunk", _chunk_function, reference=_chunk_reference, errors=[((np.ones(3), 0), RuntimeError, "greater than 0")],
                  sample=lambda draw: ((draw.array((draw.integer(1, 6), 2)), draw.integer(1, 4), 0), {}))  # fmt: skip


def _tensor_split_function(input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, sections: Any = None, indices: Any = None) -> Any:
    """Views between given indices, or as many as asked for, their sizes differing by at most one."""
    given = next((v for v in (indices_or_sections, sections, indices) if v is not None), None)
    if given is None:
        raise TypeError("tensor_split(): argument 'indices_or_sections' must be int, tuple of ints or Tensor, not NoneType")
    if input.dim() == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    d = dimension(dim, input.dim())
    n = input._data.shape[d]
    given = given.tolist() if isinstance(given, Tensor) else given
    if isinstance(given, (tuple, list)):
        edges = [0, *[min(max(i + n if i < 0 else i, 0), n) for i in given], n]
        return tuple([basic_view(input, _part(d, a, max(b - a, 0))) for a, b in itertools.pairwise(edges)])
    if given <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {given}")
    if given > 1 << 28:
        raise MemoryError(f"tensor_split(): {given} tensors do not fit into memory")
    return _split(input, d, tuple([n // given + (i < n % given) for i in range(given)]))


tensor_split = composite("tensor_split", _tensor_split_function, reference=np.array_split,
                         sample=lambda draw: ((draw.array((draw.integer(1, 6), 2)), draw.choice([draw.integer(1, 4), [1, 3]]), 0), {}),
                         errors=[((np.ones(3), 0), RuntimeError, "larger than 0")])  # fmt: skip
