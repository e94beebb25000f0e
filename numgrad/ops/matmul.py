"""Products of matrices and vectors: matmul and its relatives, all on one matrix product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import BOOL, scalar_name
from ..tensor import Tensor
from . import gemm
from .elementwise import broadcast_shape
from .gemm_direct import direct
from .planned import front, planned
from .record import REGISTRY, composite
from .shape import _permute, expand, reshape, transpose, unsqueeze

#: what messages call a dtype where two disagree
_C_NAMES = {"f4": "float", "f8": "double", "i1": "signed char", "i2": "short", "i4": "int", "i8": "long int", "u1": "unsigned char", "b1": "bool"}


def _mt(x: Tensor) -> Tensor:
    return _permute.function(x, (1, 0)) if x._data.ndim == 2 else transpose(x, -2, -1)


def check_dtypes(a: Any, b: Any) -> None:
    """RuntimeError unless two operands have one dtype; there is no product of truth values."""
    if a.dtype != b.dtype:
        names = [_C_NAMES.get(x.dtype.str[1:], str(x.dtype)) for x in (a, b)]
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {names[0]} != {names[1]}")
    if a.dtype == BOOL:
        raise NotImplementedError("matmul is not implemented for 'Bool': convert to an integer dtype first")


def _check_tensors(name: str, **arguments: Any) -> None:
    for position, (argument, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}")


# --- the product everything else is made of ------------------------------------------------------------------------


def _product_forward(input: np.ndarray, other: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    _check_product(input, other)
    return gemm.product(input, other, bias)


def _check_product(input: np.ndarray, other: np.ndarray) -> None:
    check_dtypes(input, other)
    k, (found, n) = input.shape[-1], other.shape[-2:]
    if k != found:
        if input.ndim == 2 or other.ndim == 2:
            rows = math.prod(input.shape[:-1])
            raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{k} and {found}x{n})")
        batch = math.prod(broadcast_shape([input.shape[:-2], other.shape[:-2]]))
        raise RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {k}] but got: [{batch}, {found}].")


def _prepare_product(input: np.ndarray, other: np.ndarray, bias: np.ndarray | None = None) -> Any:
    _check_product(input, other)
    return direct(input, other, bias) if bias is None or bias.shape == other.shape[1:] else None


def _product_grad_other(g: Tensor, input: Tensor, other_shape: tuple[int, ...]) -> Tensor:
    if len(other_shape) == 2 and g.dim() > 2:  # the sum over the batch belongs to the product
        g, input = g.flatten(0, -2), input.flatten(0, -2)
    return product.function(_mt(input), g, None)


product = planned("matrix_product", _product_forward, prepare=_prepare_product,
                  vjp=(lambda g, other: product.function(g, _mt(other), None), _product_grad_other, lambda g: g))  # fmt: skip


def _matmul_arguments(input: Tensor, other: Tensor) -> Any:
    """The product of matrices in the last two dimensions, leading ones broadcast; a vector is a row on the left, a column on the right."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        _check_tensors("matmul", input=input, other=other)
    a, b = input._data.ndim, other._data.ndim
    if a >= 2 and b >= 2:
        return input, other, None
    if a == 0 or b == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    if a == b == 1:
        return dot(input, other)
    if b == 1:
        return _mv(input, other)
    return reshape(product(unsqueeze(input, 0), other), (*other.shape[:-2], other.shape[-1]))


def _mv(input: Tensor, vec: Tensor) -> Tensor:
    """(..., m, k) times (k) is (..., m)."""
    k = input.shape[-1]
    if vec.shape[0] != k:
        rows = math.prod(input.shape[:-1])
        raise RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{k}), vec ({vec.shape[0]})")
    return reshape(product(input, unsqueeze(vec, 1)), input.shape[:-1])


def _matmul_sample(draw: Any) -> Any:
    m, k, n = (draw.integer(0, draw.side) for _ in range(3))
    batch = draw.shape(0, 2)
    a, b = (*draw.broadcastable(batch), m, k), (*draw.broadcastable(batch), k, n)
    return (draw.array(draw.choice([a, a, (k,)])), draw.array(draw.choice([b, b, (k,)]))), {}


