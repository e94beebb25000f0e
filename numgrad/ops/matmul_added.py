"""Products of matrices and vectors with something added: addmm and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import scalar_name
from ..tensor import Tensor
from .accumulate import ADDMM, BADDBMM
from .matmul import _bmm_sample, _check_batches, _mm_sample, _mv, _mv_sample, _one, _outer_sample, outer, product
from .record import REGISTRY, composite
from .shape import expand, reshape, transpose


def _check_matrices(**arguments: Any) -> None:
    for name, (x, dims) in arguments.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"argument '{name}' must be Tensor, not {type(x).__name__}")
        if x.dim() != dims:
            raise RuntimeError(f"{name} must be a {['scalar', 'vector', 'matrix', 'batch of matrices'][dims]}, got {x.dim()}-D tensor")


def _add(input: Tensor, result: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * result; with beta 0 what is in input, NaN even, does not count."""
    if input.dtype != result.dtype:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {scalar_name(input.dtype.numpy)} and {scalar_name(result.dtype.numpy)}")
    if not result.is_floating_point():
        kind = bool if result._data.dtype.kind == "b" else int
        beta, alpha = kind(beta), kind(alpha)
    input = expand(input, result.shape)
    result = result if alpha == 1 else result * alpha  # type: ignore[operator]
    if beta == 0:
        return result
    return REGISTRY["plus"](input if beta == 1 else input * beta, result)  # type: ignore[operator]


def _product_added(input: Tensor, left: Tensor, right: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * (left @ right), in one go where the factors are 1."""
    shape = (*left.shape[:-1], right.shape[-1])
    fits = input.dim() <= len(shape) and all(n in (1, shape[i - input.dim()]) for i, n in enumerate(input.shape))
    if fits and beta == alpha == 1 and input.dtype == left.dtype == right.dtype:
        return product(left, right, input)
    return _add(input, product(left, right), beta, alpha)


def _addmm_function(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2); input broadcasts."""
    _check_matrices(mat1=(mat1, 2), mat2=(mat2, 2))
    return _product_added(input, mat1, mat2, beta, alpha)


def _addmv_function(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec); input broadcasts."""
    _check_matrices(mat=(mat, 2), vec=(vec, 1))
    return _add(input, _mv(mat, vec), beta, alpha)


def _addr_function(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); input broadcasts."""
    found = outer(vec1, vec2)
    for name, factor in (("beta", beta), ("alpha", alpha)):
        if isinstance(factor, float) and not found.is_floating_point():
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    return _add(input, found, beta, alpha)


def _baddbmm_function(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), for each matrix of two batches; input broadcasts."""
    _check_batches(batch1, batch2)
    return _product_added(input, batch1, batch2, beta, alpha)


def _addbmm_function(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum of batch1 @ batch2 over the batch; input broadcasts."""
    _check_batches(batch1, batch2)
    b, m, k = batch1.shape
    wide = reshape(transpose(batch1, 0, 1), (m, b * k))
    return _product_added(input, wide, reshape(batch2, (b * k, batch2.shape[2])), beta, alpha)


def _added(reference: Any) -> Any:
    def added(input: Any, left: Any, right: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        found = reference(left, right)
        if found.dtype.kind == "b":
            return (bool(alpha) & found) | (bool(beta) & input)
        if found.dtype.kind != "f":  # PyTorch's: factors become integers first
            beta, alpha = int(beta), int(alpha)
        return (alpha * found + (0 if beta == 0 else beta * input) * np.ones_like(found)).astype(found.dtype)

    return added


def _added_sample(operands: Any, shape: Any) -> Any:
    def sample(draw: Any) -> Any:
        (left, right), _ = operands(draw)
        options = {"beta": draw.choice([1, 0.5, -2]), "alpha": draw.choice([1, 0.5, 3])} if draw.boolean() else {}
        return (draw.array(draw.broadcastable(shape(left, right))), left, right), options

    return sample


_addition: Any
for _name, _function, _plain, _operands, _shape, _bad in (
    ("addmm", _addmm_function, np.matmul, _mm_sample, lambda a, b: (a.shape[0], b.shape[1]), (_one((3, 3)), _one((2, 3)), _one((3, 4)))),
    ("addmv", _addmv_function, np.matmul, _mv_sample, lambda a, b: a.shape[:1], (_one(3), _one((2, 3)), _one(3))),
    ("addr", _addr_function, np.outer, _outer_sample, lambda a, b: (a.shape[0], b.shape[0]), (_one((2, 4)), _one(2), _one(3))),
    ("baddbmm", _baddbmm_function, np.matmul, _bmm_sample, lambda a, b: (*a.shape[:2], b.shape[2]), (_one((3, 3)), _one((5, 2, 3)), _one((5, 3, 4)))),
    ("addbmm", _addbmm_function, lambda a, b: (a @ b).sum(0), _bmm_sample, lambda a, b: (a.shape[1], b.shape[2]), (_one((3, 3)), _one((5, 2, 3)), _one((5, 3, 4)))),
):  # fmt: skip
    composite(_name, _function, inplace={"addmm": ADDMM, "baddbmm": BADDBMM}.get(_name, True), reference=_added(_plain), sample=_added_sample(_operands, _shape),
              errors=[(_bad, RuntimeError, "must match the existing size")])  # fmt: skip
