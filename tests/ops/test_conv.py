"""Convolutions by hand, and at sizes and layouts the generic test does not reach."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad.jit import DISABLED
from numgrad.ops import convolve


def test_by_hand() -> None:
    x = ng.arange(9.0).reshape(1, 1, 3, 3)
    edge = ng.tensor([[[[-1.0, 1.0]]]])
    assert ng.conv2d(x, edge).tolist() == [[[[1.0, 1.0]] * 3]]
    assert ng.conv2d(x, edge, ng.tensor([0.5]), stride=2).tolist() == [[[[1.5], [1.5]]]]
    assert ng.conv2d(x, edge, padding="same")[0, 0, 0].tolist() == [1.0, 1.0, -2.0]  # the odd one is after
    assert ng.conv1d(ng.tensor([[1.0, 2.0, 4.0]]), ng.ones(1, 1, 2), dilation=2).tolist() == [[5.0]]


def test_transposed_by_hand() -> None:
    found = ng.conv_transpose1d(ng.tensor([[1.0, 2.0]]), ng.tensor([[[1.0, 10.0]]]), ng.tensor([100.0]), stride=3, output_padding=1)
    assert found.tolist() == [[101.0, 110.0, 100.0, 102.0, 120.0, 100.0]]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation", "groups"), [
    ((40,), (5,), (1,), (2,), (2,), 1), ((34, 37), (3, 3), (1, 1), (1, 1), (1, 1), 1), ((34, 37), (3, 3), (2, 2), (1, 1), (1, 1), 2),
    ((21, 40), (1, 1), (1, 1), (0, 0), (1, 1), 1), ((9, 8, 20), (3, 2, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1), ((20, 20), (3, 3), (1, 1), (1, 1), (1, 1), 6),
    ((8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1), ((13, 40), (5, 1), (3, 1), (2, 0), (1, 1), 3), ((300,), (9,), (1,), (0,), (1,), 1),
])  # fmt: skip
def test_many_tiles_and_tasks(size, kernel, stride, padding, dilation, groups) -> None:  # type: ignore[no-untyped-def]
    if DISABLED:
        size = tuple(min(n, 9) for n in size)
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (3, 12, *size)).astype(np.float64)
    w = rng.integers(-3, 4, (18, 12 // groups, *kernel)).astype(np.float64)
    numbers = (stride, tuple((p, p) for p in padding), dilation, groups)
    y = convolve.forward(np.asfortranarray(x), w, None, *numbers)
    assert np.array_equal(y, ng.ops.conv2d.reference(x, w, None, stride, padding, dilation, groups))
    # The gradients are the transposes of the convolution as a map of x and of w: <g, conv(x, w)> = <grad_x, x> = <grad_w, w>, exactly.
    g = rng.integers(-3, 4, y.shape).astype(np.float64)
    other_x, other_w = rng.integers(-3, 4, x.shape).astype(np.float64), rng.integers(-3, 4, w.shape).astype(np.float64)
    grad_x, grad_w = convolve.input_gradient(g, w, None, x.shape, *numbers), convolve.weight_gradient(g, x, w.shape, *numbers)
    assert (g * convolve.forward(other_x, w, None, *numbers)).sum() == (grad_x * other_x).sum()
    assert (g * convolve.forward(x, other_w, None, *numbers)).sum() == (grad_w * other_w).sum()


@pytest.mark.parametrize(("images", "channels", "features", "size", "kernel", "padding", "dtype"), [
    (32, 3, 12, (8, 8), (3, 3), (1, 1), np.float32), (16, 2, 7, (5, 8), (3, 3), (1, 1), np.float32), (16, 2, 6, (6, 4), (5, 3), (2, 1), np.float64),
    (3, 4, 6, (12, 14), (5, 5), (4, 4), np.float32), (1, 12, 12, (40, 16), (3, 3), (1, 1), np.float32), (5, 3, 4, (3, 9), (3, 2), (3, 0), np.float32),
])  # fmt: skip
def test_kernel_rows_outside_of_the_image(images, channels, features, size, kernel, padding, dtype) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((images, channels, *size), (features, channels, *kernel), (features,)))
    numbers = ((1, 1), tuple((p, p) for p in padding), (1, 1), 1)
    y = convolve.forward(x, w, b, *numbers)
    assert np.array_equal(y, ng.ops.conv2d.reference(x, w, b, 1, padding))
    g, other_x, other_w = (rng.integers(-3, 4, like.shape).astype(dtype) for like in (y, x, w))
    grad_x, grad_w = convolve.input_gradient(g, w, None, x.shape, *numbers), convolve.weight_gradient(g, x, w.shape, *numbers)
    assert (g * convolve.forward(other_x, w, None, *numbers)).sum() == (grad_x * other_x).sum()
    assert (g * convolve.forward(x, other_w, None, *numbers)).sum() == (grad_w * other_w).sum()


@pytest.mark.parametrize(("kernel", "padding", "stride", "side"), [(3, 1, 1, 21), (3, 1, 1, 40), (7, 3, 1, 21), (3, 0, 1, 21), (3, 1, 2, 40)])
def test_depthwise(kernel: int, padding: int, stride: int, side: int) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((2, 5, 9, side), (5, 1, kernel, kernel)))
    numbers = ((stride,) * 2, ((padding, padding),) * 2, (1, 1), 5)
    y = convolve.forward(x, w, None, *numbers)
    assert np.array_equal(y, ng.ops.conv2d.reference(x, w, None, stride, padding, 1, 5))
    g, other, other_x = (rng.integers(-3, 4, like.shape).astype(np.float32) for like in (y, w, x))
    grad, grad_x = convolve.weight_gradient(g, x, w.shape, *numbers), convolve.input_gradient(g, w, None, x.shape, *numbers)
    assert (g * convolve.forward(x, other, None, *numbers)).sum() == (grad * other).sum()
    assert (g * convolve.forward(other_x, w, None, *numbers)).sum() == (grad_x * other_x).sum()


def test_infinity_stays_where_it_is_seen() -> None:
    x, w = ng.ones(1, 2, 4, 40), ng.ones(3, 2, 3, 3)
    x[0, 0, 3, 39] = float("inf")
    y = ng.conv2d(x, w)
    assert y.isinf().sum().item() == 3 and not y.isnan().any()


def test_empty_batches_and_channels() -> None:
    assert ng.conv2d(ng.ones(0, 3, 4, 4), ng.ones(2, 3, 3, 3)).shape == (0, 2, 2, 2)
    w = ng.ones(2, 3, 3, 3, requires_grad=True)
    ng.conv2d(ng.ones(0, 3, 4, 4), w).sum().backward()
    assert w.grad.tolist() == ng.zeros(2, 3, 3, 3).tolist()
    assert ng.conv1d(ng.ones(1, 0, 3), ng.ones(2, 0, 2), ng.tensor([1.0, 2.0])).tolist() == [[[1.0, 1.0], [2.0, 2.0]]]


def test_integers() -> None:
    assert ng.conv1d(ng.tensor([[1, 2, 3]]), ng.tensor([[[1, 10]]])).tolist() == [[21, 32]]


def test_products() -> None:
    """A kernel as large as the image, and an image of one pixel, are matrix products."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-3, 4, shape).astype(np.float64) for shape in ((3, 5, 4, 2), (5, 7, 4, 2), (7,)))
    y = ng.conv2d(ng.tensor(x), ng.tensor(w).transpose(0, 1), ng.tensor(b), stride=3)
    assert np.array_equal(y.numpy()[:, :, 0, 0], np.einsum("nchw,cfhw->nf", x, w) + b)
    y = ng.conv_transpose2d(ng.tensor(x[:, :, :1, :1]), ng.tensor(w), ng.tensor(b), stride=3)
    assert np.array_equal(y.numpy(), np.einsum("nc,cfhw->nfhw", x[:, :, 0, 0], w) + b[:, None, None])
    assert ng.conv2d(ng.ones(0, 5, 4, 2), ng.ones(7, 5, 4, 2)).shape == (0, 7, 1, 1)
