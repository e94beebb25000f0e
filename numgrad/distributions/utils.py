"""What distributions share: broadcasting of parameters, probabilities and their logits, triangles as vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number
from typing import Any

import numgrad
from numgrad.ops import creation
from numgrad.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape; numbers in the dtype of the first tensor. ValueError for anything else."""
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(f"Expected numbers or tensors, but got {', '.join(type(v).__name__ for v in values)}")
    tensors = [v for v in values if isinstance(v, Tensor)]
    kind = tensors[0].dtype if tensors else numgrad.get_default_dtype()
    made = [v if isinstance(v, Tensor) else creation.tensor(v, dtype=kind) for v in values]
    return tuple(numgrad.broadcast_tensors(*made)) if len(made) > 1 else (made[0],)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities that are neither 0 nor 1."""
    eps = numgrad.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """The sigmoid of logits, or their softmax over the last dimension."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log(p / (1 - p)), or log(p); finite."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:
    """A property that is computed once, with gradients, and then an attribute of the instance."""

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped, self.__doc__ = wrapped, wrapped.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with numgrad.enable_grad():
            found = instance.__dict__[self.wrapped.__name__] = self.wrapped(instance)
        return found


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal of the last two dimensions, row by row, as one dimension."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = numgrad.tril_indices(n, n, diag)
    return mat.flatten(-2)[..., rows * n + columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of `tril_matrix_to_vec`, zero elsewhere."""
    length = vec.shape[-1]
    n = round((-(1 + 2 * diag) + math.sqrt((1 + 2 * diag) ** 2 + 8 * length + 4 * abs(diag) * (diag + 1))) / 2)
    rows, columns = numgrad.tril_indices(n, n, diag)
    if rows.numel() != length:
        raise ValueError(f"The size of last dimension is {length} which cannot be expressed as the lower triangular part of a square D x D matrix.")
    spread = vec.new_zeros(*vec.shape[:-1], n * n)
    return spread.index_copy(-1, rows * n + columns, vec).reshape(*vec.shape[:-1], n, n)


def sum_rightmost(value: Tensor, n: int) -> Tensor:
    """The sum over the last n dimensions."""
    return value.sum(tuple(range(-n, 0))) if n else value


def standard_normal(shape: Any, dtype: Any, device: Any = None) -> Tensor:
    """Standard normal numbers."""
    return numgrad.randn(*shape, dtype=dtype, device=device)


_sum_rightmost, _standard_normal = sum_rightmost, standard_normal  # PyTorch's names, which programs import


def draw_shape(sample_shape: Any) -> tuple[int, ...]:
    """The shape of draws as a tuple: one number is a shape of one dimension."""
    return (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)


def open_uniform(shape: Any, dtype: Any) -> Tensor:
    """Uniform numbers, neither 0 nor 1."""
    info = numgrad.finfo(dtype)
    return numgrad.rand(*shape, dtype=dtype).clamp_(info.tiny, 1 - info.eps)


def one_of(probs: Any, logits: Any) -> None:
    """ValueError unless exactly one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