_one = np.ones
matmul = front("matmul", product, _matmul_arguments, reference=np.matmul, sample=_matmul_sample, errors=[
    ((_one((2, 3)), _one((4, 5))), RuntimeError, r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"),
    ((_one((2, 3)), _one((3, 5), np.float32)), RuntimeError, "expected m1 and m2 to have the same dtype, but got: double != float"),
    ((_one(()), _one(3)), RuntimeError, "at least 1D"),
    ((_one((2, 3)), _one(4)), RuntimeError, r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)"),
    ((_one((2, 3, 4)), _one((2, 5, 6))), RuntimeError, r"Expected size for first two dimensions of batch2 tensor to be: \[2, 4\] but got: \[2, 5\]"),
    ((_one((2, 3, 4)), _one((3, 4, 5))), RuntimeError, "must match the size of tensor b"),
    ((_one((2, 2), bool), _one((2, 2), bool)), NotImplementedError, "Bool"),
    ((_one((2, 2)), 3), TypeError, "must be Tensor, not int"),
])  # fmt: skip

# --- by number of dimensions ----------------------------------------------------------------------------------------


def _mm_function(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, without broadcasting."""
    _check_tensors("mm", input=input, mat2=mat2)
    for name, x in (("self", input), ("mat2", mat2)):
        if x.dim() != 2:
            raise RuntimeError(f"{name} must be a matrix, but it has {x.dim()} dimensions")
    return product(input, mat2)


def _sides(draw: Any, count: int) -> list[int]:
    return [draw.integer(0, draw.side) for _ in range(count)]


def _mm_sample(draw: Any) -> Any:
    m, k, n = _sides(draw, 3)
    return (draw.array((m, k)), draw.array((k, n))), {}


mm = composite("mm", _mm_function, reference=np.matmul, sample=_mm_sample, errors=[
    ((_one((2, 3)), _one((4, 5))), RuntimeError, "cannot be multiplied"),
    ((_one(3), _one((3, 5))), RuntimeError, "self must be a matrix"), ((_one((2, 3)), _one((1, 3, 5))), RuntimeError, "mat2 must be a matrix"),
])  # fmt: skip


def _bmm_function(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, without broadcasting."""
    _check_tensors("bmm", input=input, mat2=mat2)
    _check_batches(input, mat2)
    return product(input, mat2)


def _check_batches(batch1: Tensor, batch2: Tensor) -> None:
    for name, x in (("batch1", batch1), ("batch2", batch2)):
        if x.dim() != 3:
            raise RuntimeError(f"{name} must be a 3D tensor, but it has {x.dim()} dimensions")
    found, wanted = list(batch2.shape[:2]), [batch1.shape[0], batch1.shape[2]]
    if found != wanted:
        raise RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: {found}.")


def _bmm_sample(draw: Any) -> Any:
    b, m, k, n = _sides(draw, 4)
    return (draw.array((b, m, k)), draw.array((b, k, n))), {}


bmm = composite("bmm", _bmm_function, reference=np.matmul, sample=_bmm_sample, errors=[
    ((_one((2, 3, 4)), _one((3, 4, 6))), RuntimeError, r"\[2, 4\] but got: \[3, 4\]"), ((_one((3, 4)), _one((3, 4, 6))), RuntimeError, "batch1 must be a 3D"),
])  # fmt: skip


def _mv_function(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    _check_tensors("mv", input=input, vec=vec)
    if input.dim() != 2 or vec.dim() != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.dim()}, {vec.dim()}")
    return _mv(input, vec)


def _mv_sample(draw: Any) -> Any:
    m, k = _sides(draw, 2)
    return (draw.array((m, k)), draw.array((k,))), {}


mv = composite("mv", _mv_function, reference=np.matmul, sample=_mv_sample, errors=[
    ((_one((2, 3)), _one(4)), RuntimeError, "size mismatch"), ((_one((2, 3)), _one((3, 1))), RuntimeError, "vector expected"),
])  # fmt: skip


def _dot_function(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors' elements."""
    _check_tensors("dot", input=input, tensor=tensor)
    if input.dim() != 1 or tensor.dim() != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.dim()}D and {tensor.dim()}D tensors")
    if input.dtype != tensor.dtype:
        names = [scalar_name(x.dtype.numpy) for x in (input, tensor)]
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {names[0]} and {names[1]}")
    m, n = input.shape[0], tensor.shape[0]
    if m != n:
        raise RuntimeError(f"inconsistent tensor size, expected tensor [{m}] and src [{n}] to have the same number of elements, but got {m} and {n} elements respectively")
    return reshape(product(unsqueeze(input, 0), unsqueeze(tensor, 1)), ())


def _dot_sample(draw: Any) -> Any:
    (k,) = _sides(draw, 1)
    return (draw.array((k,)), draw.array((k,))), {}


_dot_record: Any = {"reference": np.dot, "sample": _dot_sample, "errors": [
    ((_one(2), _one(3)), RuntimeError, "inconsistent tensor size"), ((_one((2, 2)), _one(3)), RuntimeError, "1D tensors expected"),
    ((_one(2), _one(2, np.float32)), RuntimeError, "found Double and Float"),
]}  # fmt: skip
dot = composite("dot", _dot_function, **_dot_record)
vdot = composite("vdot", lambda input, other: dot(input, other), doc="The inner product of two vectors, as `dot`.", **_dot_record)


def _inner_function(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimension of both."""
    _check_tensors("inner", input=input, other=other)
    if input.dim() == 0 or other.dim() == 0:
        return input * other  # type: ignore[operator]
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and {list(other.shape)}")
    k, shape = input.shape[-1], (*input.shape[:-1], *other.shape[:-1])
    rows, columns = reshape(input, (math.prod(input.shape[:-1]), k)), reshape(other, (math.prod(other.shape[:-1]), k))
    return reshape(product(rows, transpose(columns, 0, 1)), shape)


def _inner_sample(draw: Any) -> Any:
    (k,) = _sides(draw, 1)
    return (draw.array((*draw.shape(0, 2), k)), draw.array((*draw.shape(0, 2), k))), {}


inner = composite("inner", _inner_function, reference=np.inner, sample=_inner_sample,
                  errors=[((_one((2, 3)), _one((4, 5))), RuntimeError, "last dimension must match")])  # fmt: skip


def _outer_function(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of every element of one vector with every element of another."""
    _check_tensors("outer", input=input, vec2=vec2)
    for name, x in (("self", input), ("vec2", vec2)):
        if x.dim() != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.dim()}-D")
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)


def _outer_sample(draw: Any) -> Any:
    m, n = _sides(draw, 2)
    return (draw.array((m,)), draw.array((n,))), {}


_outer_record: Any = {"reference": np.outer, "sample": _outer_sample, "errors": [((_one((2, 2)), _one(3)), RuntimeError, "Expected 1-D argument self")]}
outer = composite("outer", _outer_function, **_outer_record)
ger = composite("ger", _outer_function, **_outer_record)

# --- with something added -------------------------------------------------------------------------------------------


def _linear_forward(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return gemm.product(input, weight.T, bias) if input.ndim > 1 else gemm.product(input[None], weight.T, bias).reshape(weight.shape[0])


def _linear_grad_weight(g: Tensor, input: Tensor) -> Tensor:
    rows = g if g.dim() == 2 else reshape(g, (math.prod(g.shape[:-1]), g.shape[-1]))
    return product.function(_mt(rows), input if input.dim() == 2 else reshape(input, (rows.shape[0], input.shape[-1])), None)


def _linear_grad_input(g: Tensor, weight: Tensor) -> Tensor:
    return product.function(g, weight, None) if g.dim() > 1 else reshape(product(unsqueeze(g, 0), weight), weight.shape[1])


def _prepare_linear(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> Any:
    return direct(input, weight, bias, turned=True) if input.ndim > 1 else None


_linear = planned("linear_map", _linear_forward, prepare=_prepare_linear, vjp=(_linear_grad_input, _linear_grad_weight, lambda g: g))


def _linear_arguments(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """input (..., in) times the transpose of weight (out, in) or (in), plus bias (out)."""
    if isinstance(input, Tensor) and isinstance(weight, Tensor):
        x, w, c = input._data, weight._data, None if bias is None else bias._data
        if w.ndim == 2 and x.ndim and x.shape[-1] == w.shape[1] and x.dtype == w.dtype and (c is None or (c.shape == w.shape[:1] and c.dtype == x.dtype)):
            return input, weight, bias
    _check_linear(input, weight, bias)
    if weight.dim() == 1:
        result = matmul(input, weight)
    else:  # the bias needs to be broadcast
        result = _linear(input, weight, None)
    return result if bias is None else REGISTRY["plus"](result, expand(bias, result.shape))


def _check_linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    _check_tensors("linear", input=input, weight=weight)
    if input.dim() == 0 or weight.dim() == 0:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {input.dim()}D and {weight.dim()}D")
    if weight.dim() > 2:
        raise RuntimeError(f"linear(): weight must have 1 or 2 dimensions, but has {weight.dim()}")
    for x in (weight, bias):
        if x is not None and x.dtype != input.dtype:
            raise RuntimeError(f"linear(): input, weight and bias must have the same dtype, but got {scalar_name(input.dtype.numpy)} and {scalar_name(x.dtype.numpy)}")
    if weight.dim() == 2 and input.shape[-1] != weight.shape[1]:
        n, k = weight.shape
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({math.prod(input.shape[:-1])}x{input.shape[-1]} and {k}x{n})")


def _linear_reference(input: Any, weight: Any, bias: Any = None) -> Any:
    return input @ weight.T + (0 if bias is None else bias)


def _linear_sample(draw: Any) -> Any:
    k, n = _sides(draw, 2)
    return (draw.array((*draw.shape(0, 2), k)), draw.array((n, k)), draw.choice([None, draw.array((n,)), draw.array((1,))])), {}


linear = front("linear", _linear, _linear_arguments, public=False, method=False, reference=_linear_reference, sample=_linear_sample, errors=[
    ((_one((2, 3)), _one((4, 5))), RuntimeError, r"cannot be multiplied \(2x3 and 5x4\)"),
    ((_one((2, 3)), _one((4, 3)), _one(5)), RuntimeError, "must match the existing size"),
    ((_one((2, 3)), _one((4, 3), np.float32)), RuntimeError, "same dtype"),
])  # fmt: skip
