"""Pooling against windows taken in NumPy."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)
X = rng.permutation(2 * 3 * 7 * 6).reshape(2, 3, 7, 6).astype(float)  # all different: one largest a window


def windows(x, kernel, stride, padding=(0, 0), dilation=(1, 1), fill=-np.inf):
    """(N, C, out, out, kH, kW): what each window covers."""
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=fill)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


@pytest.mark.parametrize("settings", [
    {"kernel": (2, 2), "stride": (2, 2)}, {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1)},
    {"kernel": (2, 3), "stride": (1, 2), "dilation": (2, 1)},
])  # fmt: skip
def test_max_pool2d(settings):
    covered = windows(X, **settings)
    result = F.max_pool2d(numgrad.tensor(X), settings["kernel"], settings["stride"], settings.get("padding", 0),
                          settings.get("dilation", 1), return_indices=True)  # fmt: skip
    np.testing.assert_array_equal(result[0].numpy(), covered.max((-1, -2)))
    places = numgrad.tensor(X).flatten(2).gather(2, result[1].flatten(2))
    np.testing.assert_array_equal(places.numpy().reshape(result[0].shape), result[0].numpy())


def test_max_pool_in_one_dimension_and_without_batch():
    x = numgrad.tensor(X[0, :, :, 0])
    values, indices = F.max_pool1d(x, 3, 2, return_indices=True)
    expected = np.lib.stride_tricks.sliding_window_view(X[0, :, :, 0], 3, 1)[:, ::2].max(-1)
    np.testing.assert_array_equal(values.numpy(), expected)
    np.testing.assert_array_equal(x.gather(1, indices).numpy(), expected)
    assert tuple(F.max_pool2d(numgrad.tensor(X[0]), 2).shape) == (3, 3, 3)
    np.testing.assert_array_equal(F.max_pool1d_with_indices(x, 3, 2)[1].numpy(), indices.numpy())


def test_ceil_mode_keeps_the_last_part():
    x = numgrad.arange(7.0).reshape(1, 1, 7)
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[[1, 3, 5, 6]]]
    assert F.avg_pool1d(x, 2, ceil_mode=True).tolist() == [[[0.5, 2.5, 4.5, 6]]]


def test_avg_pool():
    x = numgrad.tensor(X)
    np.testing.assert_allclose(F.avg_pool2d(x, (3, 2)).numpy(), windows(X, (3, 2), (3, 2)).mean((-1, -2)))
    padded = windows(X, (3, 3), (2, 2), (1, 1), fill=0)
    np.testing.assert_allclose(F.avg_pool2d(x, 3, 2, 1).numpy(), padded.mean((-1, -2)))
    np.testing.assert_allclose(F.avg_pool2d(x, 3, 2, 1, divisor_override=4).numpy(), padded.sum((-1, -2)) / 4)
    inside = windows(np.ones_like(X), (3, 3), (2, 2), (1, 1), fill=0).sum((-1, -2))
    np.testing.assert_allclose(F.avg_pool2d(x, 3, 2, 1, count_include_pad=False).numpy(), padded.sum((-1, -2)) / inside)


def adaptive(x, sizes, function):
    height, width = x.shape[2:]
    rows, columns = (
        [slice(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        for n, size in zip((height, width), sizes, strict=True)
    )
    return np.array([[function(x[:, :, r, c], (2, 3)) for c in columns] for r in rows]).transpose(2, 3, 0, 1)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 4), (7, 6), (8, 2)])
def test_adaptive_pools(sizes):
    x = numgrad.tensor(X)
    np.testing.assert_allclose(F.adaptive_avg_pool2d(x, sizes).numpy(), adaptive(X, sizes, np.mean))
    values, indices = F.adaptive_max_pool2d(x, sizes, return_indices=True)
    np.testing.assert_array_equal(values.numpy(), adaptive(X, sizes, np.max))
    found = x.flatten(2).gather(2, indices.flatten(2)).reshape(values.shape)
    np.testing.assert_array_equal(found.numpy(), values.numpy())


def test_adaptive_pools_keep_a_length_and_take_one_dimension():
    assert tuple(F.adaptive_avg_pool2d(numgrad.tensor(X), (None, 2)).shape) == (2, 3, 7, 2)
    row = numgrad.tensor(X[:, :, :, 0])
    assert F.adaptive_max_pool1d(row, 1).flatten().tolist() == X[:, :, :, 0].max(-1).ravel().tolist()
    np.testing.assert_allclose(F.adaptive_avg_pool1d(row, 7).numpy(), X[:, :, :, 0])


def test_lp_pool():
    found = F.lp_pool2d(numgrad.tensor(X), 2, 2)
    np.testing.assert_allclose(found.numpy(), np.sqrt((windows(X, (2, 2), (2, 2)) ** 2).sum((-1, -2))))
    np.testing.assert_allclose(nn.LPPool1d(1, 2)(numgrad.ones(1, 4)).numpy(), [[2, 2]])


def test_gradient_of_max_goes_to_the_largest():
    x = numgrad.tensor([[[[1.0, 5.0], [3.0, 2.0]]]], requires_grad=True)
    for pool in (lambda t: F.max_pool2d(t, 2), lambda t: F.adaptive_max_pool2d(t, 1)):
        x.grad = None
        pool(x).sum().backward()
        assert x.grad.tolist() == [[[[0, 1], [0, 0]]]]


def test_layers_are_the_functions():
    x, row = numgrad.tensor(X), numgrad.tensor(X[:, :, 0])
    for layer, expected in [
        (nn.MaxPool2d(2), F.max_pool2d(x, 2)), (nn.MaxPool2d(3, 2, 1), F.max_pool2d(x, 3, 2, 1)),
        (nn.AvgPool2d(2, 1), F.avg_pool2d(x, 2, 1)),
        (nn.AdaptiveAvgPool2d((2, None)), F.adaptive_avg_pool2d(x, (2, None))),
        (nn.AdaptiveMaxPool2d(2), F.adaptive_max_pool2d(x, 2)), (nn.LPPool2d(2, 3), F.lp_pool2d(x, 2.0, 3)),
    ]:  # fmt: skip
        assert (layer(x) == expected).all()
    for layer, expected in [
        (nn.MaxPool1d(2), F.max_pool1d(row, 2)), (nn.AvgPool1d(3, 1, 1), F.avg_pool1d(row, 3, 1, 1)),
        (nn.AdaptiveAvgPool1d(2), F.adaptive_avg_pool1d(row, 2)),
        (nn.AdaptiveMaxPool1d(2), F.adaptive_max_pool1d(row, 2)),
    ]:  # fmt: skip
        assert (layer(row) == expected).all()
    assert len(nn.MaxPool2d(2, return_indices=True)(x)) == len(nn.AdaptiveMaxPool2d(2, True)(x)) == 2


@pytest.mark.parametrize("call", [
    lambda: F.max_pool2d(numgrad.zeros(3, 3), 2), lambda: F.max_pool2d(numgrad.zeros(1, 3, 3), 2, padding=2),
    lambda: F.max_pool2d(numgrad.zeros(1, 3, 3), (2, 2, 2)), lambda: F.max_pool2d(numgrad.zeros(1, 3, 3), 0),
    lambda: F.avg_pool2d(numgrad.zeros(1, 3, 3), 2, divisor_override=0), lambda: F.avg_pool1d(numgrad.zeros(3), 2),
    lambda: F.adaptive_avg_pool2d(numgrad.zeros(3), 2),
    lambda: F.adaptive_max_pool2d(numgrad.zeros(1, 1, 3, 3), (1, 2, 3)), lambda: F.adaptive_avg_pool1d(numgrad.zeros(1, 3), (1, 2)),
])  # fmt: skip
def test_bad_arguments_are_refused(call):
    with pytest.raises(RuntimeError):
        call()


def test_three_dimensions():
    x = rng.permutation(2 * 4 * 4 * 4).reshape(1, 2, 4, 4, 4).astype(float)
    blocks = x.reshape(1, 2, 2, 2, 2, 2, 2, 2).transpose(0, 1, 2, 4, 6, 3, 5, 7)
    t = numgrad.tensor(x)
    np.testing.assert_array_equal(nn.MaxPool3d(2)(t).numpy(), blocks.max((-1, -2, -3)))
    np.testing.assert_allclose(nn.AvgPool3d(2)(t).numpy(), blocks.mean((-1, -2, -3)))
    np.testing.assert_allclose(nn.AdaptiveAvgPool3d((2, 2, 2))(t).numpy(), blocks.mean((-1, -2, -3)))
    np.testing.assert_array_equal(nn.AdaptiveMaxPool3d(2)(t).numpy(), blocks.max((-1, -2, -3)))
    np.testing.assert_allclose(nn.LPPool3d(2, 2)(t).numpy(), np.sqrt((blocks**2).sum((-1, -2, -3))))
    values, indices = F.max_pool3d(t, 2, return_indices=True)
    assert (t.flatten(2).gather(2, indices.flatten(2)).reshape(values.shape) == values).all()


def test_fractional_windows_are_where_the_samples_say() -> None:
    x = numgrad.arange(25.0).reshape(1, 5, 5)
    samples = numgrad.tensor([[[0.0, 0.9]]])  # of the width, then of the height: alpha is (5 - 2) / (3 - 1) = 1.5
    values, places = F.fractional_max_pool2d(x, 2, 3, return_indices=True, _random_samples=samples)
    # Columns begin at 0, floor(1.5) = 1 and 3; rows at 0, floor(1.9 * 1.5) - floor(0.9 * 1.5) = 1 and 3.
    assert values.tolist() == [[[6, 7, 9], [11, 12, 14], [21, 22, 24]]] and places.tolist() == values.tolist()
    layer = nn.FractionalMaxPool2d(2, output_ratio=(0.6, 0.4), return_indices=True)
    assert [tuple(t.shape) for t in layer(numgrad.rand(2, 3, 5, 5))] == [(2, 3, 3, 2)] * 2
    assert nn.FractionalMaxPool3d((1, 2, 2), (2, 3, 1))(numgrad.rand(4, 3, 6, 6)).shape == (4, 2, 3, 1)
    for settings in ({}, {"output_size": 2, "output_ratio": 0.5}, {"output_ratio": 1.5}):
        with pytest.raises(ValueError):
            nn.FractionalMaxPool2d(2, **settings)


def test_a_kernel_of_any_size_over_a_small_input() -> None:
    x = numgrad.tensor([[1.0, 5.0, 2.0]])  # one window, which hangs over: nothing may take time or memory by the kernel's size
    assert F.max_pool1d(x, 2**40, ceil_mode=True).tolist() == [[5.0]]
    assert F.avg_pool1d(x, 2**40, ceil_mode=True, count_include_pad=False).tolist() == [[pytest.approx(8 / 3)]]
