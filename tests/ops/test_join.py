"""Joining and parting: dtypes, legacy empty tensors, views, and one node for all parts."""

from __future__ import annotations

import pytest

import numgrad as ng


def test_cat_promotes() -> None:
    assert ng.cat([ng.ones(1, dtype=ng.int64), ng.ones(1)]).dtype is ng.float32
    assert ng.cat([ng.ones(1), ng.ones(1, dtype=ng.float64)]).dtype is ng.float64
    x = ng.ones(2, dtype=ng.float32).requires_grad_()
    ng.cat([x, ng.ones(1, dtype=ng.float64)]).sum().backward()
    assert x.grad.dtype is ng.float32


def test_cat_skips_empty_vectors() -> None:
    x, nothing = ng.ones(2, 3), ng.zeros(0)
    assert ng.cat([nothing, x, nothing], 1).shape == (2, 3)
    assert ng.cat([nothing, nothing]).shape == (0,)
    assert ng.cat([ng.zeros(0, 3), x]).shape == (2, 3)
    with pytest.raises(RuntimeError, match="Expected size 4 but got size 3 for tensor number 1"):
        ng.cat([ng.zeros(0, 4), x])


def test_spellings() -> None:
    x = ng.ones(2, 3)
    assert (
        ng.cat((x, x), dim=-1).shape
        == ng.concat([x, x], axis=1).shape
        == ng.concatenate(tensors=[x, x], dim=1).shape
        == (2, 6)
    )
    with pytest.raises(TypeError, match="must be tuple of Tensors, not Tensor"):
        ng.cat(x)
    with pytest.raises(TypeError, match="Tensor as element 1"):
        ng.stack([x, 1])


def test_parts_are_views_and_may_be_written() -> None:
    x = ng.zeros(4, 2).requires_grad_()
    y = x * 1
    first, second = y.split(2)
    first.add_(1)
    top, *_ = y.unbind()
    top.mul_(3)
    assert y.tolist() == [[3, 3], [1, 1], [0, 0], [0, 0]]
    assert second._base is y
    (y * ng.arange(8.0).reshape(4, 2)).sum().backward()
    assert x.grad.tolist() == [[0, 3], [2, 3], [4, 5], [6, 7]]


def test_iteration_makes_one_node() -> None:
    x = ng.arange(6.0).reshape(3, 2).requires_grad_()
    rows = list(x)
    assert len({id(r.grad_fn) for r in rows}) == 1
    (rows[0] * rows[2]).sum().backward()
    assert x.grad.tolist() == [[4, 5], [0, 0], [0, 1]]


def test_sizes_of_parts() -> None:
    x = ng.zeros(7)
    assert [len(p) for p in x.split(3)] == [3, 3, 1]
    assert [len(p) for p in x.split([2, 5])] == [2, 5]
    assert [len(p) for p in x.chunk(4)] == [2, 2, 2, 1]
    assert [len(p) for p in x.chunk(6)] == [2, 2, 2, 1]
    assert [len(p) for p in x.tensor_split(3)] == [3, 2, 2]
    assert [len(p) for p in x.tensor_split((1, -2, 9))] == [1, 4, 2, 0]
    assert [len(p) for p in x.tensor_split(ng.tensor([2]))] == [2, 5]
    assert [len(p) for p in ng.zeros(0, 2).chunk(3)] == [0, 0, 0]
    assert ng.zeros(0).split(0)[0].shape == (0,)


def test_meshgrid() -> None:
    a, b = ng.arange(2), ng.arange(3)
    rows, columns = ng.meshgrid(a, b, indexing="ij")
    assert rows.tolist() == [[0, 0, 0], [1, 1, 1]] and columns.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert ng.meshgrid([a, b], indexing="xy")[0].tolist() == [[0, 1], [0, 1], [0, 1]]
    with pytest.warns(UserWarning, match="indexing argument"):
        assert ng.meshgrid(a, b)[0].shape == (2, 3)
    with pytest.raises(RuntimeError, match="same dtype"):
        ng.meshgrid(a, b.float(), indexing="ij")
