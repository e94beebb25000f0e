"""Embeddings: rows of a table at indices. The gradient adds to rows column by column, in the order of the indices: no races."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import INT64, scalar_name
from ..jit import device, empty, kernel, launch, prange, zeros
from ..tensor import Tensor
from .bounds import as_index, check_index, unsigned
from .elementwise import copied
from .record import composite, op

#: Columns that one unit of work adds to, rows that one copies, counts that one keeps.
COLUMNS, ROWS, COUNTS = 32, 64, 4096

# --- kernels --------------------------------------------------------------------------------------------------------
# `padding` is -1 or the row that has no gradient. `counts` says how often each index occurs where gradients are divided by
# that; else it has no elements.


@device(inline=True)
def _copy_row(out, row):  # type: ignore[no-untyped-def]
    for k in range(out.size):
        out[k] = row[k]


@device
def _take_tile(y, table, index, padding, counts, first, last):  # type: ignore[no-untyped-def]
    for r in range(first, last):
        i = unsigned(index[r])
        if index[r] == padding:
            for k in range(y.shape[1]):
                y[r, unsigned(k)] = 0
        elif counts.size:
            for k in range(y.shape[1]):
                y[r, unsigned(k)] = table[i, unsigned(k)] / counts[i]
        else:
            _copy_row(y[r], table[i])


@kernel
def _take(y, table, index, padding, counts):  # type: ignore[no-untyped-def]
    """y[r] = table[index[r]]; 0 for the padding."""
    for unit in prange(0, (y.shape[0] + ROWS - 1) // ROWS):
        _take_tile(y, table, index, padding, counts, unit * ROWS, min(y.shape[0], (unit + 1) * ROWS))


@device
def _add_columns(table, grad, index, padding, counts, first, last):  # type: ignore[no-untyped-def]
    for r in range(index.size):
        i = index[r]
        if i != padding:
            out, row = table[i, first:last], grad[r, first:last]
            if counts.size:
                for j in range(out.size):
                    out[j] += row[j] / counts[i]
            else:
                for j in range(out.size):
                    out[j] += row[j]


@kernel
def _add(table, grad, index, padding, counts):  # type: ignore[no-untyped-def]
    """table[index[r]] += grad[r], except for the padding."""
    for unit in prange(0, (table.shape[1] + COLUMNS - 1) // COLUMNS):
        _add_columns(table, grad, index, padding, counts, unit * COLUMNS, min(table.shape[1], (unit + 1) * COLUMNS))


@device
def _count_range(counts, index, first):  # type: ignore[no-untyped-def]
    for r in range(index.size):
        i = index[r] - first
        if i >= 0 and i < counts.size:
            counts[i] += 1


@kernel
def _count(counts, index):  # type: ignore[no-untyped-def]
    """How often each index occurs, into zeros."""
    for unit in prange(0, (counts.size + COUNTS - 1) // COUNTS):
        first = unit * COUNTS
        _count_range(counts[first : min(counts.size, first + COUNTS)], index, first)


# --- ops ------------------------------------------------------------------------------------------------------------


def _table(x: np.ndarray, columns: int) -> np.ndarray:
    return (x if x.flags.c_contiguous else copied(x)).reshape(-1, columns)


def _counts(index: np.ndarray, rows: int, dtype: np.dtype, wanted: bool) -> np.ndarray:
    counts = zeros(rows if wanted else 0, dtype)
    if counts.size:
        launch(_count, counts, index, work=index.size * -(-rows // COUNTS))
    return counts


def _rows_forward(weight: np.ndarray, index: np.ndarray, padding: int, by_count: bool) -> np.ndarray:
    columns, flat = weight.shape[1], as_index(index, index.shape)
    y = empty((*index.shape, columns), weight.dtype)
    if y.size:
        counts = _counts(flat, weight.shape[0], weight.dtype, by_count)
        launch(_take, y.reshape(-1, columns), _table(weight, columns), flat, padding, counts, work=y.size)
    return y


def _add_forward(grad: np.ndarray, index: np.ndarray, rows: int, padding: int, by_count: bool) -> np.ndarray:
    columns, flat = grad.shape[-1], as_index(index, index.shape)
    table = zeros((rows, columns), grad.dtype)
    if grad.size:
        counts = _counts(flat, rows, grad.dtype, by_count)
        launch(_add, table, _table(grad, columns), flat, padding, counts, work=grad.size)
    return table


def _embedding_forward(input: np.ndarray, weight: np.ndarray, padding: int, by_count: bool) -> np.ndarray:
    check_index(input, "embedding", 0, weight.shape[0])
    return _rows_forward(weight, input, -1, False)


def _embedding_gradient(g: Tensor, input: Tensor, weight_shape: tuple[int, ...], padding: int, by_count: bool) -> Tensor:
    return _add_rows(g, input, weight_shape[0], padding, by_count)


_hidden: Any = {"public": False, "method": False}
#: Adjoint to each other: rows taken, rows added.
_take_rows = op("embedding_rows", _rows_forward, **_hidden, vjp=(
    lambda g, weight_shape, index, padding, by_count: _add_rows(g, index, weight_shape[0], padding, by_count),))  # fmt: skip
_add_rows = op("embedding_dense_backward", _add_forward, **_hidden,
               vjp=(lambda g, index, padding, by_count: _take_rows(g, index, padding, by_count),))  # fmt: skip
_embedding = op("_embedding", _embedding_forward, vjp=(None, _embedding_gradient), **_hidden)


def _embedding_function(input: Tensor, weight: Tensor, padding_idx: int | None = None, scale_grad_by_freq: bool = False) -> Tensor:
    """The rows of `weight` (rows, columns) at an int64 or int32 `input`: input.shape + (columns,).

    The row `padding_idx` gets no gradient; with `scale_grad_by_freq` a row's gradient is divided by how often it was taken."""
    if input._data.dtype not in (INT64, np.int32):
        raise RuntimeError("Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                           f"{scalar_name(input._data.dtype)} instead (while checking arguments for embedding)")  # fmt: skip
    if weight.dim() != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got shape {list(weight.shape)}")
    rows = weight._data.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings: {padding_idx} is not in [{-rows}, {rows})")
    return _embedding(input, weight, -1 if padding_idx is None else padding_idx % rows, scale_grad_by_freq)


def _sample(draw: Any) -> Any:
    rows = draw.integer(1, 4)
    return (draw.integers(draw.shape(), 0, rows - 1), draw.array((rows, draw.integer(1, draw.side)))), {}


_table_of_3 = np.ones((3, 2))
embedding = composite("embedding", _embedding_function, **_hidden, sample=_sample, reference=lambda index, weight: weight[index],
                      errors=[((np.array([0, 7]), _table_of_3), IndexError, "index out of range in self"),
                              ((np.array([-1]), _table_of_3), IndexError, "index out of range in self"),
                              ((np.ones(2), _table_of_3), RuntimeError, "Long, Int"), ((np.array([0]), np.ones(3)), RuntimeError, "2-D"),
                              ((np.array([0]), _table_of_3, 5), AssertionError, "Padding_idx")])  # fmt: skip
