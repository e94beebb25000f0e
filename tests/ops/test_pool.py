"""Pooling by hand: NaN, ties, padding that counts and not, windows that hang over, uneven adaptive windows."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops

NAN = float("nan")


def test_largest_and_its_place() -> None:
    x = ng.tensor([[[1.0, 5.0, 5.0, 0.0], [2.0, 5.0, 3.0, 7.0]]])
    values, places = ops.max_pool2d(x, 2, return_indices=True)
    assert values.tolist() == [[[5.0, 7.0]]]
    assert places.tolist() == [[[1, 7]]]  # the first of equals
    assert places.dtype == ng.int64


def test_nan_is_largest_and_infinity_is_a_number() -> None:
    values, places = ops.max_pool1d(ng.tensor([[1.0, NAN, 9.0, -float("inf"), -float("inf"), 2.0]]), 2, return_indices=True)
    assert np.array_equal(values.numpy(), [[NAN, 9.0, 2.0]], equal_nan=True)
    assert places.tolist() == [[1, 2, 5]]
    assert ops.max_pool1d(ng.full((1, 2), -float("inf")), 2).tolist() == [[-float("inf")]]


def test_gradient_of_overlapping_windows_adds_up() -> None:
    x = ng.tensor([[1.0, 9.0, 2.0, 3.0]], requires_grad=True)
    ops.max_pool1d(x, 2, stride=1).backward(ng.tensor([[1.0, 10.0, 100.0]]))
    assert x.grad.tolist() == [[0.0, 11.0, 0.0, 100.0]]


@pytest.mark.parametrize("dtype, least", [(ng.float32, -float("inf")), (ng.int32, -(2**31))])
def test_window_that_steps_over_all_elements(dtype: ng.dtype, least: float) -> None:
    x = ng.ones(1, 2, 3, dtype=dtype, requires_grad=dtype.is_floating_point)
    values, places = ops.max_pool2d(x, (2, 1), (1, 1), (1, 0), dilation=(3, 1), return_indices=True)
    assert values.tolist() == [[[least] * 3]] and places.tolist() == [[[-1] * 3]]
    if x.requires_grad:
        values.sum().backward()
        assert x.grad.tolist() == [[[0.0] * 3] * 2]


def test_ceil_mode_drops_a_window_that_starts_in_the_padding() -> None:
    x = ng.arange(1.0, 6.0).reshape(1, 5)
    assert ops.max_pool1d(x, 2, ceil_mode=True).tolist() == [[2.0, 4.0, 5.0]]
    assert ops.max_pool1d(x[:, :4], 2, stride=4, padding=1, ceil_mode=True).shape == (1, 2)
    assert ops.max_pool1d(x[:, :3], 2, stride=4, padding=1, ceil_mode=True).shape == (1, 1)


def test_padding_counts_or_not() -> None:
    x = ng.tensor([[2.0, 4.0, 6.0]])
    assert ops.avg_pool1d(x, 2, padding=1).tolist() == [[1.0, 5.0]]
    assert ops.avg_pool1d(x, 2, padding=1, count_include_pad=False).tolist() == [[2.0, 5.0]]
    assert ops.avg_pool1d(x, 2, ceil_mode=True).tolist() == [[3.0, 6.0]]  # what hangs over never counts
    assert ops.avg_pool2d(x.reshape(1, 1, 3), (1, 3), divisor_override=4).tolist() == [[[3.0]]]


def test_uneven_adaptive_windows_overlap() -> None:
    x = ng.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]], requires_grad=True)
    y = ops.adaptive_avg_pool1d(x, 3)  # positions 0-1, 1-3, 3-4
    assert y.tolist() == [[1.5, np.float32(14 / 3), 12.0]]
    y.backward(ng.tensor([[2.0, 3.0, 2.0]]))
    assert x.grad.tolist() == [[1.0, 2.0, 1.0, 2.0, 1.0]]
    values, places = ops.adaptive_max_pool1d(x, 3)
    assert values.tolist() == [[2.0, 8.0, 16.0]] and places.tolist() == [[1, 3, 4]]


def test_global_mean_keeps_the_dimensions() -> None:
    assert ops.adaptive_avg_pool2d(ng.arange(8.0).reshape(2, 2, 2), 1).tolist() == [[[1.5]], [[5.5]]]
    assert ops.adaptive_avg_pool2d(ng.ones(1, 2, 4), (None, 2)).shape == (1, 2, 2)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_long_rows(stride: int) -> None:
    x = np.random.default_rng(0).permutation(3 * 4 * 67).reshape(3, 4, 67).astype(np.float32)
    x[0, 1, 30] = NAN
    values, places = ops.max_pool2d(ng.tensor(x), 3, stride, 1, return_indices=True)
    wanted, where = ops.max_pool2d_with_indices.reference(np.nan_to_num(x, nan=1e9), 3, stride, (1, 1))
    assert np.array_equal(values.numpy(), np.where(wanted == 1e9, np.float32(NAN), wanted), equal_nan=True)
    assert np.array_equal(places.numpy(), where)
    t = ng.tensor(np.nan_to_num(x), requires_grad=True)
    y = ops.avg_pool2d(t, 3, stride, 1)
    assert np.allclose(y.detach().numpy(), ops.avg_pool2d.reference(np.nan_to_num(x), 3, stride, 1), rtol=1e-6)
    y.backward(ng.ones(y.shape))
    seen = ops.avg_pool2d(ng.eye(4 * 67).reshape(-1, 4, 67), 3, stride, 1).sum((1, 2))  # how much each element alone gives
    assert np.allclose(t.grad.numpy(), np.broadcast_to(seen.numpy().reshape(4, 67), x.shape), rtol=1e-6)
