"""Orders, repetition, triangles and padding, where the generic test does not look."""

from __future__ import annotations

import pytest

import numgrad as ng
from numgrad import ops


def test_flip_and_roll() -> None:
    x = ng.arange(6).reshape(2, 3)
    assert x.flip(0, 1).tolist() == ng.flip(x, (0, 1)).tolist() == [[5, 4, 3], [2, 1, 0]]
    assert x.t().flip([-1]).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert x.roll(1).tolist() == [[5, 0, 1], [2, 3, 4]]
    assert x.roll((1, 1), (0, 1)).tolist() == [[5, 3, 4], [2, 0, 1]]
    assert x.roll((1, 2), (1, 1)).tolist() == x.tolist()


def test_repeat_is_a_copy() -> None:
    x = ng.ones(2)
    same = x.repeat(1)
    same.zero_()
    assert x.tolist() == [1, 1]
    assert x.repeat(2, 2).shape == x.repeat((2, 2)).shape == (2, 4)
    assert x.tile(2).shape == ng.tile(x, (2,)).shape == (4,)


def test_repeat_interleave() -> None:
    x = ng.tensor([[1, 2], [3, 4]])
    assert x.repeat_interleave(2).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert x.repeat_interleave(ng.tensor([1, 2]), dim=0).tolist() == [[1, 2], [3, 4], [3, 4]]
    assert ng.repeat_interleave(ng.tensor([1, 0, 2])).tolist() == [0, 2, 2]
    assert x.repeat_interleave(ng.tensor([2]), 1, output_size=4).shape == (2, 4)
    with pytest.raises(RuntimeError, match="does not match required size"):
        x.repeat_interleave(ng.tensor([1, 2]), 0, output_size=4)


def test_triangles_in_place() -> None:
    x = ng.ones(3, 3).requires_grad_()
    y = x * 1
    y.t().tril_()
    assert y.tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    assert ng.ones(2, 2, dtype=ng.bool).triu(1).tolist() == [[False, True], [False, False]]
    assert ng.tril_indices(2, 3, 1).tolist() == [[0, 0, 1, 1, 1], [0, 1, 0, 1, 2]]
    assert ng.triu_indices(2, 2, dtype=ng.int32).dtype is ng.int32


def test_diagonals() -> None:
    assert ng.diag(ng.tensor([1, 2]), -1).tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    assert ng.trace(ng.arange(4).reshape(2, 2)).item() == 3
    x = ng.zeros(2, 2)
    x.diagonal().fill_(1)
    assert x.tolist() == [[1, 0], [0, 1]]
    copy = x.diag()
    copy.zero_()
    assert x.tolist() == [[1, 0], [0, 1]]


def test_pad_grows_and_crops() -> None:
    x = ng.arange(4.0).reshape(2, 2).requires_grad_()
    y = ops.pad(x, (1, -1, 0, 1), 9.0)
    assert y.tolist() == [[9, 0], [9, 2], [9, 9]]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[0, 0], [4, 0]]
    assert ops.pad(ng.arange(2), (1, 0), 1.9).tolist() == [1, 0, 1]


def test_patches_and_back() -> None:
    x = ng.arange(12.0).reshape(1, 1, 3, 4)
    columns = ops.im2col(x, (2, 2))
    assert columns.shape == (1, 4, 6)
    assert columns[0, :, 0].tolist() == [0, 1, 4, 5] and columns[0, :, 5].tolist() == [6, 7, 10, 11]
    counts = ops.col2im(ng.ones(1, 4, 6), (3, 4), 2)
    assert counts[0, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]
    assert ops.im2col(x[0], 2).shape == (4, 6) and ops.col2im(ng.ones(4, 6), (3, 4), 2).shape == (1, 3, 4)
