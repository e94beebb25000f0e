"""Embeddings: rows of a table, one-hot vectors."""

from __future__ import annotations

import numgrad
from numgrad import ops
from numgrad.tensor import Tensor


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """The rows of ``weight`` at the integer ``input``; gives input.shape + (dim,).

    The row ``padding_idx`` gets no gradient. With ``max_norm`` longer rows that are used are shortened in place.
    ``sparse`` is accepted; the gradient is dense all the same."""
    count = weight.shape[0]
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise AssertionError(f"Padding_idx must be within num_embeddings={count}, got {padding_idx}")
        padding_idx %= count
    if max_norm is not None:
        _shorten_rows(weight, input, max_norm, norm_type)
    return ops.embedding(input, weight, padding_idx, scale_grad_by_freq)


def _shorten_rows(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    with numgrad.no_grad():
        used = index.reshape(-1).unique()
        rows = weight[used]
        norms = rows.norm(norm_type, -1, True)
        scale = numgrad.where(norms > max_norm, max_norm / (norms + 1e-7), numgrad.ones_like(norms))
        weight[used] = rows * scale


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros of shape (*, num_classes) with a 1 at each index; -1 classes means the largest index + 1."""
    if tensor.dtype != numgrad.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, got {tensor.dtype}")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return numgrad.zeros((*tensor.shape, num_classes), dtype=numgrad.int64)
    if int(tensor.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(tensor.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    elif largest >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes={num_classes}, got {largest}")
    return (tensor.unsqueeze(-1) == numgrad.arange(num_classes)).to(numgrad.int64)
