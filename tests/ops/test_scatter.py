"""gather, scatter, masks and slices by index, where the generic test does not look: in place, overloads, ties, checks."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad.jit import DISABLED


def test_gather_reads_a_smaller_part() -> None:
    x = ng.arange(12.0).reshape(3, 4)
    assert x.gather(1, ng.tensor([[3, 0], [1, 1]])).tolist() == [[3, 0], [5, 5]]
    assert x.gather(0, ng.tensor([[2, 0]], dtype=ng.int32)).tolist() == [[8, 1]]
    assert ng.gather(ng.tensor(7.0), 0, ng.tensor([0, 0])).tolist() == [7, 7]
    assert ng.tensor([1.0, 2.0]).gather(0, ng.tensor(1)).item() == 2
    assert x.gather(1, ng.zeros(0, dtype=ng.int64)).shape == (0,)


def test_scatter_in_place_writes_without_a_copy() -> None:
    x = ng.zeros(3, 3)
    at = x.data_ptr()
    index = ng.tensor([[0, 2], [1, 0]])
    assert x.scatter_(1, index, 5.0) is x and x.data_ptr() == at
    assert x.tolist() == [[5, 0, 5], [5, 5, 0], [0, 0, 0]]
    x.t().scatter_(0, ng.tensor([[1], [2]]), ng.tensor([[7.0], [8.0]]))
    assert x[0].tolist() == [5, 7, 8]
    x[:, :2].scatter_add_(0, ng.tensor([[0, 0], [0, 0]]), ng.ones(2, 2))
    assert x[0].tolist() == [7, 9, 8]


def test_scatter_overloads() -> None:
    x, index = ng.ones(1, 3), ng.tensor([[0, 0, 2]])
    assert x.scatter(1, index, ng.tensor([[2.0, 3.0, 4.0]])).tolist() == [[3, 1, 4]]  # the last wins
    assert x.scatter(1, index, value=2).tolist() == [[2, 1, 2]]
    assert x.scatter(1, index, 2, reduce="add").tolist() == [[5, 1, 3]]
    assert x.scatter(1, index, 2, reduce="multiply").tolist() == [[4, 1, 2]]
    assert x.scatter(1, index, src=ng.tensor([[2.0, 3.0, 4.0]]), reduce="multiply").tolist() == [[6, 1, 4]]
    with pytest.raises(RuntimeError, match="add or multiply"):
        x.scatter(1, index, 2, reduce="sum")
    with pytest.raises(RuntimeError, match=r"self.dtype to be equal to src.dtype"):
        x.scatter(1, index, ng.ones(1, 3, dtype=ng.float64))
    with pytest.raises(TypeError, match="must be Tensor, not int"):
        x.scatter_add(1, index, 1)


def test_nothing_is_written_where_an_index_is_bad() -> None:
    x = ng.zeros(2, 2)
    for write in (
        lambda i: x.scatter_(0, i, 1.0),
        lambda i: x.scatter_add_(0, i, ng.ones(2, 2)),
        lambda i: x.index_put_((i,), ng.tensor(1.0)),
    ):
        for bad in (2, -3):
            with pytest.raises(
                (RuntimeError, IndexError), match=f"index {bad} is out of bounds for dimension 0 with size 2"
            ):
                write(ng.tensor([[0, 1], [1, bad]]))
    assert x.tolist() == [[0, 0], [0, 0]]


def test_which_functions_count_from_the_end() -> None:
    x, last = ng.arange(3.0), ng.tensor([-1])
    assert x.take(last).item() == x.index_fill(0, last, 2)[2].item() == x[last].item() == 2
    assert ng.take_along_dim(x, last, 0).item() == 2
    for call in (lambda: x.index_select(0, last), lambda: x.index_copy(0, last, ng.ones(1))):
        with pytest.raises(IndexError, match="index -1"):
            call()
    for call in (lambda: x.gather(0, last), lambda: x.index_add(0, last, ng.ones(1))):
        with pytest.raises(RuntimeError, match="index -1"):
            call()


def test_scatter_reduce() -> None:
    x, index, src = ng.tensor([1.0, 1.0, 1.0]), ng.tensor([0, 0, 2]), ng.tensor([2.0, 4.0, 5.0])
    expected = {"sum": ([7, 1, 6], [6, 1, 5]), "mean": ([7 / 3, 1, 3], [3, 1, 5]), "prod": ([8, 1, 5], [8, 1, 5]),
                "amax": ([4, 1, 5], [4, 1, 5]), "amin": ([1, 1, 1], [2, 1, 5])}  # fmt: skip
    for reduce, (with_self, without) in expected.items():
        assert x.scatter_reduce(0, index, src, reduce).tolist() == pytest.approx(with_self)
        assert x.scatter_reduce(0, index, src, reduce, include_self=False).tolist() == without
        assert x.clone().scatter_reduce_(0, index, src, reduce, include_self=False).tolist() == without
    whole = ng.tensor([-7, 0]).scatter_reduce(0, ng.tensor([0, 0]), ng.tensor([0, 0]), "mean")
    assert whole.tolist() == [-3, 0]  # rounded down: -7 / 3
    nans = ng.zeros(1).scatter_reduce(0, ng.tensor([0, 0]), ng.tensor([float("nan"), 1.0]), "amax")
    assert nans.isnan().item()


def test_gradients_of_reductions() -> None:
    x, src = ng.tensor([3.0]).requires_grad_(), ng.tensor([3.0, 1.0, 3.0]).requires_grad_()
    x.scatter_reduce(0, ng.tensor([0, 0, 0]), src, "amax").backward()
    assert x.grad.tolist() == pytest.approx([1 / 3])
    assert src.grad.tolist() == pytest.approx([1 / 3, 0, 1 / 3])
    for factors, expected in ([[2.0, 0.0, 3.0], [0, 6, 0]], [[0.0, 0.0, 3.0], [0, 0, 0]]):
        f = ng.tensor(factors).requires_grad_()
        ng.ones(1).scatter_reduce(0, ng.tensor([0, 0, 0]), f, "prod").backward()
        assert f.grad.tolist() == expected
    f = ng.tensor([0.0, 0.0, 3.0]).requires_grad_()  # two zeros: the mixed second derivative is the third factor
    (g,) = ng.autograd.grad(ng.ones(1).scatter_reduce(0, ng.tensor([0, 0, 0]), f, "prod"), f, create_graph=True)
    (h,) = ng.autograd.grad(g[0], f)
    assert h.tolist() == [0, 3, 0]


def test_where() -> None:
    condition = ng.tensor([True, False])
    assert ng.where(condition, 1.0, 0).dtype is ng.float32
    assert ng.where(condition, 1, 0).dtype is ng.int64
    assert ng.where(condition, ng.ones(2, dtype=ng.int32), 2.5).dtype is ng.float32
    assert ng.where(condition, ng.tensor(1.0, dtype=ng.float64), ng.ones(2)).dtype is ng.float32
    assert ng.ones(2).where(condition, 0.0).tolist() == [1, 0]
    assert [i.tolist() for i in ng.where(ng.tensor([[0, 2], [3, 0]]))] == [[0, 1], [1, 0]]
    x = ng.tensor([-1.0, 4.0]).requires_grad_()
    ng.where(x > 0, x.sqrt(), 0.0).sum().backward()
    assert x.grad[1].item() == 0.25
    with pytest.raises(RuntimeError, match="boolean tensor"):
        ng.where(ng.ones(2), 1, 2)
    with pytest.warns(UserWarning, match="uint8"):
        ng.where(condition.to(ng.uint8), 1, 2)


def test_masked() -> None:
    x = ng.arange(4.0).reshape(2, 2)
    mask = ng.tensor([True, False])
    assert x.masked_fill(mask, -1).tolist() == [[-1, 1], [-1, 3]]
    assert ng.arange(2).masked_fill(mask, 1.9).tolist() == [1, 1]
    assert x.masked_select(mask).tolist() == [0, 2]
    assert x.masked_scatter(mask, ng.tensor([7.0, 8.0, 9.0])).tolist() == [[7, 1], [8, 3]]
    y = x.clone()
    assert y.masked_fill_(y > 1, 0).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(RuntimeError, match="boolean masks"):
        x.masked_fill(ng.ones(2), 0)
    with pytest.raises(RuntimeError, match="shape"):
        x[0].masked_fill_(ng.ones(2, 2, dtype=ng.bool), 0)
    with pytest.raises(RuntimeError, match="overflow"):
        ng.arange(2).masked_fill(mask, float("inf"))


def test_nonzero() -> None:
    x = ng.tensor([[float("nan"), 0.0], [-0.0, 1.0]])
    assert x.nonzero().tolist() == ng.argwhere(x).tolist() == [[0, 0], [1, 1]]
    assert ng.nonzero(ng.tensor(5)).shape == (1, 0)
    assert [i.tolist() for i in ng.nonzero(ng.tensor(5), as_tuple=True)] == [[0]]


@pytest.mark.skipif(DISABLED, reason="large: needs real kernels")
def test_large_ones_agree_with_numpy() -> None:
    """Sizes at which the parallel twins run, in all shapes the kernels tell apart."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 70, 9), np.float32)
    t = ng.tensor(x)
    rows = rng.integers(-300, 300, 5000)
    np.testing.assert_array_equal(t[rows].numpy(), x[rows])
    columns = rng.integers(0, 70, 500)
    np.testing.assert_array_equal(t[:, columns].numpy(), x[:, columns])
    np.testing.assert_array_equal(t.permute(2, 1, 0)[:, columns].numpy(), x.transpose(2, 1, 0)[:, columns])
    last = rng.integers(0, 9, (40, 50))
    np.testing.assert_array_equal(t[..., last].numpy(), x[..., last])
    np.testing.assert_array_equal(t[rows, :, rows % 9].numpy(), x[rows, :, rows % 9])
    np.testing.assert_array_equal(t[t > 0.5].numpy(), x[x > 0.5])
    added = t.index_put((ng.tensor(rows),), ng.ones(9), accumulate=True)
    np.testing.assert_array_equal(
        np.round((added - t).numpy()), np.bincount(rows % 300, minlength=300)[:, None, None] * np.ones((70, 9))
    )
    index = rng.integers(0, 70, (300, 200, 9))
    np.testing.assert_array_equal(t.gather(1, ng.tensor(index)).numpy(), np.take_along_axis(x, index, 1))
    for dim, shape in ((0, (900, 70, 9)), (1, (300, 20, 9)), (2, (300, 70, 5))):
        index = rng.integers(0, x.shape[dim], shape)
        expected = np.zeros(x.shape)
        places = list(np.indices(shape))
        places[dim] = index
        np.add.at(expected, tuple(places), 1)
        np.testing.assert_array_equal(
            ng.zeros(*x.shape, dtype=ng.float64)
            .scatter_add(dim, ng.tensor(index), ng.ones(*shape, dtype=ng.float64))
            .numpy(),
            expected,
        )


def test_scatter_of_nothing_from_a_larger_source() -> None:
    """Where the index is empty, nothing of the source is read, and its gradient is zero."""
    source = ng.ones(0, 1, 2, requires_grad=True)
    wide = ng.ones(3, 2, requires_grad=True)
    x = ng.ones(1, 1, 1)
    assert x.scatter(0, ng.zeros(0, 1, 1, dtype=ng.int64), source).tolist() == [[[1.0]]]
    y = ng.ones(1, 2).scatter(0, ng.zeros(0, 2, dtype=ng.int64), wide)
    y.sum().backward()
    assert wide.grad is None or wide.grad.tolist() == [[0.0, 0.0]] * 3
