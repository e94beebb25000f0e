"""Embeddings: rows of a table, sums of them, one-hot vectors."""

from __future__ import annotations

import numgrad
from numgrad import ops
from numgrad.ops.bounds import check_index
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


def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
                  scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Tensor:
    """Sums, means or maxima of rows of ``weight`` (rows, columns), one a bag: (bags, columns).

    A bag is a row of a 2-D ``input``; in one dimension ``offsets`` says where each begins (and, with ``include_last_offset``,
    where the last ends). ``padding_idx`` does not count; per_sample_weights are factors for "sum". An empty bag gives zeros."""
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, but got {mode}")
    _check_bags(input, weight, offsets, mode, per_sample_weights, include_last_offset)
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise AssertionError(f"padding_idx must be within the number of embeddings, {rows}, but got {padding_idx}")
    if max_norm is not None:
        _shorten_rows(weight, input, max_norm, norm_type)
    found = ops.embedding(input.reshape(-1), weight, padding_idx, scale_grad_by_freq)
    if per_sample_weights is not None:
        found = found * per_sample_weights.reshape(-1, 1)
    if offsets is None:
        bags, size = input.shape
        bag = numgrad.arange(bags).repeat_interleave(size)
    else:
        bags = offsets.shape[0] - include_last_offset
        bag = numgrad.searchsorted(offsets[:bags].contiguous(), numgrad.arange(input.shape[0]), right=True) - 1
    if padding_idx is None:
        return _per_bag(found, bag, bags, mode)
    counted = input.reshape(-1) != padding_idx % rows
    return _per_bag(found, numgrad.where(counted, bag, bags), bags + 1, mode)[:bags]  # what does not count has a bag of its own


def _check_bags(input: Tensor, weight: Tensor, offsets: Tensor | None, mode: str, factors: Tensor | None, last: bool) -> None:
    if weight.dim() != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if input.dim() not in (1, 2):
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if input.dim() == 2 and offsets is not None:
        raise ValueError("if input is 2D, then offsets has to be None, as input is treated as a mini-batch of fixed length sequences")
    if input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        if offsets.numel() == 0 and last:
            raise ValueError("include_last_offset: number of offsets should be at least 1")
        if offsets.numel() and int(offsets[0]) != 0:
            raise ValueError(f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
                             f"However, got {int(offsets[0])}")
        if offsets.numel() and int(offsets.max()) > input.shape[0]:
            raise ValueError(f"offsets[-1] can not be greater than input's length {input.shape[0]}, but got {int(offsets.max())}")
    if factors is not None:
        if mode != "sum":
            raise NotImplementedError(f"embedding_bag: per_sample_weights was not None, which is only supported for mode='sum' (got mode='{mode}')")
        if factors.shape != input.shape:
            raise ValueError(f"per_sample_weights: expected the shape of input, {tuple(input.shape)}, but got {tuple(factors.shape)}")


def _per_bag(rows: Tensor, bag: Tensor, bags: int, mode: str) -> Tensor:
    """Rows put together by the number of their bag."""
    zeros = numgrad.zeros(bags, rows.shape[1], dtype=rows.dtype)
    if mode == "max":
        return zeros.scatter_reduce(0, bag.unsqueeze(1).expand(-1, rows.shape[1]), rows, "amax", include_self=False)
    total = zeros.index_add(0, bag, rows)
    if mode == "sum":
        return total
    counts = numgrad.zeros(bags, dtype=rows.dtype).index_add(0, bag, numgrad.ones(bag.shape[0], dtype=rows.dtype))
    return total / counts.clamp(min=1).unsqueeze(1)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros of shape (*, num_classes) with a 1 at each index; -1 classes means the largest index + 1."""
    if tensor.dtype != numgrad.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, got {tensor.dtype}")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return numgrad.zeros((*tensor.shape, num_classes), dtype=numgrad.int64)
    if num_classes == -1:
        num_classes = max(int(tensor.max()), 0) + 1
    elif num_classes < 1:
        raise RuntimeError(f"num_classes should be positive, got {num_classes}")
    check_index(tensor._data, "one_hot", 0, num_classes)
    return (tensor.unsqueeze(-1) == numgrad.arange(num_classes)).to(numgrad.int64)
